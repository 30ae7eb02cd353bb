//! What an import did, for the person who started it.

use serde::{Deserialize, Serialize};

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
    /// Something has another name.
    pub fn renamed(&mut self, at: &str, from: &str, to: &str, why: &str) {
        let of = str::to_owned;
        self.renamed.push(Renamed { at: of(at), from: of(from), to: of(to), why: of(why) });
    }

    /// Something was changed.
    pub fn repaired(&mut self, at: &str, what: impl Into<String>) {
        self.repaired.push(Repaired { at: at.to_owned(), what: what.into() });
    }

    /// Something was not taken.
    pub fn left_out(&mut self, at: &str, what: impl Into<String>, why: impl Into<String>) {
        let (what, why) = (what.into(), why.into());
        self.left_out.push(LeftOut { at: at.to_owned(), what, why });
    }
}
