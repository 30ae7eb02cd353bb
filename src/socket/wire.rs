//! The protocol's messages and codes.

use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

/// Why a socket is closed, or a message refused. Clients do not come back after 4000 to 4099, come
/// back later after 4100 to 4199, and at once after 4200 to 4299.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// The protocol's code; none for what the protocol has none for.
    pub code: Option<u16>,
    /// In words.
    pub message: &'static str,
}

const fn problem(code: u16, message: &'static str) -> Problem {
    Problem { code: Some(code), message }
}

/// No project has this key.
pub const UNKNOWN_KEY: Problem = problem(4001, "There is no project with this key");
/// The version is not a number.
pub const BAD_VERSION: Problem = problem(4006, "The protocol version must be a number");
/// Another version.
pub const UNSUPPORTED: Problem = problem(4007, "This protocol version is not supported; use 7");
/// No version.
pub const NO_VERSION: Problem = problem(4008, "The query has no protocol version; use protocol=7");
/// Connected for a while and never listened to anything.
pub const NEVER_LISTENED: Problem =
    problem(4009, "The connection has not subscribed to a private channel in time");
/// All places are taken.
pub const FULL: Problem =
    problem(4100, "The project has as many connections as realtime_max_sockets allows");
/// Its place was given to another.
pub const REPLACED: Problem =
    problem(4100, "The project has too many connections, and this one listens to nothing");
/// It does not read.
pub const SLOW: Problem = problem(4100, "The client reads events more slowly than they come");
/// It talks too much.
pub const TOO_FAST: Problem = problem(4100, "The client sends too many messages");
/// The database is away.
pub const UNAVAILABLE: Problem = problem(4100, "The server cannot listen for events at present");
/// The server stops, and the client may find another at once.
pub const RESTART: Problem = problem(4200, "The server is restarting");
/// The same for clients that would try without a pause.
pub const RESTART_LATER: Problem = problem(4100, "The server is restarting");
/// No answer to a ping.
pub const NO_PONG: Problem = problem(4201, "The client did not answer a ping in time");
/// Clients do not send events here.
pub const NO_CLIENT_EVENTS: Problem = problem(4301, "Clients cannot send events on this server");

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// `pusher:ping`
    Ping,
    /// `pusher:pong`
    Pong,
    /// `pusher:subscribe`
    Subscribe {
        /// The channel's name.
        channel: String,
        /// What the auth endpoint gave.
        auth: Option<String>,
    },
    /// `pusher:unsubscribe`
    Unsubscribe {
        /// The channel's name.
        channel: String,
    },
    /// An event for other clients.
    ClientEvent,
    /// Anything else.
    Unknown(&'static str),
}

/// Reads a message of a client. Whatever it is, it is something.
pub fn read(text: &str) -> Said {
    #[derive(Deserialize)]
    struct Message {
        event: String,
        #[serde(default)]
        data: Value,
    }
    let Ok(message) = serde_json::from_str::<Message>(text) else {
        return Said::Unknown("A message must be a JSON object with the text `event`");
    };
    // Some clients send the data as a text with JSON in it, as the server does.
    let data = match message.data {
        Value::String(text) => serde_json::from_str(&text).unwrap_or_default(),
        data => data,
    };
    let field = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
    match (message.event.as_str(), field("channel")) {
        ("pusher:ping", _) => Said::Ping,
        ("pusher:pong", _) => Said::Pong,
        ("pusher:subscribe", Some(channel)) => Said::Subscribe { channel, auth: field("auth") },
        ("pusher:unsubscribe", Some(channel)) => Said::Unsubscribe { channel },
        ("pusher:subscribe" | "pusher:unsubscribe", None) => {
            Said::Unknown("The data of the message has no text `channel`")
        }
        (event, _) if event.starts_with("client-") => Said::ClientEvent,
        _ => Said::Unknown("This server does not know such a message"),
    }
}

/// `data` is JSON as a text, in everything but errors.
fn message(event: &str, channel: Option<&str>, data: &Value) -> Utf8Bytes {
    let mut message = json!({"event": event, "data": data.to_string()});
    if let Some(channel) = channel {
        message["channel"] = channel.into();
    }
    message.to_string().into()
}

/// The first message to a client.
pub fn established(socket_id: &str, activity_timeout: Duration) -> Utf8Bytes {
    let data = json!({"socket_id": socket_id, "activity_timeout": activity_timeout.as_secs()});
    message("pusher:connection_established", None, &data)
}

/// Asks whether the client is there.
pub fn ping() -> Utf8Bytes {
    message("pusher:ping", None, &json!({}))
}

/// Answers a client's ping.
pub fn pong() -> Utf8Bytes {
    message("pusher:pong", None, &json!({}))
}

/// The client listens from now on.
pub fn subscribed(channel: &str) -> Utf8Bytes {
    message("pusher_internal:subscription_succeeded", Some(channel), &json!({}))
}

/// The client may not listen.
pub fn refused(channel: &str, error: &str) -> Utf8Bytes {
    let data = json!({"type": "AuthError", "error": error, "status": 401});
    message("pusher:subscription_error", Some(channel), &data)
}

/// Something that is wrong with the connection, or with a message.
pub fn error(problem: Problem) -> Utf8Bytes {
    let data = json!({"code": problem.code, "message": problem.message});
    json!({"event": "pusher:error", "data": data}).to_string().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_of_clients_are_known() {
        let subscribe = |auth: Option<&str>| Said::Subscribe {
            channel: "private-a".to_owned(),
            auth: auth.map(str::to_owned),
        };
        let texts = [
            (r#"{"event":"pusher:ping","data":""}"#, Said::Ping),
            (r#"{"event":"pusher:pong"}"#, Said::Pong),
            (
                r#"{"event":"pusher:subscribe","data":{"channel":"private-a","auth":"k:s"}}"#,
                subscribe(Some("k:s")),
            ),
            (
                r#"{"event":"pusher:subscribe","data":"{\"channel\":\"private-a\"}"}"#,
                subscribe(None),
            ),
            (r#"{"event":"client-typing","data":{},"channel":"private-a"}"#, Said::ClientEvent),
        ];
        for (text, said) in texts {
            assert_eq!(read(text), said, "{text}");
        }
        for text in ["", "[]", "1", "{\"event\":1}", "{\"event\":\"pusher:subscribe\"}"] {
            assert!(matches!(read(text), Said::Unknown(_)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,200}", event in "[a-z:_-]{0,20}") {
            let _ = read(&text);
            let _ = read(&json!({"event": event, "data": text}).to_string());
            let _ = read(&json!({"event": "pusher:subscribe", "data": {"channel": text}}).to_string());
        }
    }
}
