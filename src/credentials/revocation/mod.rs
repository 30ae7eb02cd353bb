//! Tokens that a provider is to be told to forget.
//!
//! They leave their account and become an order in one transaction, so that no crash leaves tokens
//! behind that are valid and that nobody knows of. Whoever writes an order may carry it out at
//! once; what then fails, or is never tried, is a worker's. An order is carried out at least once:
//! a server that dies between the provider's answer and its own note leaves it to another one.

mod plan;
mod work;

use serde_json::{Map, Value};

use super::oauth2::Provider;
use crate::app::App;
use crate::catalog::Catalogs;
use crate::config::Config;
use crate::db;
use crate::db::revocation::RevocationRow;
use crate::domain::connection::{Account, AuthConfig, SecretMap};
use crate::domain::id::{ProjectId, RevocationId, random_text};
use crate::domain::identity::Identity;
use crate::domain::time::now;
use crate::error::Result;
use crate::vault::Vault;

pub use work::{Given, give, round};

/// Tokens that a provider can be told to forget: the one that makes others first.
const TOKENS: [&str; 2] = ["refresh_token", "access_token"];

/// Keys of the sealed object.
const STATE: &str = "state";
const IDENTITY: &str = "identity";
const CREDENTIALS: &str = "credentials";
const SHARED: &str = "shared_credentials";

/// Why tokens are to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The account was revoked.
    Revoke,
    /// The account was deleted.
    Delete,
    /// The tokens came when their account was revoked or deleted.
    Late,
}

impl Cause {
    fn stored(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Delete => "delete",
            Self::Late => "late",
        }
    }
}

/// A new name of what is asked for at once, as answers and the log have it.
pub fn new_job() -> String {
    format!("rj_{}", random_text(16))
}

/// What an order says, opened.
struct Opened {
    /// The auth config as it was.
    config: AuthConfig,
    /// Fields of the connection, with the tokens.
    state: SecretMap,
    /// Whose account at the provider it was.
    identity: Option<Identity>,
}

/// The parts of a server that orders are made with.
#[derive(Clone, Copy)]
pub struct Clerk<'a> {
    /// Settings.
    pub config: &'a Config,
    /// Toolkits.
    pub catalogs: &'a Catalogs,
    /// Sealing.
    pub vault: &'a Vault,
}

impl<'a> From<&'a App> for Clerk<'a> {
    fn from(app: &'a App) -> Self {
        Self { config: &app.config, catalogs: &app.catalogs, vault: &app.vault }
    }
}

impl Clerk<'_> {
    /// Whether the account's provider can be told to forget tokens.
    pub fn can_revoke(&self, config: &AuthConfig, account: &Account) -> bool {
        let catalog = self.catalogs.of(&account.project_id);
        let Some(toolkit) = catalog.toolkit(&account.toolkit_slug) else { return false };
        Provider::of(self.config, toolkit, config, &account.state).is_ok_and(|p| p.can_revoke())
    }

    /// An order for the tokens that an account holds; none when it holds none, or its provider
    /// cannot be told. The caller stores it in the transaction that takes them away.
    ///
    /// # Errors
    /// When the tokens cannot be sealed.
    pub async fn order(
        &self,
        config: &AuthConfig,
        account: &Account,
        cause: Cause,
        job: &str,
    ) -> Result<Option<RevocationRow>> {
        let has = |name: &&str| account.state.text(name).is_some_and(|t| !t.is_empty());
        if !TOKENS.iter().any(has) || !self.can_revoke(config, account) {
            return Ok(None);
        }
        let id = RevocationId::generate();
        let mut data = Map::new();
        data.insert(STATE.to_owned(), account.state.0.clone().into());
        data.insert(CREDENTIALS.to_owned(), config.credentials.0.clone().into());
        data.insert(SHARED.to_owned(), config.shared_credentials.0.clone().into());
        if let Some(Ok(identity)) = account.identity.as_ref().map(serde_json::to_value) {
            data.insert(IDENTITY.to_owned(), identity);
        }
        Ok(Some(RevocationRow {
            tokens: self.vault.seal_revocation(&account.project_id, &id, &data).await?,
            project_id: account.project_id.clone(),
            id,
            job: job.to_owned(),
            cause: cause.stored().to_owned(),
            account_id: account.id.clone(),
            auth_config_id: account.auth_config_id.clone(),
            user_id: account.user_id.clone(),
            toolkit_slug: account.toolkit_slug.clone(),
            scheme: account.scheme,
            is_managed: config.is_managed,
            attempts: 0,
            created_at: now(),
        }))
    }

    /// Leaves it to the workers to revoke tokens that came when their account was revoked or
    /// deleted; those of an account that was deleted without a revocation stay.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn late(
        &self,
        db: &sqlx::PgPool,
        config: &AuthConfig,
        account: &Account,
    ) -> Result<()> {
        if db::account::keeps_grant(db, &account.project_id, &account.id).await? {
            return Ok(());
        }
        let job = new_job();
        if let Some(row) = self.order(config, account, Cause::Late, &job).await? {
            db::revocation::insert(db, &row, None).await?;
            tracing::info!(
                account = %account.id,
                project = %account.project_id,
                toolkit = %account.toolkit_slug,
                %job,
                "tokens came after their account was revoked or deleted; they will be revoked"
            );
        }
        Ok(())
    }

    async fn open(&self, row: &RevocationRow) -> Result<Opened> {
        let mut data = self.vault.open_revocation(&row.project_id, &row.id, &row.tokens).await?;
        let mut map = |name: &str| match data.remove(name) {
            Some(Value::Object(map)) => SecretMap(map),
            _ => SecretMap::default(),
        };
        let (state, credentials, shared_credentials) = (map(STATE), map(CREDENTIALS), map(SHARED));
        let identity = data.remove(IDENTITY).and_then(|value| serde_json::from_value(value).ok());
        let config = AuthConfig {
            project_id: row.project_id.clone(),
            id: row.auth_config_id.clone(),
            toolkit_slug: row.toolkit_slug.clone(),
            name: String::new(),
            scheme: row.scheme,
            is_managed: row.is_managed,
            is_enabled: true,
            credentials,
            shared_credentials,
            restrict_to_tools: None,
            scope_tools: None,
            created_at: row.created_at,
            updated_at: row.created_at,
        };
        Ok(Opened { config, state, identity })
    }

    /// Seals an order anew, without the tokens that are done with.
    async fn without(
        &self,
        row: &RevocationRow,
        opened: &Opened,
        told: &[&str],
    ) -> Result<Vec<u8>> {
        let (project, id): (&ProjectId, _) = (&row.project_id, &row.id);
        let mut data = self.vault.open_revocation(project, id, &row.tokens).await?;
        let mut state = opened.state.0.clone();
        for name in told {
            state.remove(*name);
        }
        data.insert(STATE.to_owned(), state.into());
        self.vault.seal_revocation(project, id, &data).await
    }
}
