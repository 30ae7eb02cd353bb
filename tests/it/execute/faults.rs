//! Providers that misbehave: a clear outcome each time, and the next call works.

use std::time::Duration;

use serde_json::{Value, json};

use super::provider::World;
use crate::net::fault::{Fault, FaultServer, response};

const QUICK: &[(&str, &str)] = &[
    ("PATCHBAY_OUTBOUND_READ_TIMEOUT_S", "1"),
    ("PATCHBAY_OUTBOUND_TIMEOUT_S", "2"),
    ("PATCHBAY_OUTBOUND_MAX_RESPONSE_BYTES", "100000"),
];

fn at(server: &FaultServer) -> Value {
    json!({"arguments": {"name": "a"}, "custom_auth_params": {
        "base_url": format!("http://{}", server.address),
        "parameters": [{"name": "X-Key", "in": "header", "value": "own-secret-1"}],
    }})
}

#[tokio::test]
async fn a_provider_that_misbehaves_gives_a_clear_outcome() {
    let world = World::with(QUICK).await;
    let html = response("200 OK", &[("content-type", "text/html")], b"<p>hello</p>");
    for (fault, expected) in [
        (Fault::Hang, "did not answer in time"),
        (Fault::Trickle(Duration::from_millis(50)), "did not answer in time"),
        (Fault::ResetMidBody, "127.0.0.1"),
        (Fault::EndlessBody, "larger than 100000 bytes"),
        (Fault::Bytes(b"nonsense\r\n\r\n".to_vec()), "127.0.0.1"),
        (Fault::Bytes(response("503 Away", &[], b"later")), "503 Service Unavailable: later"),
    ] {
        let server = FaultServer::start(fault).await;
        let answer = world.post("MOCK_GET_THING", at(&server)).await.expect(200);
        assert_eq!(answer["successful"], false, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(expected), "{expected}: {answer}");
        let log = world.log(&answer["log_id"]).await;
        assert!(!log.successful && log.error.is_some());
        assert!(!format!("{log:?}").contains("own-secret-1"));
        let good = FaultServer::start(Fault::Bytes(html.clone())).await;
        let answer = world.post("MOCK_GET_THING", at(&good)).await.expect(200);
        assert_eq!(answer["data"], json!({"text": "<p>hello</p>"}));
    }
}

#[tokio::test]
async fn a_proxy_call_to_a_provider_that_hangs_is_a_504() {
    let world = World::with(QUICK).await;
    let server = FaultServer::start(Fault::Hang).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("providers.yaml");
    std::fs::write(&file, format!("mock: {{base_url: 'http://{}'}}\n", server.address)).unwrap();
    let mut settings = QUICK.to_vec();
    settings.push(("PATCHBAY_PROVIDERS_FILE", file.to_str().unwrap()));
    let app = world.provider.app(&settings).await;
    let data = json!({"authScheme": "API_KEY", "toolkitSlug": "mock",
        "val": {"generic_api_key": "own-key-1"}});
    let body = json!({"endpoint": "/x", "method": "GET", "custom_connection_data": data});
    app.client().post("/api/v3/tools/execute/proxy", body).await.expect_error(504);
}
