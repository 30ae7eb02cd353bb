//! The rate limit over HTTP.

use crate::support::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_limit_answers_429_with_the_documented_headers() {
    let test = TestApp::with(&[("PATCHBAY_RATE_LIMIT", "2")]).await;
    let path = "/api/v3/org/project/config";
    let first = test.client().get(path).await;
    first.expect(200);
    assert_eq!(first.headers["x-ratelimit"], "2");
    assert_eq!(first.headers["x-ratelimit-remaining"], "1");
    assert_eq!(first.headers["x-ratelimit-window-size"], "600s");
    // The organization's own key shares the limit.
    test.org_client().get("/api/v3/org/owner/project/list").await.expect(200);
    let refused = test.client().get(path).await;
    let error = refused.expect_error(429);
    assert_eq!(error["message"], "Rate limit exceeded. Limit: 2 requests per 10 minutes");
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait));
    // A wrong key is not counted, and still told that it is wrong.
    let client = test.anonymous().header("x-api-key", "ak_wrongwrongwrongwrong");
    client.get(path).await.expect_error(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_together() {
    let test = TestApp::with(&[("PATCHBAY_RATE_LIMIT", "5")]).await;
    let (other, address) = test.replica(&[("PATCHBAY_RATE_LIMIT", "5")]).await;
    let elsewhere =
        crate::support::client::TestClient::new(address).header("x-api-key", &test.project.key);
    let path = "/api/v3/org/project/config";
    for _ in 0..4 {
        elsewhere.get(path).await.expect(200);
    }
    // Sharing takes a second; until then this replica would allow all of its own five.
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if let Some(Err(_)) = test.app.limits.count(&test.org_id) {
            other.stop.cancel();
            return;
        }
        if let Some(Ok(usage)) = other.limits.count(&test.org_id) {
            assert!(usage.remaining < 5);
        }
    }
    panic!("the replicas never learned of each other's requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_means_no_limit_and_no_headers() {
    let test = TestApp::with(&[("PATCHBAY_RATE_LIMIT", "0")]).await;
    let answer = test.client().get("/api/v3/org/project/config").await;
    answer.expect(200);
    assert!(!answer.headers.contains_key("x-ratelimit"));
}
