//! What an instance remembers from poll to poll: the `cursor` of its row.
//!
//! Everything in it is bounded: ids are kept as short hashes, and of the items that are tried again
//! there are only so many.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Most ids that are remembered, unless the definition wants more.
pub const MAX_SEEN: usize = 20_000;

/// Most items that wait to be tried again, and most characters of them.
const MAX_LATER: usize = 100;
const MAX_LATER_CHARS: usize = 256 * 1024;

/// Characters of one hash.
const HASH: usize = 11;

/// See the module. Times are milliseconds since 1970: the provider's in `mark`, the database's
/// everywhere else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Where the first look began.
    pub from: i64,
    /// When the newest item that was seen was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<i64>,
    /// What the provider gave to go on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Value>,
    /// Whether the baseline is there.
    #[serde(default)]
    pub ready: bool,
    /// The ids that were seen.
    #[serde(default)]
    pub seen: Seen,
    /// A look over all pages that is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<Scan>,
    /// New items that could not be asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<Later>,
}

/// A look over all pages, which may take several polls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// When it began.
    pub began: i64,
    /// The page to go on with; none: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Value>,
    /// When the newest item so far was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<i64>,
    /// Items so far.
    #[serde(default)]
    pub listed: usize,
    /// The provider forgot the token: what is known is told from what was missed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
}

/// A new item that could not be asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Later {
    /// As the list had it.
    pub item: Value,
    /// When it was first tried.
    pub since: i64,
    /// How often.
    pub tries: u32,
    /// When it is tried again.
    pub next: i64,
}

/// Ids that were seen, as hashes, by the hour in which they were last listed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    #[serde(default)]
    hours: BTreeMap<i64, String>,
    /// Whether some had to be forgotten for want of room.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// The hash of an id; two of 20,000 ids have the same with a probability of 10^-11.
pub fn hash(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(id.as_bytes())[..8])
}

fn hour(at: i64) -> i64 {
    at.div_euclid(3_600_000)
}

/// [`Seen`] while a poll is under way.
#[derive(Debug, Default)]
pub struct Known {
    ids: HashMap<String, Place>,
    cut: bool,
}

/// How soon an id may be forgotten: those of the oldest hour, and of them those that stand behind.
#[derive(Debug, Clone, Copy)]
struct Place {
    hour: i64,
    rank: i64,
}

impl Known {
    /// Reads what is stored.
    pub fn of(seen: &Seen) -> Self {
        let mut known = Self { cut: seen.cut, ..Self::default() };
        for (hour, hashes) in seen.hours.iter().rev() {
            for chunk in hashes.as_bytes().chunks_exact(HASH) {
                if let Ok(hash) = std::str::from_utf8(chunk) {
                    let place = Place { hour: *hour, rank: known.behind() };
                    known.ids.insert(hash.to_owned(), place);
                }
            }
        }
        known
    }

    fn behind(&self) -> i64 {
        i64::try_from(self.ids.len()).unwrap_or(i64::MAX)
    }

    /// Whether it has the hash; one that was listed again stays longer.
    pub fn listed(&mut self, hash: &str, at: i64) -> bool {
        let Some(place) = self.ids.get_mut(hash) else { return false };
        place.hour = place.hour.max(hour(at));
        true
    }

    /// Remembers the hash of something that was there before.
    pub fn add_old(&mut self, hash: String, at: i64) {
        let place = Place { hour: hour(at), rank: self.behind() };
        self.ids.entry(hash).or_insert(place);
    }

    /// Remembers the hash of something new: before the others.
    pub fn add_new(&mut self, hash: String, at: i64) {
        let place = Place { hour: hour(at), rank: -1 - self.behind() };
        self.ids.entry(hash).or_insert(place);
    }

    /// Whether some had to be forgotten.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// What is stored: at most `most`, those that were listed last, and with `after` only those
    /// that were listed in the hour of that moment or later.
    pub fn stored(&self, most: usize, after: Option<i64>) -> Seen {
        let mut all: Vec<(&String, &Place)> = self.ids.iter().collect();
        if let Some(after) = after {
            all.retain(|(_, place)| place.hour >= hour(after));
        }
        all.sort_by_key(|(_, place)| (std::cmp::Reverse(place.hour), place.rank));
        let cut = self.cut || all.len() > most;
        let mut hours: BTreeMap<i64, String> = BTreeMap::new();
        for (hash, place) in all.iter().take(most) {
            hours.entry(place.hour).or_default().push_str(hash);
        }
        Seen { hours, cut }
    }
}

impl State {
    /// Of an instance that was never polled.
    pub fn begin(from: i64) -> Self {
        Self { from, ..Self::default() }
    }

    /// Whether one more item may wait to be tried again.
    pub fn has_room(&self, item: &Value) -> bool {
        let size = |item: &Value| item.to_string().len();
        self.later.len() < MAX_LATER
            && self.later.iter().map(|later| size(&later.item)).sum::<usize>() + size(item)
                <= MAX_LATER_CHARS
    }

    /// The moment from which the provider is asked, with the overlap taken off.
    pub fn since(&self, overlap_ms: i64) -> i64 {
        self.mark.map_or(self.from, |mark| mark.saturating_sub(overlap_ms)).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn has(known: &Known, id: &str) -> bool {
        known.ids.contains_key(&hash(id))
    }

    #[test]
    fn ids_are_remembered_in_little_room() {
        let mut known = Known::default();
        for n in 0..1000 {
            known.add_new(hash(&format!("https://example.com/items/{n}")), HOUR);
        }
        let seen = known.stored(MAX_SEEN, None);
        let text = serde_json::to_string(&seen).unwrap();
        assert!(text.len() < 1000 * 12, "{}", text.len());
        let again = Known::of(&serde_json::from_str(&text).unwrap());
        assert!((0..1000).all(|n| has(&again, &format!("https://example.com/items/{n}"))));
        assert!(!has(&again, "https://example.com/items/1000"));
    }

    #[test]
    fn what_was_listed_longest_ago_and_last_is_forgotten_first() {
        let mut known = Known::default();
        for n in 0..10 {
            known.add_old(hash(&n.to_string()), HOUR);
        }
        let mut known = Known::of(&known.stored(100, None));
        for n in 0..5 {
            assert!(known.listed(&hash(&n.to_string()), 3 * HOUR));
        }
        known.add_new(hash("new"), 3 * HOUR);
        let left = |known: &Known| -> Vec<bool> {
            (0..10).map(|n: i32| has(known, &n.to_string())).collect()
        };
        let all = Known::of(&known.stored(100, None));
        assert!(left(&all).iter().all(|has| *has) && !all.is_cut());
        let recent = Known::of(&known.stored(100, Some(2 * HOUR)));
        assert_eq!(left(&recent), [[true; 5], [false; 5]].concat());
        let few = Known::of(&known.stored(4, None));
        assert!(has(&few, "new") && few.is_cut());
        assert_eq!(left(&few)[..5], [true, true, true, false, false]);
        let more = Known::of(&known.stored(8, None));
        assert_eq!(left(&more)[4..9], [true, true, true, false, false]);
    }

    #[test]
    fn an_idle_poll_changes_nothing_that_is_stored() {
        let mut known = Known::default();
        for n in 0..20 {
            known.add_old(hash(&n.to_string()), 5 * HOUR);
            known.add_new(hash(&format!("n{n}")), 6 * HOUR);
        }
        let before = known.stored(100, None);
        let mut known = Known::of(&before);
        assert!(known.listed(&hash("n3"), 6 * HOUR + HOUR / 2));
        assert_eq!(known.stored(100, Some(5 * HOUR)), before);
    }
}
