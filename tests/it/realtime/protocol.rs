//! The protocol's rules.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::client::{Came, Socket, auth, data};
use crate::support::TestApp;

async fn refusal(app: &TestApp, path: &str) -> (Value, Option<u16>) {
    let mut socket = Socket::raw(app.address, path).await;
    let error = socket.text().await;
    assert_eq!(error["event"], "pusher:error");
    let Came::Closed(code) = socket.next().await else { panic!("it stays open") };
    (error["data"]["code"].clone(), code)
}

#[tokio::test]
async fn who_cannot_be_served_is_told_why_in_the_protocols_codes() {
    let app = TestApp::new().await;
    let key = &app.project.id;
    for (path, code) in [
        ("/app/pr_nobody?protocol=7".to_owned(), 4001),
        (format!("/app/{key}?protocol=seven"), 4006),
        (format!("/app/{key}?protocol=99"), 4007),
        (format!("/app/{key}"), 4008),
    ] {
        assert_eq!(refusal(&app, &path).await, (json!(code), Some(code)), "{path}");
    }
}

#[tokio::test]
async fn a_plain_request_is_told_that_a_socket_is_spoken_here() {
    let app = TestApp::new().await;
    let answer = app.anonymous().get("/app/pr_x?protocol=7").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["slug"], "Realtime_UpgradeRequired");
}

#[tokio::test]
async fn both_versions_and_the_path_of_led_clients_are_served() {
    let app = TestApp::new().await;
    for path in
        ["/app/KEY?protocol=6&client=Pysher&version=1.0.7", "/.pusher.com:443/app/KEY?protocol=7"]
    {
        let path = path.replace("KEY", app.project.id.as_str());
        let mut socket = Socket::raw(app.address, &path).await;
        let hello = socket.text().await;
        assert_eq!(hello["event"], "pusher:connection_established");
        assert_eq!(data(&hello)["activity_timeout"], 120);
        let id = data(&hello)["socket_id"].as_str().unwrap().to_owned();
        assert!(
            id.split_once('.')
                .is_some_and(|(a, b)| a.parse::<u64>().is_ok() && b.parse::<u64>().is_ok())
        );
    }
}

#[tokio::test]
async fn a_ping_is_answered_and_what_a_client_may_not_say_is_refused() {
    let app = TestApp::new().await;
    let mut socket = Socket::listen(&app, &app.project).await;
    socket.say(json!({"event": "pusher:ping", "data": ""})).await;
    assert_eq!(socket.text().await["event"], "pusher:pong");
    let channel = format!("private-{}_triggers", app.project.id);
    socket.say(json!({"event": "client-typing", "channel": channel, "data": {}})).await;
    let error = socket.text().await;
    assert_eq!((&error["event"], &error["data"]["code"]), (&json!("pusher:error"), &json!(4301)));
    socket.say(json!({"event": "pusher:signin", "data": {}})).await;
    let error = socket.text().await;
    assert_eq!((&error["event"], &error["data"]["code"]), (&json!("pusher:error"), &Value::Null));
}

#[tokio::test]
async fn only_the_servers_own_signature_for_this_socket_opens_a_channel() {
    let app = TestApp::new().await;
    let other = app.another_project().await;
    let mut socket = Socket::open(app.address, &app.project.id).await;
    let second = Socket::open(app.address, &app.project.id).await;
    let channel = format!("private-{}_triggers", app.project.id);
    let theirs = format!("private-{}_triggers", other.id);
    let of_second = auth(&app, &app.project, &second.id, &channel).await;
    let of_other = auth(&app, &other, &socket.id, &theirs).await;
    let signature = of_other.split_once(':').unwrap().1;
    for (channel, auth) in [
        (&channel, of_second),
        (&channel, of_other.clone()),
        (&channel, format!("{}:{signature}", app.project.id)),
        (&channel, format!("{}:{}", app.project.id, "0".repeat(64))),
        (&channel, format!("{}:xyz", app.project.id)),
        (&channel, String::new()),
        (&theirs, of_other),
        (&"public".to_owned(), String::new()),
        (&format!("presence-{}", app.project.id), String::new()),
    ] {
        let answer = socket.subscribe(channel, &auth).await;
        assert_eq!(answer["event"], "pusher:subscription_error", "{channel} {auth}");
        assert_eq!(answer["channel"], json!(channel));
        assert_eq!(data(&answer)["status"], 401);
    }
    // The socket is none the worse for it.
    let good = auth(&app, &app.project, &socket.id, &channel).await;
    let answer = socket.subscribe(&channel, &good).await;
    assert_eq!(answer["event"], "pusher_internal:subscription_succeeded");
}

#[tokio::test]
async fn a_subscription_without_a_signature_does_not_cost_the_connection() {
    // Pysher asks so for its channels when it is connected again, and gives up after 4000 to 4099.
    let app = TestApp::new().await;
    let mut socket = Socket::open(app.address, &app.project.id).await;
    let channel = format!("private-{}_triggers", app.project.id);
    socket.say(json!({"event": "pusher:subscribe", "data": {"channel": channel}})).await;
    let error = socket.text().await;
    assert_eq!((&error["event"], &error["data"]["code"]), (&json!("pusher:error"), &Value::Null));
    let good = auth(&app, &app.project, &socket.id, &channel).await;
    let answer = socket.subscribe(&channel, &good).await;
    assert_eq!(answer["event"], "pusher_internal:subscription_succeeded");
}

#[tokio::test]
async fn a_client_that_sends_too_much_is_closed() {
    let app = TestApp::new().await;
    let mut large = Socket::open(app.address, &app.project.id).await;
    large.say(json!({"event": "pusher:ping", "data": "x".repeat(11_000)})).await;
    assert!(matches!(large.next().await, Came::Closed(_)));
    let mut many = Socket::open(app.address, &app.project.id).await;
    for _ in 0..70 {
        many.say(json!({"event": "pusher:ping", "data": ""})).await;
    }
    let code = loop {
        match many.next().await {
            Came::Text(_) => {}
            Came::Closed(code) => break code,
        }
    };
    assert_eq!(code, Some(4100));
}

#[tokio::test]
async fn a_silent_client_is_asked_and_then_closed_and_one_that_answers_stays() {
    let app = TestApp::with(&[("PATCHBAY_REALTIME_ACTIVITY_TIMEOUT_S", "1")]).await;
    let mut silent = Socket::listen(&app, &app.project).await;
    let mut awake = Socket::listen(&app, &app.project).await;
    for _ in 0..3 {
        assert_eq!(awake.text().await["event"], "pusher:ping");
        awake.say(json!({"event": "pusher:pong", "data": {}})).await;
    }
    assert_eq!(silent.text().await["event"], "pusher:ping");
    let error = silent.text().await;
    assert_eq!(error["data"]["code"], 4201);
    assert!(matches!(silent.next().await, Came::Closed(Some(4201))));
}

#[tokio::test]
async fn who_never_listens_has_to_leave() {
    let app = TestApp::with(&[("PATCHBAY_REALTIME_ACTIVITY_TIMEOUT_S", "1")]).await;
    let mut socket = Socket::open(app.address, &app.project.id).await;
    let code = loop {
        match socket.next().await {
            Came::Text(_) => {}
            Came::Closed(code) => break code,
        }
    };
    assert_eq!(code, Some(4009));
}

#[tokio::test]
async fn whatever_a_client_sends_the_server_goes_on() {
    let app = TestApp::new().await;
    let mut runner = TestRunner::deterministic();
    let texts = proptest::string::string_regex("[\\PC\n\"{}:,]{0,300}").unwrap();
    let names =
        proptest::string::string_regex("(pusher:|client-|pusher_internal:)?[a-z_]{0,12}").unwrap();
    for round in 0..20 {
        let mut socket = Socket::open(app.address, &app.project.id).await;
        for _ in 0..20 {
            let text = texts.new_tree(&mut runner).unwrap().current();
            let name = names.new_tree(&mut runner).unwrap().current();
            let message = match round % 4 {
                0 => json!({"event": name, "data": text}),
                1 => json!({"event": name, "data": {"channel": text, "auth": text}}),
                2 => {
                    json!({"event": "pusher:subscribe", "data": {"channel": text, "auth": format!("{}:{name}", app.project.id)}})
                }
                _ => Value::String(text),
            };
            socket.say(message).await;
        }
        socket.say(json!({"event": "pusher:ping"})).await;
        loop {
            match socket.next().await {
                Came::Text(message) if message["event"] == "pusher:pong" => break,
                Came::Text(message) => assert!(
                    message["event"] == "pusher:error"
                        || message["event"] == "pusher:subscription_error",
                    "{message}"
                ),
                Came::Closed(code) => panic!("closed with {code:?}"),
            }
        }
    }
}
