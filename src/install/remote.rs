//! Remote MCP servers as toolkits: asked for their tools when they are added, and again when those change.

use serde_json::{Map, Value, json};
use tokio::sync::watch;
use url::Url;

use super::logo::{self, Logo};
use super::{Installed, Step, Wish, install};
use crate::app::App;
use crate::catalog;
use crate::db::installed_toolkit as table;
use crate::domain::id::ProjectId;
use crate::error::{Error, Result, codes};
use crate::execute::{Listing, list_remote_tools, list_remote_tools_as};
use crate::import::{Definition, Options, Report, mcp};
use crate::shelf::scope;

/// How the report of what was imported from an MCP server begins.
pub(super) const FORMAT: &str = "MCP server";

/// A server to be added, or to be described anew.
#[derive(Debug, Clone)]
pub struct Server {
    /// Slug of the toolkit.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// Its one URL.
    pub url: Url,
    /// The ways to connect, as `auth` of a definition has them.
    pub auth: Vec<Value>,
    /// What it is shown with.
    pub logo: Option<Logo>,
}

/// A server that was listed again.
#[derive(Debug, Clone)]
pub struct Synced {
    /// Slug of the toolkit.
    pub slug: String,
    /// Its newest version.
    pub version: String,
    /// Number of its tools.
    pub tools: usize,
}

/// What an address was found to be: a listing with the ways to connect, as the importer reads it.
///
/// # Errors
/// It is no MCP server, or cannot be reached.
pub async fn described(app: &App, url: &Url) -> Result<Value> {
    let (mut document, auth) = match list_remote_tools(app, url, &[]).await? {
        Listing::Tools(document) => (document, json!([])),
        Listing::Closed { oauth: true } => (json!({"tools": []}), json!(["DCR_OAUTH"])),
        Listing::Closed { oauth: false } => (json!({"tools": []}), json!(["BEARER_TOKEN"])),
    };
    document["mcp"] = json!({"url": url.as_str(), "auth": auth});
    Ok(document)
}

/// Adds a server to the toolkits of a project. Where it wants credentials first it has no tools until
/// [`sync`] asks with an account's.
///
/// # Errors
/// It is no MCP server, cannot be reached, or cannot be connected as the description says.
pub async fn upsert(app: &App, project: &ProjectId, server: Server) -> Result<Installed> {
    let before = stored(app, project, &server.slug).await?;
    let open = server.auth.iter().any(|scheme| scheme["scheme"] == "NO_AUTH");
    let document = match list_remote_tools(app, &server.url, &[]).await? {
        Listing::Tools(document) => Some(document),
        Listing::Closed { oauth } if open && server.auth.len() == 1 => {
            let fix = if oauth {
                "Add DCR_OAUTH to auth_schemes: the server says where to authorize"
            } else {
                "Add API_KEY to auth_schemes, with the header that the server wants"
            };
            let problem = "auth_schemes: the server wants credentials".to_owned();
            return Err(Error::invalid("The MCP server is not open", vec![problem]).fix(fix));
        }
        Listing::Closed { .. } => None,
    };
    let (mut definition, report) = match document {
        Some(document) => made(document, &server.slug, &server.name, &server.url)?,
        None => {
            let nothing = json!({"tools": []});
            let (mut definition, report) = made(nothing, &server.slug, &server.name, &server.url)?;
            // What an account found there before stays, unless the toolkit is another server's now.
            let same = |known: &Definition| known.toolkit["base_url"] == server.url.as_str();
            if let Some(known) = before.filter(same) {
                definition.tools = known.tools;
            }
            (definition, report)
        }
    };
    definition.toolkit["auth"] = server.auth.into();
    if let Some(logo) = &server.logo {
        definition.toolkit["logo"] = logo.url(app, project, &server.slug).into();
    }
    let done = stored_again(app, project, definition, report, &server.url).await?;
    logo::keep(app, project, &done.slug, server.logo).await?;
    Ok(done)
}

/// Lists the tools of a server again: with the credentials of an account, or without any where the server
/// wants none.
///
/// # Errors
/// 404 when the project has no such server; and why it cannot be asked.
pub async fn sync(
    app: &App,
    project: &ProjectId,
    slug: &str,
    account: Option<&str>,
) -> Result<Synced> {
    let slug = slug.to_lowercase();
    let unknown = || {
        Error::not_found(codes::TOOLKIT_NOT_FOUND, "Remote MCP server", &slug)
            .fix("Add it with POST /api/v3.1/custom/toolkits/upsert")
    };
    let known = stored(app, project, &slug).await?.ok_or_else(unknown)?;
    let toolkit = app.toolkit(project, &slug).ok_or_else(unknown)?;
    let url = known.toolkit["base_url"].as_str().and_then(|url| Url::parse(url).ok());
    let url = url.ok_or_else(unknown)?;
    let document = match account {
        Some(account) => list_remote_tools_as(app, project, &toolkit, account).await?,
        None => match list_remote_tools(app, &url, &[]).await? {
            Listing::Tools(document) => document,
            Listing::Closed { .. } => {
                let problem = "connected_account_id: is required, the server wants credentials";
                return Err(Error::invalid("The MCP server is not open", vec![problem.to_owned()])
                    .fix("Connect an account of the toolkit and pass its id"));
            }
        },
    };
    let name = known.toolkit["name"].as_str().unwrap_or(&slug).to_owned();
    let (mut definition, report) = made(document, &slug, &name, &url)?;
    definition.toolkit["auth"] = known.toolkit["auth"].clone();
    if let Some(logo) = known.toolkit.get("logo") {
        definition.toolkit["logo"] = logo.clone();
    }
    let done = stored_again(app, project, definition, report, &url).await?;
    Ok(Synced { slug: done.slug, version: done.version, tools: done.tools })
}

/// Whether a project has added a server under this slug.
///
/// # Errors
/// When the database is away.
pub async fn is_remote(app: &App, project: &ProjectId, slug: &str) -> Result<bool> {
    Ok(stored(app, project, slug).await?.is_some())
}

/// The definition that is the newest, if it came of an MCP server.
async fn stored(app: &App, project: &ProjectId, slug: &str) -> Result<Option<Definition>> {
    let place = scope(Some(project));
    let Some(row) = table::versions(&app.db, place, slug).await?.into_iter().next() else {
        return Ok(None);
    };
    if !row.report["format"].as_str().unwrap_or_default().starts_with(FORMAT) {
        return Ok(None);
    }
    let Some(found) = table::definition(&app.db, place, slug, &row.version).await? else {
        return Ok(None);
    };
    let packed = catalog::Packed { heads: found.heads.into(), bodies: found.bodies.into() };
    let (toolkit, tools) = catalog::definition(&packed).map_err(Error::internal)?;
    Ok(Some(Definition { toolkit, tools }))
}

/// The definition of what a server listed.
fn made(mut document: Value, slug: &str, name: &str, url: &Url) -> Result<(Definition, Report)> {
    document["mcp"] = json!({"url": url.as_str()});
    let options = Options {
        slug: Some(slug.to_owned()),
        name: Some(name.to_owned()),
        version: super::version::today(),
        ..Options::default()
    };
    mcp::import(&document, &options, &|_, _| {}).map_err(|failure| {
        Error::invalid("The MCP server cannot be imported", vec![failure.to_string()])
    })
}

async fn stored_again(
    app: &App,
    project: &ProjectId,
    definition: Definition,
    report: Report,
    url: &Url,
) -> Result<Installed> {
    let wish = Wish {
        made: Some(Box::new((definition, report))),
        url: Some(url.to_string()),
        ..Wish::default()
    };
    install(app, Some(project), wish, &watch::Sender::new(Step::default())).await
}

/// `auth` of a definition for a key in headers: `headers` name to text, with `{{generic_api_key}}` where
/// the key goes.
///
/// # Errors
/// What is wrong with the headers, each with its name.
pub fn key_scheme(
    headers: &[(String, String)],
    label: Option<&str>,
    help: Option<&str>,
) -> std::result::Result<Value, Vec<String>> {
    let mut problems = Vec::new();
    let mut inject = Map::new();
    let mut has_key = false;
    for (name, text) in headers {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
            problems.push(
                "headers: a name must be made of letters, digits, `-`, `_` and `.`".to_owned(),
            );
            continue;
        }
        if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            problems.push(format!("headers.{name}: is the server's own business"));
            continue;
        }
        match template(text) {
            Ok((made, key)) => {
                has_key |= key;
                inject.insert(name.clone(), made.into());
            }
            Err(problem) => problems.push(format!("headers.{name}: {problem}")),
        }
    }
    if problems.is_empty() && !has_key {
        problems.push("headers: {{generic_api_key}} must stand where the key goes".to_owned());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut field = json!({"name": "generic_api_key", "secret": true});
    for (key, text) in [("label", label), ("description", help)] {
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            field[key] = text.into();
        }
    }
    Ok(json!({"scheme": "API_KEY", "connect_fields": [field], "inject": {"headers": inject}}))
}

/// Headers that are the client's.
const OWN: [&str; 10] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "accept",
    "upgrade",
    "mcp-session-id",
    "mcp-protocol-version",
    "last-event-id",
];

/// A header's text as a template, and whether the key is in it.
fn template(text: &str) -> std::result::Result<(String, bool), &'static str> {
    if text.len() > 1000 || text.chars().any(char::is_control) {
        return Err("must be at most 1000 characters on one line");
    }
    let mut made = String::new();
    let mut rest = text;
    let mut has_key = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("a `{{` has no `}}`")?;
        if name.trim() != "generic_api_key" {
            return Err("only {{generic_api_key}} is filled in");
        }
        made.push_str(before);
        made.push_str("{{ cred.api_key }}");
        has_key = true;
        rest = after;
    }
    made.push_str(rest);
    if made.replace("{{ cred.api_key }}", "").contains(['{', '}']) {
        return Err("braces stand for {{generic_api_key}} alone");
    }
    Ok((made, has_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_key_goes_where_the_headers_say() {
        let given = headers(&[("Authorization", "Token {{generic_api_key}}"), ("X-Team", "a")]);
        let scheme = key_scheme(&given, Some("Key"), None).unwrap();
        assert_eq!(
            scheme,
            json!({"scheme": "API_KEY",
                "connect_fields": [{"name": "generic_api_key", "secret": true, "label": "Key"}],
                "inject": {"headers": {"Authorization": "Token {{ cred.api_key }}", "X-Team": "a"}}})
        );
    }

    #[test]
    fn headers_are_no_templates_otherwise() {
        for (name, text) in [
            ("X-Key", "{{ cred.access_token }}"),
            ("X-Key", "{{generic_api_key}} {% for x in y %}"),
            ("X-Key", "{{generic_api_key"),
            ("X-Key", "{{generic_api_key}}\r\nX: y"),
            ("X-Key", "no key"),
            ("Host", "{{generic_api_key}}"),
            ("mcp-session-id", "{{generic_api_key}}"),
            ("X Y", "{{generic_api_key}}"),
            ("", "{{generic_api_key}}"),
        ] {
            assert!(key_scheme(&headers(&[(name, text)]), None, None).is_err(), "{name}: {text}");
        }
        assert!(key_scheme(&[], None, None).is_err());
    }
}
