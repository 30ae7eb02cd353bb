//! The project's own check of who came back from a provider.
//!
//! With a verifier configured, the callback does not complete an attempt: the browser is sent to
//! the developer's page with a session URI that works once. The developer's server, which knows
//! whose browser that is, redeems it with the user's id; only then is the code exchanged. A person
//! who was lured into finishing somebody else's attempt is found out there.

use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use url::Url;

use super::callback::{self, Answer, Finished};
use super::{start, ticket};
use crate::app::App;
use crate::db;
use crate::domain::connection::Account;
use crate::domain::id::ProjectId;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};

/// What stands in front of a token to make it a URI.
const SCHEME: &str = "patchbay-session:";

/// Keys of a session's data.
const ANSWER: &str = "answer";
const FLOW: &str = "flow";

/// The verifier of the account's project.
pub(super) async fn url_of(app: &App, account: &Account) -> Result<Option<String>> {
    let project = db::project::get(&app.db, &account.project_id).await?;
    let config = project.map(crate::cache::project_of).map(|project| project.config);
    Ok(config.and_then(|config| config.oauth_callback_verifier_url))
}

/// Keeps the provider's answer under a new session URI; returns where the browser goes with it.
pub(super) async fn defer(
    app: &App,
    verifier: &str,
    account: &Account,
    flow: &ticket::Ticket,
    answer: &Answer,
) -> Result<String> {
    let mut location =
        Url::parse(verifier).map_err(|_| Error::internal("the project's verifier is not a URL"))?;
    let mut data = Map::new();
    data.insert(FLOW.to_owned(), Value::Object(flow.data.clone()));
    data.insert(ANSWER.to_owned(), serde_json::to_value(answer).map_err(Error::internal)?);
    // Never longer than the attempt itself; a code of the provider's rarely lives longer anyway.
    let ends = start::deadline(app);
    let ends = account.attempt_expires_at.map_or(ends, |end| end.min(ends));
    let mut tx = app.db.begin().await?;
    let kind = ticket::Kind::Session;
    let token = ticket::issue(app, &mut tx, kind, account, &data, None, ends).await?;
    tx.commit().await?;
    location.query_pairs_mut().append_pair("session_uri", &format!("{SCHEME}{token}"));
    Ok(location.into())
}

/// Completes the attempt behind a session URI.
///
/// # Errors
/// 404 for a URI that is unknown, used, late, of another project or of another user; 400 when the
/// provider does not give the tokens, and the account is FAILED then.
pub async fn redeem(
    app: &App,
    project: &ProjectId,
    session_uri: &str,
    user_id: &str,
) -> Result<Finished> {
    let unknown = || {
        Error::new(codes::SESSION_NOT_FOUND, "There is no such session for this user")
            .fix("A session URI works once, for a few minutes, and for the user that the attempt was begun for; start again")
    };
    let token = session_uri.strip_prefix(SCHEME).ok_or_else(unknown)?;
    let session = ticket::find(app, ticket::Kind::Session, token).await?.ok_or_else(unknown)?;
    let is_ours = session.project_id == *project;
    if !is_ours || session.is_used || session.expires_at <= now() {
        return Err(unknown());
    }
    let account =
        app.cache.read_account(project, &session.account_id).await?.ok_or_else(unknown)?;
    // What is compared is no secret of the server's, but an answer's time need not tell it either.
    if !bool::from(account.user_id.as_bytes().ct_eq(user_id.as_bytes())) {
        return Err(unknown());
    }
    // Exactly one caller gets past this line with a given session.
    if !db::connect_token::consume(&app.db, project, &session.hash).await? {
        return Err(unknown());
    }
    let part = |name: &str| session.data.get(name).cloned().unwrap_or_default();
    let answer: Answer = serde_json::from_value(part(ANSWER)).map_err(Error::internal)?;
    let Value::Object(data) = part(FLOW) else {
        return Err(Error::internal("a session holds no attempt"));
    };
    let flow = ticket::Ticket { data, ..session };
    let finished = callback::complete(app, &account, &flow, &answer).await?;
    match &finished.failure {
        None => Ok(finished),
        Some(why) => Err(Error::new(codes::CREDENTIALS_REFUSED, why.clone())
            .fix("The account is FAILED; begin a new connection for the user")),
    }
}
