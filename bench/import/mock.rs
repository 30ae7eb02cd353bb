//! The mock server, and the calls that are sent to it.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use patchbay::catalog::{Files, LoadedFile, Scope, Tool, Toolkit};
use patchbay::config::load_from;
use patchbay::domain::outbound::{OutboundRequest, OutboundResponse};
use patchbay::domain::scheme::AuthSchemeKind;
use patchbay::net::Client;
use serde_json::{Map, Value, json};
use url::Url;

use crate::sample::Samples;

/// Operations of one description that are called; of larger ones evenly many.
const MOST_CALLS: usize = 1_000;

/// Operations that one mock server is asked about: it reads some descriptions for hours.
const PER_MOCK: usize = 50;

/// How long a mock server may take to read those, in seconds.
const MOST_START: u64 = 120;

/// Calls that were sent, and how many of them were taken.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub struct Calls {
    pub sent: usize,
    pub accepted: usize,
}

struct Mock {
    child: Child,
    port: u16,
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mock {
    fn is_there(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    async fn start(file: &Path, prism: &Path) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("node")
            .arg("--max-old-space-size=6000")
            .arg(prism)
            .args(["mock", "-h", "127.0.0.1", "-p", &port.to_string(), "--verboseLevel", "fatal"])
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut mock = Self { child, port };
        for _ in 0..MOST_START * 2 {
            if !mock.is_there() {
                return None;
            }
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(mock);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        None
    }
}

fn client() -> Client {
    let env: BTreeMap<String, String> =
        [("PATCHBAY_EGRESS_ALLOW", "127.0.0.1"), ("PATCHBAY_OUTBOUND_TIMEOUT_S", "10")]
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
    Client::new(&load_from(&env).unwrap()).unwrap()
}

/// Sends a call of every tool: with what it needs, and with everything that it takes.
///
/// An account is connected by one of the toolkit's schemes, and not every operation takes all of them: a
/// call that is answered with 401 is sent again with the next one.
pub async fn calls(file: &Path, prism: &Path, toolkit: &Toolkit, log: &Path) -> [Calls; 2] {
    let reduced = log.with_extension("requests.json");
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let client = client();
    let mut report = String::new();
    let mut out = [Calls::default(), Calls::default()];
    let mut samples = [Samples::new(), Samples::new()];
    let every = toolkit.tools.len().div_ceil(MOST_CALLS).max(1);
    let tools: Vec<_> = toolkit.tools.iter().step_by(every).map(|e| e.open().unwrap()).collect();
    for tools in tools.chunks(PER_MOCK) {
        let origins = tools.iter().filter_map(|tool| tool.def.origin.as_deref()).collect();
        let part = requests_only(document.clone(), &origins);
        std::fs::write(&reduced, part.to_string()).unwrap();
        let Some(mut mock) = Mock::start(&reduced, prism).await else {
            out.iter_mut().for_each(|calls| calls.sent += tools.len());
            let first = tools.first().map(|tool| tool.slug()).unwrap_or_default();
            let count = tools.len();
            writeln!(report, "{count} from {first}: the mock server does not start").unwrap();
            continue;
        };
        for (calls, (all, samples)) in
            out.iter_mut().zip([false, true].into_iter().zip(&mut samples))
        {
            calls.sent += tools.len();
            let mut ready = Vec::new();
            for tool in tools {
                match requests(toolkit, tool, all, samples, mock.port) {
                    Ok(requests) => ready.push((tool, requests)),
                    Err(why) => writeln!(report, "{all} {}: not sent: {why}", tool.slug()).unwrap(),
                }
            }
            let mut is_stuck = true;
            let mut done: Vec<_> = stream::iter(ready)
                .map(|(tool, requests)| {
                    let client = client.clone();
                    async move {
                        let verdict = sent(&client, &requests).await;
                        (tool, requests, verdict)
                    }
                })
                .buffer_unordered(4)
                .collect()
                .await;
            // Some requests end the mock server or keep it busy for good, and those that were under way with them
            // are no worse for it.
            for (tool, requests, verdict) in &mut done {
                if matches!(verdict, Verdict::Nothing(_)) {
                    if (is_stuck || !mock.is_there())
                        && let Some(again) = Mock::start(&reduced, prism).await
                    {
                        mock = again;
                    }
                    for request in requests.iter_mut() {
                        request.url.set_port(Some(mock.port)).unwrap();
                    }
                    *verdict = sent(&client, requests).await;
                    is_stuck = matches!(verdict, Verdict::Nothing(_));
                }
                match verdict {
                    Verdict::Accepted => calls.accepted += 1,
                    Verdict::Refused(why) | Verdict::Nothing(why) => {
                        let last = requests.last().unwrap();
                        let shown = format!("{} {} {:?}", last.method, last.url, body(last));
                        writeln!(report, "{all} {}: {shown}\n    {why}", tool.slug()).unwrap();
                    }
                }
            }
        }
    }
    std::fs::write(log, report).unwrap();
    out
}

/// Some descriptions tell operations with one path apart by a fragment, which is sent to nobody. The mock server
/// takes it for a part of the path, and does not find it behind a placeholder: it is a segment here.
fn with_fragment(path: &str, fragment: &str) -> String {
    format!("{}/_{fragment}", path.trim_end_matches('/'))
}

/// What a reference points to: its pointer, without percent-encoding.
fn pointer(reference: &str) -> String {
    let pointer = reference.trim_start_matches('#');
    percent_encoding::percent_decode_str(pointer).decode_utf8_lossy().into_owned()
}

/// The operations of `origins` (`POST /path`) of a description, without the bodies of their answers and without
/// what nothing refers to any more. The mock server is asked about requests; it needs hours for the answers
/// of some, and does not come to an end with some whole descriptions.
fn requests_only(mut document: Value, origins: &HashSet<&str>) -> Value {
    // Some refer to the schema of another operation's answer.
    let text = document.to_string();
    let within: HashSet<String> = text
        .split("\"#/paths/")
        .skip(1)
        .filter_map(|tail| tail.split('"').next())
        .map(pointer)
        .collect();
    let named = |name: &str| name.replace('~', "~0").replace('/', "~1");
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, item) in paths.iter_mut() {
            let Some(item) = item.as_object_mut() else { continue };
            item.retain(|method, operation| {
                let at = format!("{}/{method}/", named(path));
                operation.get("responses").is_none()
                    || origins.contains(format!("{} {path}", method.to_uppercase()).as_str())
                    || within.iter().any(|known| known.starts_with(&at))
            });
            for (method, operation) in item {
                let at = format!("{}/{method}/responses/", named(path));
                let Some(operation) = operation.as_object_mut() else { continue };
                operation.remove("callbacks");
                if operation.contains_key("responses") && !within.iter().any(|r| r.starts_with(&at))
                {
                    let good = json!({"200": {"description": "Good"}});
                    operation.insert("responses".to_owned(), good);
                }
            }
        }
        paths.retain(|path, item| {
            let is_operation = |operation: &Value| operation.get("responses").is_some();
            item.as_object().is_some_and(|item| item.values().any(is_operation))
                || within.iter().any(|known| known.starts_with(&named(path)))
        });
        let renamed = std::mem::take(paths).into_iter().map(|(path, item)| {
            let path = match path.split_once('#') {
                Some((path, fragment)) => with_fragment(path, fragment),
                None => path,
            };
            (path, item)
        });
        *paths = renamed.collect();
    }
    if let Some(document) = document.as_object_mut() {
        document.retain(|key, _| !key.starts_with("x-"));
    }
    let mut used: HashSet<String> = HashSet::new();
    let mut open = vec![document.get("paths").cloned().unwrap_or_default()];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            // `$ref`, and what a discriminator leads to.
            Value::String(text) if text.starts_with("#/") => {
                let pointer = pointer(&text);
                // What a part of a schema is needed for keeps the whole of it.
                let parts = if pointer.starts_with("/components/") { 4 } else { 3 };
                let whole: Vec<&str> = pointer.split('/').take(parts).collect();
                let whole =
                    if pointer.starts_with("/paths/") { None } else { Some(whole.join("/")) };
                for pointer in whole.into_iter().chain([pointer]) {
                    if used.insert(pointer.clone()) {
                        open.extend(document.pointer(&pointer).cloned());
                    }
                }
            }
            Value::Object(fields) => open.extend(fields.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
    let is_used = |at: &str| {
        let part = |known: &String| known == at || known.starts_with(&format!("{at}/"));
        used.contains(at) || used.iter().any(part)
    };
    let mut sections: Vec<String> = vec!["/definitions".into(), "/responses".into()];
    if let Some(Value::Object(components)) = document.get("components") {
        let kept = |name: &&String| name.as_str() != "securitySchemes";
        sections.extend(components.keys().filter(kept).map(|name| format!("/components/{name}")));
    }
    for at in sections {
        if let Some(Value::Object(section)) = document.pointer_mut(&at) {
            section.retain(|name, _| is_used(&format!("{at}/{}", named(name))));
        }
    }
    document
}

/// What became of a call.
enum Verdict {
    Accepted,
    Refused(String),
    /// There was no answer.
    Nothing(String),
}

/// Sends a call with one scheme after the other, until it is not for its credentials that it is refused.
async fn sent(client: &Client, requests: &[OutboundRequest]) -> Verdict {
    let mut last = Verdict::Nothing(String::new());
    for request in requests {
        last = match client.notify(request.clone()).await {
            Ok(answer) => judged(&answer),
            Err(e) => return Verdict::Nothing(e.to_string()),
        };
        if !matches!(&last, Verdict::Refused(why) if why.starts_with("401")) {
            break;
        }
    }
    last
}

/// Whether the mock server took a request: it says what is wrong with one in a header, or answers with an
/// error of its own.
fn judged(answer: &OutboundResponse) -> Verdict {
    let text = String::from_utf8_lossy(&answer.body);
    let told = answer.headers.get("sl-violations");
    let told = told.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let told = told.filter(|told| told.contains("[\"request")).unwrap_or_default();
    if told.is_empty() && (200..300).contains(&answer.status) {
        return Verdict::Accepted;
    }
    let text: String = text.chars().take(500).collect();
    Verdict::Refused(format!("{} {told} {text}", answer.status))
}

fn body(request: &OutboundRequest) -> String {
    use patchbay::domain::outbound::OutboundBody::{Empty, Form, Json, Multipart, Raw};
    let text = match &request.body {
        Empty => String::new(),
        Json(value) => value.to_string(),
        Form(pairs) => format!("{pairs:?}"),
        Multipart(parts) => parts.iter().map(|part| part.name.clone() + " ").collect(),
        Raw { content_type, .. } => content_type.clone(),
    };
    text.chars().take(400).collect()
}

/// The request of a call, with the credentials of each of the toolkit's schemes.
fn requests(
    toolkit: &Toolkit,
    tool: &Tool,
    all: bool,
    samples: &mut Samples,
    port: u16,
) -> Result<Vec<OutboundRequest>, String> {
    let mut args = tool
        .check_arguments(samples.arguments(tool, all))
        .map_err(|problems| problems.join("; "))?;
    let conn: Map<String, Value> = toolkit
        .connection_names()
        .into_iter()
        .filter(|name| name == "host")
        .map(|name| (name, "api.example.com".into()))
        .collect();
    let file =
        LoadedFile { name: "a.txt".into(), mimetype: "text/plain".into(), content: "text".into() };
    let files = Files::from([("sample".to_owned(), file)]);
    tool.put_files(&mut args, &files)?;
    let scope = Scope { args: &args, conn: conn.clone(), steps: Map::new(), item: None };
    let request = tool.render_with(toolkit, 0, &scope, &files)?;
    let names = ["access_token", "token", "api_key", "generic_api_key", "username", "password"];
    let more = toolkit.file.auth.iter().flat_map(|s| &s.connect_fields).map(|f| f.name.as_str());
    let cred: Map<String, Value> =
        names.into_iter().chain(more).map(|name| (name.to_owned(), "sample".into())).collect();
    let kinds = toolkit.file.auth.iter().map(|s| s.scheme).filter(|k| *k != AuthSchemeKind::NoAuth);
    let mut out = Vec::new();
    for injection in kinds.filter_map(|kind| toolkit.injection(kind)) {
        let mut request = request.clone();
        injection.render(&cred, &conn)?.apply(&mut request, None);
        out.push(request);
    }
    if out.is_empty() {
        out.push(request);
    }
    for request in &mut out {
        redirect(toolkit, tool, &conn, port, request)?;
    }
    Ok(out)
}

/// Sends a request to the mock server, which has the paths of the description without that of its server.
fn redirect(
    toolkit: &Toolkit,
    tool: &Tool,
    conn: &Map<String, Value>,
    port: u16,
    request: &mut OutboundRequest,
) -> Result<(), String> {
    let own = tool
        .def
        .request
        .as_ref()
        .and_then(|r| r.base_url.as_deref())
        .and_then(|u| Url::parse(u).ok());
    let base = own.map_or_else(|| toolkit.base_url(conn), Ok)?;
    let prefix = base.path().trim_end_matches('/').to_owned();
    let path =
        request.url.path().strip_prefix(prefix.as_str()).unwrap_or(request.url.path()).to_owned();
    request.url.set_scheme("http").map_err(|()| "scheme")?;
    request.url.set_host(Some("127.0.0.1")).map_err(|e| e.to_string())?;
    request.url.set_port(Some(port)).map_err(|()| "port")?;
    request.url.set_path(&path);
    let origin = tool.def.origin.as_deref().unwrap_or_default();
    if let Some((_, fragment)) = origin.split_once('#') {
        let path = with_fragment(request.url.path(), fragment);
        request.url.set_path(&path);
    }
    Ok(())
}
