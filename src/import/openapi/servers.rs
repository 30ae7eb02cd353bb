//! Servers and their variables as the root of requests and fields of the connection.

use serde_json::{Map, Value, json};
use url::Url;

use super::{Api, Operation, said, sparse, words};
use crate::import::{Options, text};

/// Choices of variables that are multiplied out to host names.
const MOST_HOSTS: usize = 60;

/// Where requests go.
#[derive(Default)]
pub(super) struct Servers {
    /// `base_url` of the toolkit.
    pub base_url: String,
    /// Hosts that it may lie on, and those of other servers.
    pub hosts: Vec<String>,
    /// Fields of the connection.
    pub fields: Vec<Value>,
}

/// A server's URL, taken apart.
struct Parts {
    scheme: String,
    host: String,
    path: String,
}

impl Servers {
    /// Of a description.
    pub(super) fn of(api: &Api<'_>, options: &Options) -> Self {
        let mut servers = Self::default();
        let list = api.root.get("servers").and_then(Value::as_array);
        let list: Vec<&Map<String, Value>> =
            list.into_iter().flatten().filter_map(Value::as_object).collect();
        let absolute = |server: &&&Map<String, Value>| {
            said(server, "url").is_some_and(|url| url.contains("://"))
        };
        let secure = |server: &&&Map<String, Value>| {
            said(server, "url").is_some_and(|url| url.starts_with("https:"))
        };
        let first = list.iter().find(absolute);
        // The same server is often listed with and without TLS.
        let same = first.and_then(|first| {
            let rest = said(first, "url")?.split_once("://")?.1;
            list.iter().filter(secure).find(|s| {
                said(s, "url").is_some_and(|u| u.split_once("://").is_some_and(|(_, r)| r == rest))
            })
        });
        let server = same.or(first).or_else(|| list.first());
        let url = server.and_then(|server| said(server, "url")).unwrap_or("/");
        let empty = Map::new();
        let variables = server
            .and_then(|server| server.get("variables"))
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let given = options.base_url.as_deref().and_then(fixed);
        let source = options.source_url.as_deref().and_then(|url| Url::parse(url).ok());
        match given {
            Some(given) => servers.base_url = given.as_str().trim_end_matches('/').to_owned(),
            None => servers.read(api, url, variables, source.as_ref()),
        }
        for other in &list {
            let url = said(other, "url")
                .and_then(fixed)
                .filter(|url| url.scheme() == "https" && url.port().is_none());
            servers.allow(url.as_ref().and_then(Url::host_str));
        }
        for host in &options.allow {
            servers.allow(Some(host));
        }
        servers
    }

    fn allow(&mut self, host: Option<&str>) {
        let plain = |host: &&str| {
            let name = host.strip_prefix("*.").unwrap_or(host);
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        };
        if let Some(host) = host.filter(plain)
            && !self.hosts.iter().any(|known| known == host)
            && self.hosts.len() < 100
        {
            self.hosts.push(host.to_owned());
        }
    }

    fn read(
        &mut self,
        api: &Api<'_>,
        url: &str,
        variables: &Map<String, Value>,
        source: Option<&Url>,
    ) {
        let url = substituted(url, variables);
        let url = url.split(['?', '#']).next().unwrap_or_default().trim();
        let absolute = match (url.strip_prefix("//"), url.contains("://")) {
            (Some(rest), _) => Some(format!("https://{rest}")),
            (None, true) => Some(url.to_owned()),
            (None, false) => source
                .filter(|source| matches!(source.scheme(), "http" | "https"))
                .and_then(|source| {
                    Some(format!(
                        "{}://{}/{}",
                        source.scheme(),
                        authority(source)?,
                        url.trim_start_matches('/')
                    ))
                }),
        };
        let parts = absolute.as_deref().and_then(parts);
        let Some(parts) = parts else {
            api.note("The description names no server: each connection says which host it is for.");
            let path = if url.contains("://") { "" } else { url };
            return self.own(path, variables, None);
        };
        let plain = !parts.host.contains('{');
        if plain && !is_placeholder(&parts.host) {
            let path = self.path(&parts.path, variables);
            if parts.scheme == "http" {
                api.note("The description's server has no TLS: credentials are sent in the clear.");
            }
            let root = format!("{}://{}", parts.scheme, parts.host);
            if fixed(&root).is_some() {
                self.base_url = format!("{root}{path}");
                if !self.fields.is_empty() {
                    // What is templated has to be on a host that is named.
                    self.base_url = format!("https://{}{path}", parts.host);
                    self.allow(Some(&parts.host));
                }
                return;
            }
            return self.own(&parts.path, variables, None);
        }
        if plain {
            return self.own(&parts.path, variables, Some(&parts.host));
        }
        let hosts = hosts(&parts.host, variables);
        if hosts.is_empty() {
            let usual = filled(&parts.host, variables);
            return self.own(&parts.path, variables, usual.as_deref());
        }
        for host in &hosts {
            self.allow(Some(host));
        }
        let host = self.template(&parts.host, variables, true);
        let path = self.path(&parts.path, variables);
        self.base_url = format!("https://{host}{path}");
    }

    /// Somebody's own server: the connection says which.
    fn own(&mut self, path: &str, variables: &Map<String, Value>, usual: Option<&str>) {
        let usual = usual.filter(|host| host.len() <= 200);
        let known = usual.filter(|host| !is_placeholder(host));
        let help = match usual {
            Some(host) => format!("Host name of the server, such as {host}."),
            None => "Host name of the server, such as api.example.com.".to_owned(),
        };
        self.fields.push(sparse(json!({
            "name": "host",
            "label": "Host",
            "description": help,
            "default": known,
            "host": true,
        })));
        let path = self.path(path, variables);
        self.base_url = format!("https://{{{{ conn.host }}}}{path}");
    }

    /// A path, starting with a slash or empty, with the variables as templates.
    fn path(&mut self, path: &str, variables: &Map<String, Value>) -> String {
        let path = self.template(path, variables, false);
        let path = path.trim_end_matches('/');
        if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
    }

    /// Text with `{variables}` as text with templates; a field for each.
    fn template(&mut self, source: &str, variables: &Map<String, Value>, host: bool) -> String {
        let mut out = String::new();
        let mut rest = source;
        while let Some((literal, tail)) = rest.split_once('{') {
            out.push_str(&safe(literal));
            let Some((name, after)) = tail.split_once('}') else { break };
            rest = after;
            let variable = variables.get(name).and_then(Value::as_object);
            let field: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .take(60)
                .collect();
            let field = if field.starts_with(|c: char| c.is_ascii_alphabetic()) {
                field
            } else {
                format!("server_{field}")
            };
            let usual = variable.and_then(|v| scalar(v.get("default"))).filter(|d| is_part(d));
            let choices = variable.map(choices).unwrap_or_default();
            let words_of = variable.and_then(|v| said(v, "description")).unwrap_or_default();
            if !self.fields.iter().any(|known| known["name"] == *field) {
                self.fields.push(sparse(json!({
                    "name": field,
                    "label": words(name),
                    "description": text::clean(words_of, text::ARGUMENT),
                    "default": usual.clone().filter(|d| choices.is_empty() || choices.contains(d)),
                    "enum": choices,
                    "pattern": if choices.is_empty() && host { "[A-Za-z0-9._-]+" } else { "" },
                })));
            }
            match usual {
                Some(usual) => out.push_str(&format!("{{{{ conn.{field} or '{usual}' }}}}")),
                None => out.push_str(&format!("{{{{ conn.{field} }}}}")),
            }
        }
        if !rest.contains('{') || !rest.contains('}') {
            out.push_str(&safe(rest));
        }
        out
    }

    /// The root of an operation that has servers of its own.
    pub(super) fn of_operation(&self, api: &Api<'_>, operation: &Operation<'_>) -> Option<String> {
        let own = operation.value.get("servers").or_else(|| operation.item.get("servers"))?;
        let server = own.as_array()?.iter().filter_map(Value::as_object).next()?;
        let empty = Map::new();
        let variables = server.get("variables").and_then(Value::as_object).unwrap_or(&empty);
        let url = filled(&substituted(said(server, "url")?, variables), variables)?;
        let root = fixed(&url);
        match root {
            Some(url) => {
                let url = url.as_str().trim_end_matches('/').to_owned();
                (url != self.base_url).then_some(url)
            }
            None => {
                api.repaired(
                    &operation.at,
                    "a server of its own that is no full address; the usual one is taken",
                );
                None
            }
        }
    }
}

/// An address without variables that requests can go to.
fn fixed(url: &str) -> Option<Url> {
    let url = url.split(['?', '#']).next().unwrap_or_default().trim();
    if url.contains(['{', '}', '<', '>']) {
        return None;
    }
    let url = Url::parse(url).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    (plain && matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn scalar(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a text can stand in an address as it is, and in a template within quotes.
fn is_part(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/~".contains(c))
}

fn choices(variable: &Map<String, Value>) -> Vec<String> {
    let list = variable.get("enum").and_then(Value::as_array);
    let mut out: Vec<String> = Vec::new();
    for choice in list.into_iter().flatten().filter_map(|value| scalar(Some(value))) {
        if is_part(&choice) && !out.contains(&choice) && out.len() < 100 {
            out.push(choice);
        }
    }
    out
}

/// Text that opens no template.
fn safe(text: &str) -> String {
    text.replace(['{', '}'], "").replace(' ', "%20")
}

/// The URL without the variables that are no question: schemes, ports, whole paths, single choices.
fn substituted(url: &str, variables: &Map<String, Value>) -> String {
    let mut out = url.to_owned();
    for (name, variable) in variables.iter().take(50) {
        let Some(variable) = variable.as_object() else { continue };
        let mark = format!("{{{name}}}");
        let Some(place) = out.find(&mark) else { continue };
        let usual = scalar(variable.get("default")).unwrap_or_default();
        let listed = choices(variable);
        let scheme = out[place + mark.len()..].starts_with("://");
        let port = out[..place].ends_with(':');
        let value = if scheme {
            if listed.iter().any(|c| c == "https") || usual.is_empty() {
                "https".to_owned()
            } else {
                usual
            }
        } else if port || usual.starts_with('/') || usual.contains("://") {
            usual
        } else if let [single] = listed.as_slice() {
            single.clone()
        } else if usual.is_empty() && listed.is_empty() && variable.get("default").is_some() {
            String::new()
        } else {
            continue;
        };
        out = out.replace(&mark, &value);
    }
    out
}

/// The URL with every variable's default.
fn filled(url: &str, variables: &Map<String, Value>) -> Option<String> {
    let mut out = url.to_owned();
    for (name, variable) in variables.iter().take(50) {
        let usual = variable.get("default");
        if let Some(usual) = scalar(usual) {
            out = out.replace(&format!("{{{name}}}"), &usual);
        }
    }
    (!out.contains('{')).then_some(out)
}

fn parts(url: &str) -> Option<Parts> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = if scheme.eq_ignore_ascii_case("http") { "http" } else { "https" };
    let (host, path) = match rest.find('/') {
        Some(i) => rest.split_at(i),
        None => (rest, ""),
    };
    let host = host.rsplit('@').next().unwrap_or_default();
    let good = |c: char| {
        c.is_ascii_alphanumeric() || "-._:{}[]".contains(c) || (c == ' ' && host.contains('{'))
    };
    let usable = !host.is_empty() && host.chars().all(good);
    usable.then(|| Parts {
        scheme: scheme.to_owned(),
        host: host.to_owned(),
        path: path.to_owned(),
    })
}

/// A host that stands for somebody's own.
fn is_placeholder(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let reserved = ["localhost", "example.com", "example.org", "example.net"];
    let ends = [".local", ".localhost", ".test", ".invalid", ".example", ".internal"];
    reserved.iter().any(|r| name == *r || name.ends_with(&format!(".{r}")))
        || ends.iter().any(|end| name.ends_with(end))
        || ["your-", "your_", "yourdomain", "yourcompany", "my-domain", "mydomain"]
            .iter()
            .any(|mark| name.contains(mark))
        || name.parse::<std::net::Ipv4Addr>().is_ok()
        || !name.contains('.')
}

/// Host names that a templated one may come out as; none when they cannot be told.
fn hosts(host: &str, variables: &Map<String, Value>) -> Vec<String> {
    if host.contains(':') {
        return Vec::new();
    }
    let tail = host.rsplit('}').next().unwrap_or_default();
    // The part behind the variables fences them in where it is somebody's own domain.
    if let Some(domain) = tail.find('.').map(|i| &tail[i + 1..])
        && domain.contains('.')
    {
        return vec![format!("*.{domain}")];
    }
    let mut out = vec![host.to_owned()];
    for (name, variable) in variables {
        let mark = format!("{{{name}}}");
        if !host.contains(&mark) {
            continue;
        }
        let listed = variable.as_object().map(choices).unwrap_or_default();
        if listed.is_empty() && host.starts_with(&mark) && host[mark.len()..].starts_with('.') {
            out.iter_mut().for_each(|h| *h = h.replace(&mark, "*"));
            continue;
        }
        out = out.iter().flat_map(|h| listed.iter().map(|c| h.replace(&mark, c))).collect();
        if out.len() > MOST_HOSTS {
            return Vec::new();
        }
    }
    let fenced = |host: &String| !host.contains('{') && host.trim_start_matches("*.").contains('.');
    if out.iter().all(fenced) { out } else { Vec::new() }
}
