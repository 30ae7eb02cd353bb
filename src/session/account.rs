//! With which account a tool of a session is executed.
//!
//! The order of docs/SESSIONS.md, "Which account". All of it is answered by the cache when that is
//! warm.

use std::sync::Arc;

use super::meta::Meta;
use crate::app::App;
use crate::cache::Usable;
use crate::catalog::Toolkit;
use crate::db;
use crate::domain::connection::{Account, Project};
use crate::domain::id::AccountId;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::session::Session;
use crate::domain::sharing::AccountType;
use crate::domain::status::AccountStatus;
use crate::error::{Error, Result, codes};
use crate::execute::refuses_to_choose;

/// Most accounts that an error lists.
const SHOWN: usize = 20;

/// The accounts that the session's configuration names for a toolkit.
pub fn pins<'a>(session: &'a Session, toolkit: &str) -> &'a [String] {
    session.config.connected_accounts.get(toolkit).map_or(&[], Vec::as_slice)
}

/// Whether a toolkit has nothing to connect.
pub fn needs_none(toolkit: &Toolkit) -> bool {
    toolkit.file.auth.iter().all(|scheme| scheme.scheme == AuthSchemeKind::NoAuth)
}

/// Whether an account can be used as it stands.
pub fn works(account: &Account) -> bool {
    account.status == AccountStatus::Active && !account.is_disabled
}

/// The account to execute a tool of `toolkit` with; none when the toolkit works without one.
/// `named` is the id or the alias that the call gives.
///
/// # Errors
/// When there is none, when there are several and nobody may choose, and for a name that the
/// session cannot use. Whether the account works is decided when it is used.
pub async fn choose(
    app: &App,
    project: &Project,
    session: &Session,
    toolkit: &Toolkit,
    named: Option<&str>,
) -> Result<Option<Arc<Account>>> {
    if needs_none(toolkit) {
        return Ok(None);
    }
    let multi = session.config.multi_account.as_ref();
    if let Some(name) = named.map(str::trim).filter(|name| !name.is_empty()) {
        let account = by_name(app, session, toolkit, name).await?;
        if multi.is_some_and(|multi| multi.enable == Some(false)) {
            let usual = usual(app, project, session, toolkit, false).await?;
            if usual.is_none_or(|usual| usual.id != account.id) {
                return Err(not_allowed(format!(
                    "The session uses one account of each toolkit, and {name:?} is not that of {}",
                    toolkit.file.slug
                )));
            }
        }
        return Ok(Some(account));
    }
    let explicit = multi.is_some_and(|multi| multi.require_explicit_selection == Some(true));
    usual(app, project, session, toolkit, explicit || refuses_to_choose(app, project)).await
}

/// The account that is used when the call names none, as far as one can be said: nothing when
/// there is none, whatever the reason.
///
/// # Errors
/// When the database is away.
pub async fn current(
    app: &App,
    project: &Project,
    session: &Session,
    toolkit: &Toolkit,
) -> Result<Option<Arc<Account>>> {
    if needs_none(toolkit) {
        return Ok(None);
    }
    match usual(app, project, session, toolkit, false).await {
        Ok(account) => Ok(account),
        Err(error) if error.code.status.is_server_error() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Without a name. `explicit`: somebody else has to choose among several.
async fn usual(
    app: &App,
    project: &Project,
    session: &Session,
    toolkit: &Toolkit,
    explicit: bool,
) -> Result<Option<Arc<Account>>> {
    let slug = toolkit.file.slug.as_str();
    let pins = pins(session, slug);
    if let Some(pin) = pins.first() {
        if explicit && pins.len() > 1 {
            let ids = pins.iter().map(|id| AccountId::from(id.as_str())).collect();
            return Err(select(app, session, toolkit, ids).await?);
        }
        return pinned(app, session, slug, pin).await.map(Some);
    }
    let usable = app.cache.usable_accounts(&project.id, &session.user_id, slug).await?;
    let config = session.config.auth_configs.get(slug);
    let fits = |account: &&Usable| config.is_none_or(|id| account.auth_config_id.as_str() == id);
    let mut fitting = usable.iter().filter(fits);
    let Some(newest) = fitting.next() else {
        let open = toolkit.scheme(AuthSchemeKind::NoAuth).is_some();
        return if open { Ok(None) } else { Err(nobody(session, toolkit)) };
    };
    if explicit && fitting.next().is_some() {
        let ids = usable.iter().filter(fits).map(|account| account.id.clone()).collect();
        return Err(select(app, session, toolkit, ids).await?);
    }
    let account = app.cache.account(&project.id, &newest.id).await?;
    account.map(Some).ok_or_else(|| nobody(session, toolkit))
}

/// An account that the configuration names.
async fn pinned(app: &App, session: &Session, slug: &str, id: &str) -> Result<Arc<Account>> {
    let account = app.cache.account(&session.project_id, &AccountId::from(id)).await?;
    let account = account.filter(|account| account.toolkit_slug == slug).ok_or_else(|| {
        Error::new(
            codes::NO_CONNECTED_ACCOUNT,
            format!("The session's configuration names {id} for {slug}, and that account is deleted"),
        )
        .fix("Change connected_accounts with PATCH /api/v3/tool_router/session/{id}, or make another session")
    })?;
    if account.sharing.admits(&account.user_id, &session.user_id) {
        return Ok(account);
    }
    Err(Error::new(
        codes::ACCOUNT_NOT_SHARED,
        format!("Connected account {id} is not shared with the session's user any more"),
    )
    .fix("Add the user to the account's acl_config_for_shared, or name another account"))
}

/// The account of an id or alias, if the session may use it. One that belongs to somebody else is
/// as unknown as one that was never made.
pub(super) async fn by_name(
    app: &App,
    session: &Session,
    toolkit: &Toolkit,
    name: &str,
) -> Result<Arc<Account>> {
    let (project, user) = (&session.project_id, session.user_id.as_str());
    let slug = toolkit.file.slug.as_str();
    let pins = pins(session, slug);
    if pins.iter().any(|pin| pin == name) {
        return pinned(app, session, slug, name).await;
    }
    let mine = |account: &Arc<Account>| account.user_id == user;
    let found = match app.cache.account(project, &AccountId::from(name)).await?.filter(mine) {
        Some(account) => Some(account),
        None => match alias(app, session, slug, name).await? {
            Some(id) => app.cache.account(project, &id).await?,
            None => None,
        },
    };
    let Some(account) = found else {
        let usable = app.cache.usable_accounts(project, user, slug).await?;
        let ids = match pins {
            [] => usable.iter().map(|account| account.id.clone()).collect(),
            pins => pins.iter().map(|pin| AccountId::from(pin.as_str())).collect(),
        };
        let name: String = name.chars().take(100).collect();
        return Err(Error::new(
            codes::ACCOUNT_NOT_FOUND,
            format!("The session's user has no account {name:?} of {slug}"),
        )
        .with_errors(lines(app, session, ids).await?)
        .fix("Use the id or alias of one of the accounts in `errors`, or name none"));
    };
    let (id, is_pinned) = (account.id.as_str(), pins.iter().any(|pin| pin == account.id.as_str()));
    if account.toolkit_slug != slug {
        return Err(Error::new(
            codes::ACCOUNT_MISMATCH,
            format!("The account {id} is one of {}, not of {slug}", account.toolkit_slug),
        )
        .fix("Name an account of the tool's toolkit, or none"));
    }
    if is_pinned {
        return Ok(account);
    }
    if !pins.is_empty() {
        return Err(not_allowed(format!(
            "The session's configuration names other accounts of {slug} than {id}"
        )));
    }
    if account.sharing.account_type == AccountType::Shared {
        return Err(not_allowed(format!(
            "Account {id} is shared, and shared accounts are used only where the session's \
             configuration names them"
        )));
    }
    if let Some(config) = session.config.auth_configs.get(slug)
        && account.auth_config_id.as_str() != config
    {
        return Err(not_allowed(format!(
            "Account {id} is not one of {config}, the auth config that the session uses for {slug}"
        )));
    }
    Ok(account)
}

/// The id behind an alias. What can be used is in the cache; only for the rest, which ends in an
/// error, the database is asked.
async fn alias(app: &App, session: &Session, slug: &str, name: &str) -> Result<Option<AccountId>> {
    let (project, user) = (&session.project_id, session.user_id.as_str());
    for pin in pins(session, slug) {
        let account = app.cache.account(project, &AccountId::from(pin.as_str())).await?;
        if account.as_ref().is_some_and(|account| account.alias.as_deref() == Some(name)) {
            return Ok(account.map(|account| account.id.clone()));
        }
    }
    let usable = app.cache.usable_accounts(project, user, slug).await?;
    if let Some(found) = usable.iter().find(|known| known.alias.as_deref() == Some(name)) {
        return Ok(Some(found.id.clone()));
    }
    if name.len() > 512 || name.contains('\0') {
        return Ok(None);
    }
    Ok(db::account::by_alias(&app.db, project, user, slug, name).await?)
}

fn not_allowed(message: String) -> Error {
    Error::new(codes::SESSION_ACCOUNT_NOT_ALLOWED, message)
        .fix("Name no account, or make a session whose connected_accounts names this one")
}

/// The error that lists what there is to choose from.
async fn select(
    app: &App,
    session: &Session,
    toolkit: &Toolkit,
    ids: Vec<AccountId>,
) -> Result<Error> {
    let lines = lines(app, session, ids).await?;
    let message = format!(
        "There are several accounts of {}, and the call has to say which one to use: {}",
        toolkit.file.slug,
        lines.join("; ")
    );
    Ok(Error::new(codes::ACCOUNT_AMBIGUOUS, message)
        .with_errors(lines)
        .fix("Repeat the call with `account`: the id or alias of one of them"))
}

/// Accounts for a person or model to choose from.
async fn lines(app: &App, session: &Session, ids: Vec<AccountId>) -> Result<Vec<String>> {
    let more = ids.len() > SHOWN;
    let mut lines = Vec::new();
    for id in ids.into_iter().take(SHOWN) {
        let Some(account) = app.cache.account(&session.project_id, &id).await? else { continue };
        let mut line = id.to_string();
        if let Some(alias) = &account.alias {
            line.push_str(&format!(", alias {alias:?}"));
        }
        if let Some(name) = account.identity.as_ref().and_then(|identity| identity.name()) {
            line.push_str(&format!(", {name}"));
        }
        lines.push(line);
    }
    if more {
        lines.push("and others".to_owned());
    }
    Ok(lines)
}

/// The error that says how to connect. SDKs know its number.
fn nobody(session: &Session, toolkit: &Toolkit) -> Error {
    let (name, slug) = (&toolkit.file.name, &toolkit.file.slug);
    let user: String = session.user_id.chars().take(100).collect();
    let of = match session.config.auth_configs.get(slug) {
        Some(config) => format!(" of auth config {config}"),
        None => String::new(),
    };
    let message = format!("No connected account{of} found for user {user:?} and toolkit {slug}");
    let fix = if Meta::ManageConnections.is_offered(session) {
        format!(
            "Call {} with toolkits [{{\"name\": \"{slug}\"}}] and let the user open the link that \
             it gives",
            Meta::ManageConnections.slug()
        )
    } else {
        format!("Let the user connect an account of {name}: session.authorize(\"{slug}\")")
    };
    Error::new(codes::NO_CONNECTED_ACCOUNT, message).fix(fix)
}
