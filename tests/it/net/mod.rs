//! The outbound client against servers that misbehave.

pub mod fault;

use std::io::Write;
use std::time::Duration;

use axum::http::Method;
use patchbay::domain::outbound::{OutboundBody, OutboundRequest};
use patchbay::net::{Client, CredentialNames, NetError};
use url::Url;

use crate::support::app::test_config;
use fault::{Fault, FaultServer, response};

const QUICK: &[(&str, &str)] = &[
    ("PATCHBAY_OUTBOUND_READ_TIMEOUT_S", "1"),
    ("PATCHBAY_OUTBOUND_TIMEOUT_S", "2"),
    ("PATCHBAY_OUTBOUND_MAX_RESPONSE_BYTES", "100000"),
];

fn client() -> Client {
    Client::new(&test_config(QUICK)).unwrap()
}

fn get(url: Url) -> OutboundRequest {
    OutboundRequest {
        method: Method::GET,
        url,
        headers: Vec::new(),
        body: OutboundBody::Empty,
        timeout: None,
    }
}

async fn outcome(fault: Fault) -> Result<u16, NetError> {
    let server = FaultServer::start(fault).await;
    let client = client();
    let url = server.url("/secret-path?key=secret");
    let answer = client.send(get(url)).await.map(|a| a.status);
    if let Err(error) = &answer {
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
    // The next request works.
    let good = FaultServer::start(Fault::Bytes(response("200 OK", &[], b"ok"))).await;
    assert_eq!(client.send(get(good.url("/"))).await.unwrap().body, "ok");
    answer
}

#[tokio::test]
async fn a_provider_that_hangs_is_a_timeout() {
    assert!(matches!(outcome(Fault::Hang).await, Err(NetError::Timeout(_))));
}

#[tokio::test]
async fn a_provider_that_stalls_inside_its_answer_is_a_timeout() {
    let fault = Fault::Trickle(Duration::from_secs(60));
    assert!(matches!(outcome(fault).await, Err(NetError::Timeout(_))));
}

#[tokio::test]
async fn a_provider_that_trickles_for_ever_meets_the_total_limit() {
    let fault = Fault::Trickle(Duration::from_millis(50));
    assert!(matches!(outcome(fault).await, Err(NetError::Timeout(_))));
}

#[tokio::test]
async fn a_reset_inside_an_answer_is_an_error() {
    assert!(matches!(outcome(Fault::ResetMidBody).await, Err(NetError::Connection(_))));
}

#[tokio::test]
async fn an_answer_without_end_stops_at_the_size_limit() {
    assert!(matches!(outcome(Fault::EndlessBody).await, Err(NetError::TooLarge(_))));
}

#[tokio::test]
async fn an_answer_that_announces_too_much_is_not_read() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n".to_vec();
    assert!(matches!(outcome(Fault::Bytes(bytes)).await, Err(NetError::TooLarge(_))));
}

#[tokio::test]
async fn a_gzip_bomb_stops_at_the_size_limit() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..1000 {
        encoder.write_all(&[0; 65536]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let bytes = response("200 OK", &[("content-encoding", "gzip")], &bomb);
    assert!(matches!(outcome(Fault::Bytes(bytes)).await, Err(NetError::TooLarge(_))));
}

#[tokio::test]
async fn damaged_compression_is_an_error() {
    let bytes = response("200 OK", &[("content-encoding", "gzip")], b"this is not gzip");
    assert!(matches!(outcome(Fault::Bytes(bytes)).await, Err(NetError::Connection(_))));
}

#[tokio::test]
async fn something_that_is_not_http_is_an_error() {
    let bytes = b"SSH-2.0-OpenSSH_9.2\r\n".to_vec();
    assert!(matches!(outcome(Fault::Bytes(bytes)).await, Err(NetError::Connection(_))));
    assert!(matches!(outcome(Fault::Bytes(Vec::new())).await, Err(NetError::Connection(_))));
}

#[tokio::test]
async fn a_server_error_with_html_is_an_answer() {
    let bytes = response("500 Oops", &[("content-type", "text/html")], b"<h1>Oops</h1>");
    assert_eq!(outcome(Fault::Bytes(bytes)).await.unwrap(), 500);
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = client().send(get(url.parse().unwrap())).await.err().unwrap();
    assert_eq!(error.to_string(), "127.0.0.1 refused the connection");
}

#[tokio::test]
async fn private_addresses_are_refused_by_number_and_by_name() {
    let server = FaultServer::start(Fault::Bytes(response("200 OK", &[], b"in"))).await;
    let closed = Client::new(&test_config(&[("PATCHBAY_EGRESS_ALLOW", "")])).unwrap();
    let port = server.address.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let error = closed.send(get(url.parse().unwrap())).await.err();
        assert!(matches!(error, Some(NetError::Refused(_))), "{url}: {error:?}");
    }
    assert!(server.heads().is_empty());
}

#[tokio::test]
async fn an_allowed_name_may_resolve_to_a_private_address_but_the_number_stays_refused() {
    let server = FaultServer::start(Fault::Bytes(response("200 OK", &[], b"in"))).await;
    let client = Client::new(&test_config(&[("PATCHBAY_EGRESS_ALLOW", "localhost")])).unwrap();
    let port = server.address.port();
    let by_name = format!("http://localhost:{port}/").parse().unwrap();
    assert_eq!(client.send(get(by_name)).await.unwrap().status, 200);
    assert!(matches!(client.send(get(server.url("/"))).await, Err(NetError::Refused(_))));
}

fn found(location: &str) -> Vec<u8> {
    response("302 Found", &[("location", location)], b"")
}

#[tokio::test]
async fn a_redirect_to_the_metadata_address_is_refused() {
    let to = "http://169.254.169.254/latest/meta-data/iam";
    let server = FaultServer::start(Fault::Bytes(found(to))).await;
    let refused = client().send(get(server.url("/"))).await.err().unwrap();
    // The message names the address that was refused, not the provider.
    assert!(matches!(&refused, NetError::Refused(m) if m.contains("169.254.169.254")));
}

#[tokio::test]
async fn a_redirect_to_another_scheme_is_refused() {
    let server = FaultServer::start(Fault::Bytes(found("file:///etc/passwd"))).await;
    let error = client().send(get(server.url("/"))).await.err();
    assert!(matches!(error, Some(NetError::Refused(_))), "{error:?}");
}

#[tokio::test]
async fn a_redirect_to_another_host_carries_no_credentials() {
    let other = FaultServer::start(Fault::Bytes(response("200 OK", &[], b"there"))).await;
    let location = format!("http://localhost:{}/x?api_key=s3cret&page=2", other.address.port());
    let first = FaultServer::start(Fault::Bytes(found(&location))).await;
    let mut request = get(first.url("/?api_key=s3cret"));
    request.headers = [("Authorization", "Bearer s3cret"), ("X-Key", "s3cret"), ("Accept", "a/b")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    let names =
        CredentialNames { headers: vec!["x-key".to_owned()], query: vec!["api_key".to_owned()] };
    let answer = client().send_with(request, &names).await.unwrap();
    assert_eq!(answer.body, "there");
    let head = other.heads().remove(0);
    assert!(!head.contains("s3cret") && head.contains("page=2"), "{head}");
    assert!(head.to_lowercase().contains("accept: a/b"), "{head}");
}

#[tokio::test]
async fn a_redirect_within_the_host_keeps_credentials() {
    let answers = vec![("/a", found("/b")), ("/b", response("200 OK", &[], b"there"))];
    let server = FaultServer::start(Fault::ByPath(answers)).await;
    let mut request = get(server.url("/a"));
    request.headers = vec![("Authorization".to_owned(), "Bearer s3cret".to_owned())];
    assert_eq!(client().send(request).await.unwrap().body, "there");
    assert!(server.heads()[1].contains("s3cret"));
}

#[tokio::test]
async fn a_write_is_not_repeated_at_another_host() {
    let other = FaultServer::start(Fault::Bytes(response("200 OK", &[], b""))).await;
    let location = format!("http://localhost:{}/", other.address.port());
    let bytes = response("307 Elsewhere", &[("location", &location)], b"");
    let server = FaultServer::start(Fault::Bytes(bytes)).await;
    let mut request = get(server.url("/"));
    request.method = Method::POST;
    request.body = OutboundBody::Json(serde_json::json!({"a": 1}));
    assert_eq!(client().send(request).await.unwrap().status, 307);
    assert!(other.heads().is_empty());
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server = FaultServer::start(Fault::Bytes(found("/again"))).await;
    let error = client().send(get(server.url("/"))).await.err();
    assert!(matches!(error, Some(NetError::Connection(_))), "{error:?}");
    assert!(server.heads().len() <= 6);
}

#[tokio::test]
async fn a_request_that_wants_no_redirect_gets_the_first_answer() {
    let server = FaultServer::start(Fault::Bytes(found("/b"))).await;
    assert_eq!(client().send_once(get(server.url("/a"))).await.unwrap().status, 302);
}
