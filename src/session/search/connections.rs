//! Which accounts the session's user has for some toolkits: one query, however many they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::answer::{ConnectedStatus, ConnectionStatus};
use crate::app::App;
use crate::catalog::Toolkit;
use crate::db;
use crate::domain::connection::Account;
use crate::domain::id::AccountId;
use crate::domain::session::Session;
use crate::domain::sharing::AccountType;
use crate::domain::status::AccountStatus as Status;
use crate::domain::time::iso;
use crate::error::Result;
use crate::session::account::works;
use crate::session::toolkits::is_no_auth;

/// Most accounts of a toolkit that are shown.
const SHOWN: usize = 5;

/// Accounts by toolkit, those that work first, then the newest first.
#[derive(Debug, Default)]
pub(in crate::session) struct Connections {
    accounts: BTreeMap<String, Vec<Arc<Account>>>,
}

impl Connections {
    /// Those of the toolkits.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn load(app: &App, session: &Session, toolkits: &BTreeSet<&str>) -> Result<Self> {
        let catalog = app.catalog(&session.project_id);
        let asked: Vec<String> = toolkits
            .iter()
            .filter(|slug| catalog.toolkit(slug).is_some_and(|t| !t.file.auth.is_empty()))
            .map(|slug| (*slug).to_owned())
            .collect();
        let mut found = Self::default();
        if asked.is_empty() {
            return Ok(found);
        }
        let most = SHOWN as i64 + 1;
        let rows =
            db::account::newest_of(&app.db, &session.project_id, &session.user_id, &asked, most)
                .await?;
        for row in rows {
            // One that cannot be opened says nothing about the others.
            let Ok(account) = app.vault.open_account(row).await else { continue };
            found.accounts.entry(account.toolkit_slug.clone()).or_default().push(Arc::new(account));
        }
        // Accounts that the configuration names may be other people's.
        for slug in &asked {
            for id in session.config.connected_accounts.get(slug).into_iter().flatten() {
                let known = found.accounts.entry(slug.clone()).or_default();
                if known.iter().any(|account| account.id.as_str() == id) {
                    continue;
                }
                let id = AccountId::from(id.as_str());
                if let Some(account) = app.cache.account(&session.project_id, &id).await?
                    && account.toolkit_slug == *slug
                    && account.sharing.admits(&account.user_id, &session.user_id)
                {
                    known.push(account);
                }
            }
        }
        Ok(found)
    }

    /// The account that is used when a call names none.
    fn usual(&self, session: &Session, toolkit: &str) -> Option<&Arc<Account>> {
        let accounts = self.accounts.get(toolkit)?;
        if let Some(pin) = session.config.connected_accounts.get(toolkit).and_then(|p| p.first()) {
            return accounts.iter().find(|account| account.id.as_str() == pin);
        }
        let config = session.config.auth_configs.get(toolkit);
        accounts.iter().find(|account| {
            works(account)
                && account.sharing.account_type == AccountType::Private
                && config.is_none_or(|id| account.auth_config_id.as_str() == id)
        })
    }

    /// Whether tools of the toolkit can be executed now.
    pub fn works(&self, session: &Session, toolkit: &Toolkit) -> bool {
        is_no_auth(toolkit) || self.usual(session, toolkit.slug()).is_some_and(|a| works(a))
    }

    /// A toolkit's connection, for a model.
    pub fn status(&self, session: &Session, toolkit: &Toolkit) -> ConnectionStatus {
        let slug = toolkit.slug();
        let usual = self.usual(session, slug);
        let active = self.works(session, toolkit);
        let all = self.accounts.get(slug).map_or(&[][..], Vec::as_slice);
        let accounts: Vec<ConnectedStatus> = usual
            .into_iter()
            .chain(all.iter().filter(|a| usual.is_none_or(|usual| usual.id != a.id)))
            .filter(|account| works(account) || !active)
            .take(SHOWN)
            .map(|account| shown(account, usual.is_some_and(|usual| usual.id == account.id)))
            .collect();
        let config = &session.config;
        let chooses = config
            .multi_account
            .as_ref()
            .is_some_and(|multi| multi.require_explicit_selection == Some(true));
        let several = all.iter().filter(|account| works(account)).count() > 1;
        let who = usual.filter(|a| works(a)).and_then(|account| user_info(account));
        ConnectionStatus {
            toolkit: slug.to_owned(),
            description: toolkit.file.description.trim().to_owned(),
            has_active_connection: active,
            status_message: message(session, toolkit, usual.or(all.first()), active, several),
            account_selection: (chooses && several).then_some("required"),
            connection_details: usual.filter(|_| active).map(|account| {
                let mut details = Map::new();
                details.insert("connected_account_id".into(), account.id.as_str().into());
                details.insert("auth_config_id".into(), account.auth_config_id.as_str().into());
                details
            }),
            accounts,
            current_user_info: who,
        }
    }
}

fn shown(account: &Account, is_default: bool) -> ConnectedStatus {
    ConnectedStatus {
        id: account.id.to_string(),
        alias: account.alias.clone(),
        status: if account.is_disabled { "INACTIVE" } else { account.status.as_str() },
        is_default,
        created_at: iso(account.created_at),
        account_type: account.sharing.account_type.as_str(),
        user_info: user_info(account),
    }
}

fn user_info(account: &Account) -> Option<Map<String, Value>> {
    let identity = account.identity.as_ref().filter(|identity| !identity.is_empty())?;
    let fields = [("id", &identity.id), ("name", &identity.label), ("email", &identity.email)];
    let known = fields.into_iter().filter_map(|(name, value)| {
        value.as_ref().map(|value| (name.to_owned(), Value::from(value.as_str())))
    });
    Some(known.collect())
}

fn message(
    session: &Session,
    toolkit: &Toolkit,
    account: Option<&Arc<Account>>,
    active: bool,
    several: bool,
) -> String {
    let (slug, name) = (toolkit.slug(), toolkit.file.name.trim());
    if active {
        return match account.filter(|account| works(account)) {
            None => format!("{name} needs no connection: execute its tools at once."),
            Some(_) if several => format!(
                "{name} is connected with several accounts. The default one is used unless a call \
                 names another by `account`: its id or alias."
            ),
            Some(_) => format!("{name} is connected: execute its tools at once."),
        };
    }
    let why = match account {
        None => format!("The person has not connected {name} yet."),
        Some(account) if account.is_disabled => {
            format!("The person's {name} account is switched off.")
        }
        Some(account) => match account.status {
            Status::Initializing | Status::Initiated => {
                format!("The person has begun to connect {name} but not finished.")
            }
            Status::Active => format!("No {name} account that this session may use is connected."),
            status => format!("The {name} connection is {} and does not work.", status.as_str()),
        },
    };
    let manage = &session.config.manage_connections;
    let how = if manage.enable {
        format!(
            "Call COMPOSIO_MANAGE_CONNECTIONS with toolkits [\"{slug}\"] and give the person the link."
        )
    } else {
        format!("Ask the person to connect {name} in the application.")
    };
    format!("{why} {how}")
}
