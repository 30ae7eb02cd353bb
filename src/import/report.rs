//! What an import did, for the person who started it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

/// Entries of one list; what is beyond is counted and not listed.
pub const MOST_LISTED: usize = 1_000;

/// What became of a description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Format and version of the description: `OpenAPI 3.0.3`.
    pub format: String,
    /// Operations that the description has.
    pub operations: usize,
    /// Tools that were made of them.
    pub tools: usize,
    /// Tools and arguments that are not called what the description calls them.
    pub renamed: Vec<Renamed>,
    /// What was changed so that it can be used: a recursion cut, a schema made flat.
    pub repaired: Vec<Repaired>,
    /// What could not be taken.
    pub left_out: Vec<LeftOut>,
    /// What the one who imports should know besides.
    pub notes: Vec<String>,
    /// How many entries there are, with those that are not listed.
    pub counts: Counts,
    /// What was told, so that the same part, used by many operations, is told once.
    #[serde(skip)]
    told: HashSet<u64>,
}

/// How many entries each list of a report would have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Of `renamed`.
    pub renamed: usize,
    /// Of `repaired`.
    pub repaired: usize,
    /// Of `left_out`.
    pub left_out: usize,
}

/// Something that has another name now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// JSON pointer into the description.
    pub at: String,
    /// What it would have been called.
    pub from: String,
    /// What it is called.
    pub to: String,
    /// Why.
    pub why: String,
}

/// Something that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// JSON pointer into the description.
    pub at: String,
    /// What was done.
    pub what: String,
}

/// Something that is not part of the toolkit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// JSON pointer into the description.
    pub at: String,
    /// The operation or part: `POST /things`.
    pub what: String,
    /// Why it could not be taken.
    pub why: String,
}

impl Report {
    /// Of a description of this format and version.
    pub fn of(format: String) -> Self {
        Self { format, ..Self::default() }
    }

    /// Something has another name.
    pub fn renamed(&mut self, at: &str, from: &str, to: &str, why: &str) {
        let of = |text: &str| text.chars().take(200).collect::<String>();
        self.counts.renamed += 1;
        if self.renamed.len() < MOST_LISTED {
            self.renamed.push(Renamed { at: of(at), from: of(from), to: of(to), why: of(why) });
        }
    }

    /// Something was changed. The same at the same place counts once.
    pub fn repaired(&mut self, at: &str, what: impl Into<String>) {
        let what = what.into();
        let mut hasher = DefaultHasher::new();
        (at, &what).hash(&mut hasher);
        if !self.told.insert(hasher.finish()) {
            return;
        }
        self.counts.repaired += 1;
        if self.repaired.len() < MOST_LISTED {
            self.repaired.push(Repaired { at: at.to_owned(), what });
        }
    }

    /// Something was not taken.
    pub fn left_out(&mut self, at: &str, what: impl Into<String>, why: impl Into<String>) {
        let (what, why) = (what.into(), why.into());
        self.counts.left_out += 1;
        if self.left_out.len() < MOST_LISTED {
            self.left_out.push(LeftOut { at: at.to_owned(), what, why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_counted_and_cut() {
        let mut report = Report::default();
        for i in 0..MOST_LISTED + 5 {
            report.repaired(&format!("/{i}"), "changed");
            report.repaired("/0", "changed");
        }
        assert_eq!(report.repaired.len(), MOST_LISTED);
        assert_eq!(report.counts.repaired, MOST_LISTED + 5);
    }
}
