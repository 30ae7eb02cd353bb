//! Where requests may go. Credentials leave only for the toolkit's own hosts, or for the ones
//! that the operator put in their place.

use serde_json::{Map, Value};
use url::Url;

use super::model::ToolkitFile;
use super::template::{Names, Text};
use crate::config::providers::Provider;

/// Root of a toolkit's requests.
#[derive(Debug)]
pub(super) struct Base {
    root: Root,
    /// The operator's root.
    replacement: Option<Url>,
}

#[derive(Debug)]
enum Root {
    Fixed(Url),
    Template(Text),
}

/// Hosts besides the one of the base URL.
#[derive(Debug)]
pub(super) struct Hosts {
    /// Of the definition: https on the usual port.
    definition: Vec<String>,
    /// Of the operator: any scheme and, unless one is named, any port.
    operator: Vec<String>,
    /// Fields that hold the host of somebody's own server.
    own: Vec<String>,
}

impl Base {
    /// Compiles the `base_url` of a toolkit or a request.
    pub fn compile(source: &str, provider: Option<&Provider>) -> Result<Self, String> {
        let replacement = match provider.and_then(|p| p.base_url.as_deref()) {
            Some(text) => Some(Url::parse(text).map_err(|e| format!("base_url override: {e}"))?),
            None => None,
        };
        let text = Text::compile(source)?;
        let root = match text {
            Text::Literal(plain) => {
                let mut url = clean(&plain)?;
                if let Some(new) = &replacement {
                    url = replaced(&url, new);
                }
                Root::Fixed(url)
            }
            template => Root::Template(template),
        };
        Ok(Self { root, replacement })
    }

    /// Names that a templated root asks for.
    pub fn names(&self) -> std::collections::HashSet<String> {
        match &self.root {
            Root::Fixed(_) => std::collections::HashSet::new(),
            Root::Template(text) => text.names(),
        }
    }

    /// Whether it is the same for every connection.
    pub fn is_fixed(&self) -> bool {
        matches!(self.root, Root::Fixed(_))
    }

    /// The root for a connection. One that is made of connection fields must lie on a host that
    /// the definition or the operator names.
    pub fn url(&self, hosts: &Hosts, conn: &Map<String, Value>) -> Result<Url, String> {
        let text = match &self.root {
            Root::Fixed(url) => return Ok(url.clone()),
            Root::Template(text) => text,
        };
        let rendered = text
            .text(&Names::of_conn(conn))
            .and_then(|text| clean(text.as_deref().unwrap_or_default()));
        match (&self.replacement, rendered) {
            (Some(new), Ok(url)) => Ok(replaced(&url, new)),
            (Some(new), Err(_)) => Ok(new.clone()),
            (None, Ok(url)) if hosts.allows(&url, conn) => Ok(url),
            (None, Ok(url)) => Err(format!(
                "the connection's fields lead to {}, which is not a host of this toolkit",
                url.host_str().unwrap_or("no host")
            )),
            (None, Err(problem)) => {
                Err(format!("the connection's fields make no valid address: {problem}"))
            }
        }
    }
}

impl Hosts {
    /// Of a toolkit.
    pub fn new(file: &ToolkitFile, provider: Option<&Provider>) -> Self {
        let lower = |list: &[String]| list.iter().map(|host| host.to_lowercase()).collect();
        // With a root of the operator's the service's own hosts are out: the credentials are for
        // the replacement.
        let replaced = provider.is_some_and(|p| p.base_url.is_some());
        let definition = if replaced { Vec::new() } else { lower(&file.hosts) };
        let operator = provider.map(|p| lower(&p.hosts)).unwrap_or_default();
        let fields = file.auth.iter().flat_map(|s| s.connect_fields.iter().chain(&s.config_fields));
        let own = fields.filter(|f| f.host && !replaced).map(|f| f.name.clone()).collect();
        Self { definition, operator, own }
    }

    /// Whether a pattern, or a field for the host of one's own server, allows the host of `url`.
    pub fn allows(&self, url: &Url, conn: &Map<String, Value>) -> bool {
        let Some(host) = url.host_str().map(str::to_lowercase) else { return false };
        if !url.username().is_empty() || url.password().is_some() {
            return false;
        }
        let usual = url.scheme() == "https" && url.port().is_none();
        let named = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let own = self.own.iter().filter_map(|field| conn.get(field)?.as_str());
        (usual && self.definition.iter().any(|pattern| matches(pattern, &host)))
            || (url.scheme() == "https" && own.into_iter().any(|o| o.eq_ignore_ascii_case(&named)))
            || self.operator.iter().any(|pattern| operator_allows(pattern, &host, url))
    }
}

/// Whether scheme, host and port are the same, without credentials in the address.
pub(super) fn same_origin(base: &Url, url: &Url) -> bool {
    base.scheme() == url.scheme()
        && base.host_str().map(str::to_lowercase) == url.host_str().map(str::to_lowercase)
        && base.port_or_known_default() == url.port_or_known_default()
        && url.username().is_empty()
        && url.password().is_none()
}

fn operator_allows(pattern: &str, host: &str, url: &Url) -> bool {
    if matches(pattern, host) {
        return true;
    }
    let Some((name, port)) = pattern.rsplit_once(':') else { return false };
    port.parse().ok() == url.port_or_known_default() && matches(name, host)
}

fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            host.strip_suffix(parent).is_some_and(|sub| sub.len() > 1 && sub.ends_with('.'))
        }
        None => pattern == host,
    }
}

fn clean(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|e| e.to_string())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err("must be an http or https URL without user, query and fragment".into());
    }
    Ok(url)
}

/// `url` at another origin; its path stays unless the replacement has one.
fn replaced(url: &Url, new: &Url) -> Url {
    let mut result = new.clone();
    if matches!(new.path(), "" | "/") {
        result.set_path(url.path());
    }
    result
}

/// `base` with a path (encoded, starting with a slash) below it.
pub(super) fn join(base: &Url, path: &str) -> Result<Url, String> {
    let root = base.as_str().trim_end_matches('/');
    let url = Url::parse(&format!("{root}{path}")).map_err(|e| format!("no valid URL: {e}"))?;
    if !same_origin(base, &url) {
        return Err("the path leads away from the toolkit's host".into());
    }
    Ok(url)
}
