//! Codes, access tokens and refresh tokens. Each names its project, so that it is looked up like
//! any other row of a tenant, and is stored as a hash.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use subtle::ConstantTimeEq;

use super::{Failure, Refusal, resource};
use crate::app::App;
use crate::db;
use crate::db::mcp_oauth::{GrantRow, NewToken, TokenRow};
use crate::db::notify::Changed;
use crate::domain::id::{ProjectId, random_text};
use crate::domain::time::now;
use crate::vault::hash_token;

/// What a code begins with.
pub const CODE: &str = "mco_";
/// What an access token begins with.
pub const ACCESS: &str = "mat_";
/// What a refresh token begins with.
pub const REFRESH: &str = "mrt_";

/// How long an access token is good for.
const ACCESS_TTL: TimeDelta = TimeDelta::hours(1);
/// How long a refresh token that nobody uses is good for.
const REFRESH_TTL: TimeDelta = TimeDelta::days(30);

/// For how many seconds a refresh token still works after it was used: a client whose requests
/// run side by side renews with the same token more than once, and an answer can be lost.
const REFRESH_AGAIN_S: f64 = 10.0;

/// A new random token.
pub fn new(prefix: &str, project: &ProjectId) -> String {
    let project = project.as_str().strip_prefix(ProjectId::PREFIX).unwrap_or(project.as_str());
    format!("{prefix}{project}_{}", random_text(32))
}

/// The project that a token names; none for what was never a token of this kind.
pub fn project_of(prefix: &str, token: &str) -> Option<ProjectId> {
    let (project, random) = token.strip_prefix(prefix)?.rsplit_once('_')?;
    let plain = |t: &str, n: usize| t.len() <= n && t.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain(project, 40) && random.len() == 32 && plain(random, 32))
        .then(|| ProjectId::from(format!("{}{project}", ProjectId::PREFIX)))
}

/// What a client gets.
#[derive(Debug, Serialize)]
pub struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    refresh_token: String,
    scope: &'static str,
}

/// The parameters of a request to the token endpoint.
#[derive(Debug, Default)]
pub struct Parameters {
    /// `authorization_code` or `refresh_token`.
    pub grant_type: Option<String>,
    /// The client.
    pub client_id: Option<String>,
    /// The code.
    pub code: Option<String>,
    /// What the challenge was made of.
    pub code_verifier: Option<String>,
    /// Where the code was sent.
    pub redirect_uri: Option<String>,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// The endpoint that the token is for.
    pub resource: Option<String>,
}

fn required<'a>(name: &str, value: Option<&'a String>) -> Result<&'a str, Refusal> {
    value
        .map(String::as_str)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Refusal::new("invalid_request", format!("{name} is missing")))
}

fn invalid_grant(text: &'static str) -> Failure {
    Refusal::new("invalid_grant", text).into()
}

/// Gives tokens for a code or a refresh token.
///
/// # Errors
/// In the words of RFC 6749.
pub async fn give(app: &App, parameters: &Parameters) -> Result<Tokens, Failure> {
    match required("grant_type", parameters.grant_type.as_ref())? {
        "authorization_code" => {
            let code = required("code", parameters.code.as_ref())?;
            exchange(app, parameters, code).await
        }
        "refresh_token" => {
            let token = required("refresh_token", parameters.refresh_token.as_ref())?;
            renew(app, parameters, token).await
        }
        _ => Err(Refusal::new(
            "unsupported_grant_type",
            "this server has authorization_code and refresh_token",
        )
        .into()),
    }
}

/// A token with its sign-in, locked.
struct Locked {
    project: ProjectId,
    hash: Vec<u8>,
    token: TokenRow,
    grant: GrantRow,
}

/// Locks the sign-in of a token. The token is read again under the lock, so that of several who
/// come with it, one is the first.
async fn lock(
    tx: &mut PgConnection,
    prefix: &str,
    kind: &str,
    token: &str,
) -> Result<Locked, Failure> {
    let unknown = || invalid_grant("it is unknown, or was revoked");
    let project = project_of(prefix, token).ok_or_else(unknown)?;
    let hash = hash_token(token);
    let found = db::mcp_oauth::token(&mut *tx, &project, &hash).await?;
    let grant_id = found.filter(|t| t.kind == kind).ok_or_else(unknown)?.grant_id;
    let grant = db::mcp_oauth::lock_grant(tx, &project, &grant_id).await?.ok_or_else(unknown)?;
    let token = db::mcp_oauth::token(&mut *tx, &project, &hash).await?.ok_or_else(unknown)?;
    Ok(Locked { project, hash, token, grant })
}

/// Ends a sign-in of which something got into wrong hands.
async fn revoke_all(
    app: &App,
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    locked: &Locked,
) -> Result<(), Failure> {
    db::mcp_oauth::revoke_grant(&mut tx, &locked.project, &locked.token.grant_id).await?;
    let changed = Changed::McpTokens { project: locked.project.clone() };
    app.changed(&mut *tx, &changed).await?;
    tx.commit().await?;
    app.cache.invalidate(&changed);
    tracing::warn!(project = %locked.project, "a sign-in of an MCP client was revoked");
    Ok(())
}

/// What a request must agree on with the sign-in.
fn check(app: &App, parameters: &Parameters, grant: &GrantRow) -> Result<(), Refusal> {
    let client_id = required("client_id", parameters.client_id.as_ref())?;
    if !bool::from(hash_token(client_id).ct_eq(&grant.client_hash)) {
        return Err(Refusal::new("invalid_grant", "it belongs to another client"));
    }
    if let Some(text) = &parameters.resource
        && resource::of_parameter(&app.config.public_url, text).as_ref() != Some(&grant.resource)
    {
        return Err(Refusal::new("invalid_target", "the person allowed another resource"));
    }
    Ok(())
}

/// Whether a verifier is what a challenge was made of (RFC 7636, S256).
fn verifies(verifier: &str, challenge: &str) -> bool {
    let fits = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    fits && bool::from(made.as_bytes().ct_eq(challenge.as_bytes()))
}

async fn exchange(app: &App, parameters: &Parameters, code: &str) -> Result<Tokens, Failure> {
    let verifier = required("code_verifier", parameters.code_verifier.as_ref())?;
    required("client_id", parameters.client_id.as_ref())?;
    let mut tx = app.db.begin().await?;
    let locked = lock(&mut tx, CODE, "code", code).await?;
    // Who comes second has a copy, and so may the first.
    if locked.token.used_for.is_some() {
        revoke_all(app, tx, &locked).await?;
        return Err(invalid_grant("the code was used already; its tokens are revoked now"));
    }
    if locked.token.is_over || !locked.grant.holds {
        return Err(invalid_grant("the code is too old"));
    }
    let redirected = parameters.redirect_uri.as_ref();
    let fits = check(app, parameters, &locked.grant);
    let proven = verifies(verifier, locked.token.code_challenge.as_deref().unwrap_or_default())
        && redirected.is_none_or(|uri| locked.token.redirect_uri.as_ref() == Some(uri));
    if fits.is_err() || !proven {
        // Whoever this is, it is not the one that the code was made for.
        revoke_all(app, tx, &locked).await?;
        fits?;
        return Err(invalid_grant("code_verifier or redirect_uri is not that of the request"));
    }
    db::mcp_oauth::consume_token(&mut *tx, &locked.project, &locked.hash).await?;
    let tokens = issue(&mut tx, &locked).await?;
    tx.commit().await?;
    Ok(tokens)
}

async fn renew(app: &App, parameters: &Parameters, token: &str) -> Result<Tokens, Failure> {
    let mut tx = app.db.begin().await?;
    let locked = lock(&mut tx, REFRESH, "refresh", token).await?;
    check(app, parameters, &locked.grant)?;
    if locked.token.used_for.is_some_and(|seconds| seconds > REFRESH_AGAIN_S) {
        revoke_all(app, tx, &locked).await?;
        return Err(invalid_grant(
            "the refresh token was used already; the sign-in is revoked now",
        ));
    }
    if locked.token.is_over || !locked.grant.holds {
        return Err(invalid_grant("the sign-in has ended"));
    }
    db::mcp_oauth::consume_token(&mut *tx, &locked.project, &locked.hash).await?;
    let tokens = issue(&mut tx, &locked).await?;
    tx.commit().await?;
    Ok(tokens)
}

async fn issue(tx: &mut PgConnection, locked: &Locked) -> Result<Tokens, Failure> {
    let (access, refresh) = (new(ACCESS, &locked.project), new(REFRESH, &locked.project));
    for (token, kind, ttl) in [(&access, "access", ACCESS_TTL), (&refresh, "refresh", REFRESH_TTL)]
    {
        let row = NewToken {
            project: &locked.project,
            hash: &hash_token(token),
            grant_id: &locked.token.grant_id,
            kind,
            code_challenge: None,
            redirect_uri: None,
            expires_at: now() + ttl,
        };
        db::mcp_oauth::insert_token(&mut *tx, &row).await?;
    }
    Ok(Tokens {
        access_token: access,
        token_type: "Bearer",
        expires_in: ACCESS_TTL.num_seconds(),
        refresh_token: refresh,
        scope: super::SCOPE,
    })
}

/// Ends the sign-in that a token belongs to (RFC 7009). A token that is not known has ended already.
///
/// # Errors
/// When the database is away.
pub async fn revoke(app: &App, client_id: Option<&str>, token: &str) -> Result<(), Failure> {
    let mut tx = app.db.begin().await?;
    for (prefix, kind) in [(ACCESS, "access"), (REFRESH, "refresh")] {
        if !token.starts_with(prefix) {
            continue;
        }
        let locked = match lock(&mut tx, prefix, kind, token).await {
            Ok(locked) => locked,
            Err(Failure::Refused(_)) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        // A client that names itself must be the right one; public clients need not.
        if client_id.is_none_or(|id| hash_token(id) == locked.grant.client_hash) {
            revoke_all(app, tx, &locked).await?;
        }
        return Ok(());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_its_project_and_nothing_else_does() {
        let project = ProjectId::generate();
        let token = new(ACCESS, &project);
        assert_eq!(project_of(ACCESS, &token), Some(project));
        assert_eq!(project_of(REFRESH, &token), None);
        for forged in ["", "mat_", "mat_abc", "mat_a_b", "mat_a'b_0"] {
            assert_eq!(project_of(ACCESS, forged), None, "{forged}");
        }
    }

    #[test]
    fn only_the_verifier_of_a_challenge_verifies() {
        // The example of RFC 7636.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(verifies(verifier, challenge));
        assert!(!verifies(challenge, challenge));
        assert!(!verifies("short", &URL_SAFE_NO_PAD.encode(Sha256::digest("short"))));
        assert!(!verifies(verifier, ""));
    }
}
