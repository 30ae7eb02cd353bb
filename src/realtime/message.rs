//! Events as messages of the protocol: cut where they are too long for one, and framed.

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;

/// Most bytes of `data` in one message: what hosted services of the protocol allow, and clients
/// are made for.
const MAX_DATA: usize = 10_000;

/// Most bytes of the escaped piece of an event in one message; the rest is the envelope.
const MAX_PIECE: usize = MAX_DATA - 200;

/// A message, without its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The event's name in the protocol.
    pub name: &'static str,
    /// JSON, as text.
    pub data: String,
}

/// A piece of a long event; clients put the pieces together by `index` once they have `final`.
#[derive(Serialize)]
struct Piece<'a> {
    id: &'a str,
    index: usize,
    chunk: &'a str,
    #[serde(rename = "final")]
    is_final: bool,
}

/// The messages of an event, in the order in which they are sent.
pub fn messages(id: &str, text: String) -> Vec<Message> {
    if text.len() <= MAX_DATA {
        return vec![Message { name: "trigger_to_client", data: text }];
    }
    let pieces = pieces(&text, MAX_PIECE);
    let last = pieces.len() - 1;
    let message = |(index, chunk): (usize, &str)| Message {
        name: "chunked-trigger_to_client",
        data: json(&Piece { id, index, chunk, is_final: index == last }),
    };
    pieces.into_iter().enumerate().map(message).collect()
}

/// A message on the wire.
pub fn frame(channel: &str, message: &Message) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        event: &'a str,
        channel: &'a str,
        data: &'a str,
    }
    json(&Frame { event: message.name, channel, data: &message.data }).into()
}

fn json(value: &impl Serialize) -> String {
    // Texts and numbers always serialize.
    serde_json::to_string(value).unwrap_or_default()
}

/// Cuts a text so that no piece, escaped for a JSON string, has more than `most` bytes.
fn pieces(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::with_capacity(text.len() / most + 1);
    let (mut from, mut cost) = (0, 0);
    for (at, letter) in text.char_indices() {
        let own = match letter {
            '"' | '\\' => 2,
            '\0'..='\x1f' => 6,
            _ => letter.len_utf8(),
        };
        if cost + own > most {
            pieces.push(&text[from..at]);
            (from, cost) = (at, 0);
        }
        cost += own;
    }
    pieces.push(&text[from..]);
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_short_event_is_one_message() {
        let all = messages("msg_1", "{\"a\":1}".to_owned());
        assert_eq!(all, [Message { name: "trigger_to_client", data: "{\"a\":1}".to_owned() }]);
        let frame: Value = serde_json::from_str(&frame("private-x", &all[0])).unwrap();
        assert_eq!(frame["channel"], "private-x");
        assert_eq!(frame["data"], "{\"a\":1}");
    }

    proptest! {
        #[test]
        fn a_long_event_is_put_together_again(text in "[\"\\\\a-zé語🦀\n\u{1}]{0,30000}") {
            let all = messages("msg_1", text.clone());
            let mut together = String::new();
            for (at, message) in all.iter().enumerate() {
                prop_assert!(message.data.len() <= MAX_DATA, "{}", message.data.len());
                if all.len() == 1 {
                    together.push_str(&message.data);
                    continue;
                }
                let piece: Value = serde_json::from_str(&message.data).unwrap();
                prop_assert_eq!(&piece["id"], "msg_1");
                prop_assert_eq!(&piece["index"], at);
                prop_assert_eq!(&piece["final"], at + 1 == all.len());
                together.push_str(piece["chunk"].as_str().unwrap());
            }
            prop_assert_eq!(together, text);
        }
    }
}
