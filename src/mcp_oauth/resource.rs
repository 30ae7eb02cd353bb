//! MCP endpoints as protected resources (RFC 8707, RFC 9728). Within the server a resource is the
//! endpoint's path; the empty one means every endpoint of a project.

use url::Url;

use crate::domain::mcp_server::McpServerId;

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Every endpoint of a project.
    All,
    /// The session of this id.
    Session(&'a str),
    /// The MCP server of this id.
    Server(&'a str),
}

/// What a canonical path is.
pub fn kind(path: &str) -> Kind<'_> {
    if let Some(id) = path.strip_prefix("/tool_router/").and_then(|p| p.strip_suffix("/mcp")) {
        return Kind::Session(id);
    }
    path.strip_prefix("/v3/mcp/").map_or(Kind::All, Kind::Server)
}

/// The canonical path of an endpoint; none for what is not one. Whether it exists is not asked, so
/// that nobody learns it here.
pub fn canonical(path: &str) -> Option<String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Some(String::new());
    }
    if let Some(id) = path.strip_prefix("/tool_router/").and_then(|p| p.strip_suffix("/mcp")) {
        // The endpoint stands under a longer path as well.
        let id = id.strip_prefix("v3/").unwrap_or(id);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let fits = (1..=64).contains(&id.len()) && id.bytes().all(plain);
        return fits.then(|| format!("/tool_router/{id}/mcp"));
    }
    let id = path.strip_prefix("/v3/mcp/")?;
    let id = McpServerId::parse(id.strip_suffix("/mcp").unwrap_or(id))?;
    Some(format!("/v3/mcp/{id}"))
}

/// The canonical path of a `resource` parameter: an endpoint's URL below `public_url`. What stands
/// behind a question mark is not part of it.
pub fn of_parameter(public_url: &str, text: &str) -> Option<String> {
    let (own, url) = (Url::parse(public_url).ok()?, Url::parse(text).ok()?);
    if url.origin() != own.origin() || url.fragment().is_some() || !url.username().is_empty() {
        return None;
    }
    let root = own.path().trim_end_matches('/');
    let path = url.path().strip_prefix(root)?;
    if !path.is_empty() && !path.starts_with('/') {
        return None;
    }
    canonical(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0f0e9a3c-1111-4222-8333-444455556666";

    #[test]
    fn endpoints_have_one_path_however_they_are_written() {
        let server = format!("/v3/mcp/{ID}");
        for text in [
            format!("https://h.example/v3/mcp/{ID}"),
            format!("https://H.example:443/v3/mcp/{ID}/mcp?user_id=ann"),
            format!("https://h.example/v3/mcp/{}/", ID.to_uppercase()),
        ] {
            assert_eq!(of_parameter("https://h.example", &text), Some(server.clone()), "{text}");
        }
        let session = "/tool_router/trs_aB3/mcp";
        assert_eq!(
            of_parameter("http://h/p", "http://h/p/tool_router/trs_aB3/mcp").unwrap(),
            session
        );
        assert_eq!(canonical("/tool_router/v3/trs_aB3/mcp").unwrap(), session);
        assert_eq!(kind(session), Kind::Session("trs_aB3"));
        assert_eq!(kind(&server), Kind::Server(ID));
        for root in ["https://h.example", "https://h.example/"] {
            assert_eq!(of_parameter("https://h.example", root).unwrap(), "");
        }
        assert_eq!(kind(""), Kind::All);
    }

    #[test]
    fn what_is_not_an_endpoint_of_this_server_is_no_resource() {
        for text in [
            "https://evil.example/tool_router/trs_a/mcp",
            "http://h.example/tool_router/trs_a/mcp",
            "https://h.example:444/tool_router/trs_a/mcp",
            "https://h.example@evil.example/",
            "https://h.example/tool_router/trs_a/mcp#x",
            "https://h.example/tool_router/a%2Fb/mcp",
            "https://h.example/tool_router//mcp",
            "https://h.example/api/v3/tools",
            "https://h.example/v3/mcp/nope",
            "https://h.examplex/",
            "",
        ] {
            assert_eq!(of_parameter("https://h.example", text), None, "{text}");
        }
        assert_eq!(of_parameter("http://h/p", "http://h/px/tool_router/trs_a/mcp"), None);
    }
}
