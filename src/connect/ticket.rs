//! Tokens that a browser brings back: Connect Links (`ln_…`), OAuth states (`st_…`) and sessions of
//! a verifier (`se_…`). A token names its project, so that it is looked up like any other row of a tenant; it is stored as a
//! hash, bound to one account, and works once.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::app::App;
use crate::db;
use crate::db::connect_token::ConnectTokenRow;
use crate::domain::connection::Account;
use crate::domain::id::{AccountId, ProjectId, random_text};
use crate::error::Result;
use crate::vault::hash_token;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Connect Link.
    Link,
    /// The `state` of an OAuth authorization request.
    State,
    /// A provider's answer that waits for the project's verifier.
    Session,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Link => "ln_",
            Self::State => "st_",
            Self::Session => "se_",
        }
    }

    fn stored(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::State => "state",
            Self::Session => "session",
        }
    }
}

/// A token that is known, used or not.
pub struct Ticket {
    /// Its project.
    pub project_id: ProjectId,
    /// The account that it connects.
    pub account_id: AccountId,
    /// Opened data.
    pub data: Map<String, Value>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// Whether it was used.
    pub is_used: bool,
    /// Wrong credentials that were tried with it.
    pub tries: i32,
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
}

/// Makes a token for an account within a transaction and returns it: the only time that it is
/// known.
pub async fn issue(
    app: &App,
    tx: &mut sqlx::PgConnection,
    kind: Kind,
    account: &Account,
    data: &Map<String, Value>,
    token: Option<String>,
    expires_at: DateTime<Utc>,
) -> Result<String> {
    let token = token.unwrap_or_else(|| new_token(kind, &account.project_id));
    let hash = hash_token(&token);
    let row = ConnectTokenRow {
        project_id: account.project_id.clone(),
        data: app.vault.seal_token_data(&account.project_id, &hash, data).await?,
        hash,
        kind: kind.stored().to_owned(),
        account_id: account.id.clone(),
        expires_at,
        consumed_at: None,
        tries: 0,
    };
    db::connect_token::insert(tx, &row).await?;
    Ok(token)
}

/// A new random token.
pub fn new_token(kind: Kind, project: &ProjectId) -> String {
    let project = project.as_str().strip_prefix(ProjectId::PREFIX).unwrap_or(project.as_str());
    format!("{}{project}_{}", kind.prefix(), random_text(32))
}

/// Looks a token up; none when it was never made.
pub async fn find(app: &App, kind: Kind, token: &str) -> Result<Option<Ticket>> {
    let Some(project_id) = project_of(kind, token) else { return Ok(None) };
    let hash = hash_token(token);
    let row = db::connect_token::get(&app.db, &project_id, &hash, kind.stored()).await?;
    let Some(row) = row else { return Ok(None) };
    let data = app.vault.open_token_data(&project_id, &hash, &row.data).await?;
    Ok(Some(Ticket {
        project_id,
        account_id: row.account_id,
        data,
        expires_at: row.expires_at,
        is_used: row.consumed_at.is_some(),
        tries: row.tries,
        hash,
    }))
}

fn project_of(kind: Kind, token: &str) -> Option<ProjectId> {
    let (project, random) = token.strip_prefix(kind.prefix())?.rsplit_once('_')?;
    let plain = |t: &str, n: usize| t.len() <= n && t.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain(project, 40) && random.len() == 32 && plain(random, 32))
        .then(|| ProjectId::from(format!("{}{project}", ProjectId::PREFIX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_its_project_and_nothing_else_does() {
        let project = ProjectId::generate();
        let token = new_token(Kind::State, &project);
        assert_eq!(project_of(Kind::State, &token), Some(project));
        assert_eq!(project_of(Kind::Link, &token), None);
        for forged in ["", "st_", "st_abc", "st_a_b", "st_a'b_0", "st__", "x"] {
            assert_eq!(project_of(Kind::State, forged), None, "{forged}");
        }
    }
}
