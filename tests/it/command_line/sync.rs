//! `toolkits sync` with a package and a registry of the test's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha512};
use tokio::sync::Notify;

use super::{Said, command, description, installed, toolkits};
use crate::support::TestApp;
use crate::support::client::TestClient;

/// The toolkits of the package, in the order in which they are taken.
const SLUGS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A package with a description for each slug, one that is none, and one that is left out.
fn package() -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    let mut put = |name: &str, text: String| {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("package/{name}"), text.as_bytes()).unwrap();
    };
    put("package.json", "{}".to_owned());
    for slug in SLUGS {
        let text = description(slug, &["List things", "Get it"]).to_string();
        put(&format!("api/{slug}.example.com.json"), text);
    }
    put("api/none.com.json", r#"{"info": "none"}"#.to_owned());
    put("api/old.com.json", description("old", &["Get it"]).to_string());
    builder.into_inner().unwrap().finish().unwrap()
}

/// A registry that has the package, and a plan that takes it.
struct Registry {
    folder: tempfile::TempDir,
    plan: PathBuf,
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let package = package();
        let digest = STANDARD.encode(Sha512::digest(&package));
        let plan = folder.path().join("plan.yaml");
        let slugs = SLUGS.map(|slug| format!("{slug}.example.com: {slug}")).join(", ");
        let text = format!(
            "packages:\n  - name: '@acme/apis'\n    version: 1.0.0\n    integrity: sha512-{digest}\n    \
             folder: api\n    slugs: {{{slugs}}}\n    left_out: {{old.com: it is old}}\n"
        );
        std::fs::write(&plan, text).unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let state = (Arc::clone(&asked), Bytes::from(package));
        async fn give(
            State((asked, package)): State<(Arc<Mutex<Vec<String>>>, Bytes)>,
            OriginalUri(uri): OriginalUri,
        ) -> Response {
            asked.lock().unwrap().push(uri.path().to_owned());
            match uri.path() {
                "/@acme/apis/-/apis-1.0.0.tgz" => package.into_response(),
                _ => StatusCode::NOT_FOUND.into_response(),
            }
        }
        let url = serve(Router::new().fallback(give).with_state(state)).await;
        Self { folder, plan, url, asked }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["sync", "--plan", self.plan.to_str().unwrap(), "--registry", &self.url];
        args.extend(more);
        args
    }

    async fn sync(&self, app: &TestApp, more: &[&str]) -> Said {
        toolkits(app, self.path(), &self.args(more)).await
    }
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn each_once(slugs: &[&str]) -> Vec<(String, usize)> {
    slugs.iter().map(|slug| ((*slug).to_owned(), 1)).collect()
}

#[tokio::test]
async fn packages_are_installed_up_to_a_limit_and_what_is_there_is_left_alone() {
    let (app, registry) = (TestApp::new().await, Registry::start().await);
    let said = registry.sync(&app, &["--list"]).await;
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 7, "{said:?}");
    assert_eq!(lines[0], "a api/a.example.com.json");
    assert_eq!(installed(&app).await, []);

    let said = registry.sync(&app, &["--limit", "2"]).await;
    assert!(said.good, "{said:?}");
    assert!(said.out.contains("2 toolkits with 4 tools installed, of 4 operations"), "{said:?}");
    assert!(said.out.contains("There is more"), "{said:?}");
    assert_eq!(installed(&app).await, each_once(&["a", "b"]));

    let report = registry.path().join("report.json");
    let said = registry.sync(&app, &["--report", report.to_str().unwrap()]).await;
    assert!(said.out.contains("4 toolkits with 8 tools installed"), "{said:?}");
    assert!(said.out.contains("2 were there already"), "{said:?}");
    assert!(said.out.contains("Left out, 1: it is old"), "{said:?}");
    assert!(said.out.contains("npm:@acme/apis@1.0.0/api/none.com.json: "), "{said:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["installed"].as_array().unwrap().len(), 4);
    assert_eq!(report["there"], serde_json::json!(["a", "b"]));
    assert_eq!(report["failed"].as_object().unwrap().len(), 1);
    assert_eq!(installed(&app).await, each_once(&SLUGS));

    let said = registry.sync(&app, &[]).await;
    assert!(said.out.contains("0 toolkits with 0 tools installed"), "{said:?}");
    assert!(said.out.contains("6 were there already"), "{said:?}");
    // What is sent again and is the same makes no version.
    let said = registry.sync(&app, &["--again", "--only", "a,c"]).await;
    assert!(said.out.contains("2 toolkits with 4 tools installed"), "{said:?}");
    assert_eq!(installed(&app).await, each_once(&SLUGS));
    // One package, fetched once.
    assert_eq!(*registry.asked.lock().unwrap(), ["/@acme/apis/-/apis-1.0.0.tgz"]);
    // What the operator has is for everybody, and can be taken away.
    app.client().get("/api/v3/tools/A_GET_IT").await.expect(200);
    let said = toolkits(&app, registry.path(), &["remove", "a", "--for-server"]).await;
    assert!(said.good, "{said:?}");
    let said = registry.sync(&app, &["--only", "a"]).await;
    assert!(said.out.contains("1 toolkits with 2 tools installed"), "{said:?}");
}

#[tokio::test]
async fn a_package_with_another_digest_is_not_taken() {
    let (app, registry) = (TestApp::new().await, Registry::start().await);
    let plan = std::fs::read_to_string(&registry.plan).unwrap();
    let other = format!("sha512-{}", STANDARD.encode(Sha512::digest("another")));
    let at = plan.find("sha512-").unwrap();
    let end = at + plan[at..].find('\n').unwrap();
    std::fs::write(&registry.plan, plan.replace(&plan[at..end], &other)).unwrap();
    let said = registry.sync(&app, &[]).await;
    assert!(!said.good && said.err.contains("is not the one that is known"), "{said:?}");
    assert_eq!(installed(&app).await, []);
    std::fs::write(&registry.plan, "packages: [{name: ../a}]").unwrap();
    let said = registry.sync(&app, &[]).await;
    assert!(!said.good && said.err.contains("plan.yaml"), "{said:?}");
}

/// A server in front of the server that lets so many imports through and holds the next ones.
struct Hold {
    to: TestClient,
    imports: AtomicUsize,
    held: Notify,
}

const LET_THROUGH: usize = 2;

async fn pass(
    State(hold): State<Arc<Hold>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if method == Method::POST && hold.imports.fetch_add(1, Ordering::SeqCst) >= LET_THROUGH {
        hold.held.notify_one();
        std::future::pending::<()>().await;
    }
    let mut request = hold.to.request(method, uri.path());
    for name in ["content-type", "accept", "x-org-api-key"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = hold.to.send(request.body(body)).await;
    (StatusCode::from_u16(answer.status).unwrap(), answer.text).into_response()
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_where_it_ended() {
    let (app, registry) = (TestApp::new().await, Registry::start().await);
    let hold =
        Arc::new(Hold { to: app.anonymous(), imports: AtomicUsize::new(0), held: Notify::new() });
    let url = serve(Router::new().fallback(pass).with_state(Arc::clone(&hold))).await;
    let mut run = command(&app, &url, registry.path(), &registry.args(&[])).spawn().unwrap();
    hold.held.notified().await;
    run.kill().unwrap();
    run.wait().unwrap();
    // One was through before the third could be sent.
    assert!(!installed(&app).await.is_empty());
    let said = registry.sync(&app, &[]).await;
    assert!(said.good, "{said:?}");
    let count = |text: &str| -> usize {
        let before = said.out.split(text).next().unwrap();
        before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let (new, there) = (count(" toolkits with"), count(" were there already"));
    assert_eq!(new + there, SLUGS.len(), "{said:?}");
    assert!(there >= 1 && new >= SLUGS.len() - LET_THROUGH, "{said:?}");
    assert_eq!(installed(&app).await, each_once(&SLUGS));
    assert_eq!(registry.asked.lock().unwrap().len(), 1);
}
