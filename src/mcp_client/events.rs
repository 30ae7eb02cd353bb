//! Server-sent events, as far as MCP uses them.

use std::time::Duration;

/// Longest wait before a stream is asked for again that a server may wish.
const MOST_RETRY: Duration = Duration::from_secs(30);

/// One event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// The lines of `data`.
    pub data: String,
}

/// Reads events out of pieces that may be cut anywhere. What is kept is no more than what the
/// reader of the pieces lets through.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    after_cr: bool,
    data: Option<String>,
    began: bool,
    /// Id of the last event, to go on from.
    pub last_id: Option<String>,
    /// How long the server wants us to wait before we ask again.
    pub retry: Option<Duration>,
}

impl Events {
    /// Those of a stream that goes on after an event.
    pub(super) fn after(last: String, retry: Option<Duration>) -> Self {
        Self { last_id: Some(last), retry, ..Self::default() }
    }

    /// The events that end in this piece.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in piece {
            let follows = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if follows => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.take(&line));
                }
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn take(&mut self, line: &[u8]) -> Option<Event> {
        let first = !std::mem::replace(&mut self.began, true);
        let line = if first { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        if line.is_empty() {
            return self.data.take().map(|data| Event { data });
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => {
                self.last_id = Some(value.to_owned()).filter(|id| !id.is_empty());
            }
            "retry" => {
                let wish = value.parse().ok().map(Duration::from_millis);
                self.retry = wish.map(|wish| wish.min(MOST_RETRY)).or(self.retry);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&[u8]]) -> (Vec<String>, Events) {
        let mut events = Events::default();
        let found = pieces.iter().flat_map(|p| events.feed(p)).map(|e| e.data).collect();
        (found, events)
    }

    #[test]
    fn events_are_read_wherever_they_are_cut() {
        let text = b"\xef\xbb\xbf: hello\r\nid: 7\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nretry: 100\ndata:x\n\nevent: a\n\n";
        let (whole, state) = all(&[text]);
        assert_eq!(whole, ["{\"a\":\n1}", "x"]);
        assert_eq!(state.last_id.as_deref(), Some("7"));
        assert_eq!(state.retry, Some(Duration::from_millis(100)));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(all(&bytes).0, whole);
        // What did not end is no event.
        assert_eq!(all(&[b"data: x\n"]).0, Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_cuts_change_nothing(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()], 0..200),
            cut in 0usize..200,
        ) {
            let cut = cut.min(bytes.len());
            let whole = all(&[&bytes]).0;
            prop_assert_eq!(all(&[&bytes[..cut], &bytes[cut..]]).0, whole);
        }
    }
}
