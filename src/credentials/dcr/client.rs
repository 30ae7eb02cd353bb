//! One client per auth config and server. Whoever comes first registers it; everybody else, on
//! every replica, waits for that. Nothing is locked meanwhile but a claim on the row that ends by
//! itself, and no database connection is held while a server is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::discover::discover;
use super::{Failure, Method, Registered, Target, definition, register};
use crate::app::App;
use crate::catalog::Toolkit;
use crate::catalog::model::Dcr;
use crate::credentials::fields::{inherited, plain};
use crate::credentials::oauth2::default_redirect_uri;
use crate::db;
use crate::domain::connection::{AuthConfig, SecretMap};
use crate::domain::id::random_text;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};
use crate::net::Client;
use crate::vault::Vault;

/// How long what was found at a server is believed.
const FRESH: TimeDelta = TimeDelta::hours(1);

/// How long before its end a client secret is not used for a new connection: the person needs time,
/// and the account should live for a while.
const SECRET_MARGIN: TimeDelta = TimeDelta::hours(1);

/// How long a claim keeps others away; longer than discovery and registration can take.
const CLAIM_SECONDS: i32 = 45;

/// How often others look whether the client is there.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long they do so.
const PATIENCE: Duration = Duration::from_secs(50);

/// Where the client of an auth config at one server is stored.
fn row_id(config: &AuthConfig, target: &Target) -> String {
    let text = format!("{}\n{}", config.id.as_str(), target.key());
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The client to connect an account with: registered now, or before. `state` holds the
/// connection's fields.
///
/// # Errors
/// `DISCOVERY_FAILED` when the server does not offer what is needed, `PROVIDER_UNAVAILABLE` when
/// it could not be asked.
pub async fn registered(
    app: &App,
    toolkit: &Toolkit,
    auth_config: &AuthConfig,
    state: &SecretMap,
) -> Result<Registered> {
    let (scheme, dcr) = definition(toolkit)?;
    let conn = plain(scheme, &inherited(auth_config, state).0);
    let target = Target::of(toolkit, dcr, &conn)?;
    let redirect_uri = auth_config
        .credentials
        .text("oauth_redirect_uri")
        .map_or_else(|| default_redirect_uri(&app.config), str::to_owned);
    // A server that each connection names is not shown the developer's secret.
    let named = scheme.connect_fields.iter().any(|f| f.host);
    if let (false, Some(id)) =
        (named, auth_config.credentials.text("client_id").filter(|t| !t.is_empty()))
    {
        let secret = auth_config.credentials.text("client_secret").filter(|t| !t.is_empty());
        let server = discover(&app.net, dcr, &target, false).await;
        let server = server.map_err(|failure| failure.into_error(toolkit))?;
        return brought(server, dcr, id, secret, redirect_uri)
            .map_err(|failure| failure.into_error(toolkit));
    }
    let id = row_id(auth_config, &target);
    let give_up = Instant::now() + PATIENCE;
    loop {
        let (known, version) = read(&app.db, &app.vault, auth_config, &id).await?;
        if let Some(known) = &known
            && serves(known, &redirect_uri)
            && known.server.found_at + FRESH > now()
        {
            return Ok(known.clone());
        }
        let claim = random_text(16);
        let row = (&auth_config.project_id, &auth_config.id);
        if db::oauth_client::claim(&app.db, row, &id, version, &claim, CLAIM_SECONDS).await? {
            let job = Job {
                db: app.db.clone(),
                vault: app.vault.clone(),
                net: app.net.clone(),
                config: auth_config.clone(),
                dcr: dcr.clone(),
                target,
                redirect_uri,
                id,
                claim,
            };
            // A client that was registered must not be lost because its caller went away.
            let work = app.tasks.spawn(job.run(known));
            return work
                .await
                .map_err(|e| Error::internal(format!("registration: {e}")))??
                .map_err(|failure| failure.into_error(toolkit));
        }
        if Instant::now() > give_up {
            let why = "another server is still registering a client".to_owned();
            return Err(Failure::Unreachable(why).into_error(toolkit));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether a client can be used for another connection.
fn serves(known: &Registered, redirect_uri: &str) -> bool {
    let end = known.client_secret_expires_at.unwrap_or(0);
    let lasts = end == 0 || end > (now() + SECRET_MARGIN).timestamp();
    known.redirect_uri == redirect_uri && lasts
}

/// The developer's own client.
fn brought(
    server: super::Server,
    dcr: &Dcr,
    id: &str,
    secret: Option<&str>,
    redirect_uri: String,
) -> std::result::Result<Registered, Failure> {
    let method = match secret {
        None => Method::None,
        Some(_) => match register::method(dcr, &server)? {
            // Listed first is what can be done; a secret is there to be used.
            Method::None => Method::Post,
            method => method,
        },
    };
    Ok(Registered {
        server,
        method,
        redirect_uri,
        client_id: id.to_owned(),
        client_secret: secret.map(str::to_owned),
        client_id_issued_at: None,
        client_secret_expires_at: None,
        is_own: false,
        registration_client_uri: None,
        registration_access_token: None,
    })
}

/// The stored client with its version; 0 when there was never one.
async fn read(
    db: &PgPool,
    vault: &Vault,
    config: &AuthConfig,
    id: &str,
) -> Result<(Option<Registered>, i64)> {
    let Some(row) = db::oauth_client::get(db, &config.project_id, id).await? else {
        return Ok((None, 0));
    };
    let client = match &row.client {
        Some(sealed) => {
            let value = vault.open_oauth_client(&config.project_id, id, sealed).await?;
            Registered::from_value(&value.into())
        }
        None => None,
    };
    Ok((client, row.version))
}

/// What registers a client, with all that it needs: it outlives the request that asked for it.
struct Job {
    db: PgPool,
    vault: Arc<Vault>,
    net: Client,
    config: AuthConfig,
    dcr: Dcr,
    target: Target,
    redirect_uri: String,
    id: String,
    claim: String,
}

impl Job {
    async fn run(
        self,
        known: Option<Registered>,
    ) -> Result<std::result::Result<Registered, Failure>> {
        let made = self.make(known).await;
        let stored = match &made {
            Ok((client, true)) => self.store(client).await,
            _ => {
                let project = &self.config.project_id;
                let released = db::oauth_client::release(&self.db, project, &self.id, &self.claim);
                released.await.map_err(Error::from)
            }
        };
        stored?;
        Ok(made.map(|(client, _)| client))
    }

    async fn store(&self, client: &Registered) -> Result<()> {
        let project = &self.config.project_id;
        let serde_json::Value::Object(map) = client.to_value() else {
            return Err(Error::internal("a registered client cannot be stored"));
        };
        let sealed = self.vault.seal_oauth_client(project, &self.id, &map).await?;
        if db::oauth_client::update(&self.db, project, &self.id, &self.claim, &sealed).await? {
            return Ok(());
        }
        // Somebody waited for too long and has registered another one.
        Err(Error::new(codes::PROVIDER_UNAVAILABLE, "Registering a client took too long")
            .fix("Retry in a few seconds"))
    }

    /// The client, and whether it is to be stored.
    async fn make(
        &self,
        known: Option<Registered>,
    ) -> std::result::Result<(Registered, bool), Failure> {
        let known = known.filter(|known| serves(known, &self.redirect_uri));
        let found = discover(&self.net, &self.dcr, &self.target, true).await;
        let server = match (found, known.as_ref()) {
            (Ok(server), _) => server,
            // What was good an hour ago is good while the server is away.
            (Err(Failure::Unreachable(why)), Some(known)) => {
                tracing::warn!(%why, "an authorization server could not be asked again");
                return Ok((known.clone(), false));
            }
            (Err(failure), _) => return Err(failure),
        };
        if let Some(mut known) = known {
            // A secret never goes to another server than the one that gave it.
            let same = known.server.issuer == server.issuer
                && known.server.register_url == server.register_url;
            if same && !register::is_gone(&self.net, &known).await {
                known.server = server;
                return Ok((known, true));
            }
        }
        let client = register::register(&self.net, &self.dcr, server, &self.redirect_uri).await?;
        tracing::info!(
            auth_config = %self.config.id,
            issuer = client.server.issuer.as_deref().unwrap_or_default(),
            "registered an OAuth client"
        );
        Ok((client, true))
    }
}

/// Gives up a client that its server does not know any more, so that the next connection registers
/// another one. `state` is of an account that was connected with it.
///
/// # Errors
/// When the database is away.
pub async fn forget(
    db: &PgPool,
    vault: &Vault,
    toolkit: &Toolkit,
    auth_config: &AuthConfig,
    state: &SecretMap,
) -> Result<()> {
    let Some(dead) = Registered::of_state(state).filter(|r| r.is_own) else { return Ok(()) };
    let (scheme, dcr) = definition(toolkit)?;
    let conn = plain(scheme, &inherited(auth_config, state).0);
    let id = row_id(auth_config, &Target::of(toolkit, dcr, &conn)?);
    let (known, version) = read(db, vault, auth_config, &id).await?;
    if known.is_some_and(|known| known.client_id == dead.client_id) {
        tracing::info!(auth_config = %auth_config.id, "an OAuth client is not known any more");
        db::oauth_client::clear(db, &auth_config.project_id, &id, version).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_serves_its_redirect_uri_while_its_secret_lasts() {
        let mut known = super::super::tests::registered();
        let uri = known.redirect_uri.clone();
        assert!(serves(&known, &uri));
        assert!(!serves(&known, "https://me.example/other"));
        known.client_secret_expires_at = Some(now().timestamp() + 60);
        assert!(!serves(&known, &uri));
        known.client_secret_expires_at = Some(now().timestamp() + 86_400);
        assert!(serves(&known, &uri));
    }
}
