//! The rate limit.

use crate::support::TestApp;
use crate::support::client::TestClient;

const CONFIG: &str = "/api/v3/org/project/config";

#[tokio::test]
async fn answers_say_how_much_is_left_and_the_last_one_is_refused() {
    let app = TestApp::with(&[("PATCHBAY_RATE_LIMIT", "3")]).await;
    for remaining in ["2", "1", "0"] {
        let response = app.client().get(CONFIG).await;
        response.expect(200);
        assert_eq!(response.headers["x-ratelimit"], "3");
        assert_eq!(response.headers["x-ratelimit-remaining"], remaining);
        assert_eq!(response.headers["x-ratelimit-window-size"], "600s");
    }
    let response = app.client().get(CONFIG).await;
    let error = response.expect_error(429);
    assert_eq!(error["message"], "Rate limit exceeded. Limit: 3 requests per 10 minutes");
    assert_eq!(response.headers["x-ratelimit-remaining"], "0");
    let wait: u64 = response.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait));
    // The organization's other keys share the limit; health checks and callers without a key
    // do not count.
    app.org_client().get("/api/v3/org/projects").await.expect_error(429);
    app.anonymous().get("/health/live").await.expect(200);
    app.anonymous().get(CONFIG).await.expect_error(401);
}

#[tokio::test]
async fn zero_means_no_limit() {
    let app = TestApp::with(&[("PATCHBAY_RATE_LIMIT", "0")]).await;
    let response = app.client().get(CONFIG).await;
    response.expect(200);
    assert!(!response.headers.contains_key("x-ratelimit"));
}

#[tokio::test]
async fn replicas_share_the_limit() {
    let settings = [("PATCHBAY_RATE_LIMIT", "1000")];
    let app = TestApp::with(&settings).await;
    let (replica, address) = app.replica(&settings).await;
    let elsewhere = TestClient::new(address).header("x-api-key", &app.project.key);
    for _ in 0..20 {
        app.client().get(CONFIG).await.expect(200);
    }
    let mut own = 0;
    loop {
        own += 1;
        let response = elsewhere.get(CONFIG).await;
        response.expect(200);
        let remaining: u64 =
            response.headers["x-ratelimit-remaining"].to_str().unwrap().parse().unwrap();
        if remaining == 1000 - 20 - own {
            break;
        }
        assert!(remaining <= 1000 - own);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    replica.stop.cancel();
}
