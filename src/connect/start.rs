//! Attempts to connect: by credentials that are at hand, by the browser, or by a Connect Link.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::account::{alias_error, alias_of, commit, free_alias, get};
use super::activate::{Denied, activate};
use super::{callback_url, fields, implemented, scheme, ticket, toolkit, usable_config};
use crate::app::App;
use crate::catalog::fields::connect_fields;
use crate::catalog::model::AuthScheme;
use crate::credentials::dcr::{self, Registered};
use crate::credentials::{Provider, TOKEN_FIELDS, inherited, oauth1};
use crate::db;
use crate::domain::connection::{Account, AuthConfig, Project, RefreshRecord, SecretMap};
use crate::domain::id::{AccountId, AuthConfigId};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::secret::ExposeSecret;
use crate::domain::sharing::Sharing;
use crate::domain::status::AccountStatus;
use crate::domain::time::now;
use crate::error::{Error, Result};

/// Names of `val` that are about the flow, not about the connection.
const FLOW_FIELDS: [&str; 9] = [
    "status",
    "redirectUrl",
    "callbackUrl",
    "callback_url",
    "code_verifier",
    "finalRedirectUri",
    "state_prefix",
    "long_redirect_url",
    "composio_link_redirect_url",
];

/// Largest number of fields in a connection's state.
const MAX_FIELDS: usize = 100;

/// Credentials that a caller sends along.
pub struct Given {
    /// Scheme that the caller names; none: the auth config's.
    pub scheme: Option<AuthSchemeKind>,
    /// Fields.
    pub val: Map<String, Value>,
}

/// One attempt.
pub struct Attempt {
    /// Auth config to connect with.
    pub auth_config_id: AuthConfigId,
    /// The developer's own id of the user.
    pub user_id: String,
    /// Where the browser goes in the end.
    pub callback_url: Option<String>,
    /// Credentials.
    pub given: Option<Given>,
    /// The developer's own name of the account.
    pub alias: Option<String>,
    /// Who besides the user may use the account.
    pub sharing: Sharing,
}

/// An attempt that was begun.
pub struct Started {
    /// The account.
    pub account: Account,
    /// Where the browser has to go; none when there is nothing left to do.
    pub redirect_url: Option<String>,
    /// The link's token, for a Connect Link.
    pub link_token: Option<String>,
    /// When the attempt ends.
    pub expires_at: DateTime<Utc>,
}

impl Attempt {
    fn checked(&self) -> Result<()> {
        let user = self.user_id.as_str();
        if let Some(problem) = user_problem(user) {
            let problem = format!("user_id: {problem}");
            return Err(Error::invalid("Invalid user_id", vec![problem]));
        }
        if let Some(url) = &self.callback_url {
            callback_url::check("callback_url", url)?;
        }
        alias_of(self.alias.as_deref().unwrap_or_default())?;
        Ok(())
    }

    fn account(&self, project: &Project, config: &AuthConfig, flow: &str) -> Account {
        let at = now();
        Account {
            project_id: project.id.clone(),
            id: AccountId::generate(),
            auth_config_id: config.id.clone(),
            toolkit_slug: config.toolkit_slug.clone(),
            user_id: self.user_id.clone(),
            scheme: config.scheme,
            status: AccountStatus::Initiated,
            status_reason: None,
            is_disabled: false,
            alias: self.alias.as_deref().and_then(|a| alias_of(a).ok()).flatten(),
            sharing: self.sharing.clone(),
            identity: None,
            state: SecretMap::default(),
            state_version: 1,
            token_expires_at: None,
            attempt_expires_at: None,
            callback_url: self.callback_url.clone(),
            flow: flow.to_owned(),
            refresh: RefreshRecord::default(),
            created_at: at,
            updated_at: at,
        }
    }
}

/// What keeps a text from being a user id.
pub(super) fn user_problem(user: &str) -> Option<&'static str> {
    let bad = user.trim().is_empty() || user.len() > 512 || user.contains('\0');
    bad.then_some("must be 1 to 512 characters")
}

/// Stores a new account within a transaction.
async fn insert(app: &App, tx: &mut sqlx::PgConnection, account: &Account) -> Result<()> {
    let row = app.vault.seal_account(account).await?;
    free_alias(tx, account, account.alias.as_deref()).await?;
    db::account::insert(tx, &row).await.map_err(alias_error)
}

/// When an attempt that begins now ends.
pub(super) fn deadline(app: &App) -> DateTime<Utc> {
    now() + TimeDelta::from_std(app.config.connect_ttl).unwrap_or(TimeDelta::minutes(10))
}

/// Begins to connect: with credentials that come along the account is ACTIVE at once; otherwise
/// the answer says where the browser has to go.
///
/// # Errors
/// 404 for an unknown auth config; 400 for one that is disabled and for wrong fields.
pub async fn initiate(app: &App, project: &Project, attempt: Attempt) -> Result<Started> {
    attempt.checked()?;
    let config = usable_config(app, &project.id, &attempt.auth_config_id).await?;
    let toolkit = toolkit(app, &config.project_id, &config.toolkit_slug)?;
    let scheme = scheme(&toolkit, config.scheme)?;
    let mut account = attempt.account(project, &config, "initiate");
    if let Some(kind) = attempt.given.as_ref().and_then(|g| g.scheme)
        && kind != config.scheme
    {
        implemented(kind)?;
        let problem = format!(
            "connection.state.authScheme: is {}, but the auth config connects by {}",
            kind.as_str(),
            config.scheme.as_str()
        );
        return Err(Error::invalid("Wrong scheme", vec![problem]));
    }
    let empty = Map::new();
    let val = attempt.given.as_ref().map_or(&empty, |g| &g.val);
    if scheme.by_browser() && !imports(config.scheme, val) {
        return by_browser(app, account, &config, scheme, val).await;
    }
    // Nothing was sent, but something is needed: the person fills it in on the hosted page.
    let filled = fill(&mut account, scheme, &config, val);
    let said_nothing = val.iter().all(|(name, _)| FLOW_FIELDS.contains(&name.as_str()));
    match filled {
        Err(_) if said_nothing && attempt.given.as_ref().is_none_or(|g| g.val.is_empty()) => {
            return hosted(app, account, val.clone(), false).await;
        }
        other => other?,
    }
    let word = |name: &str| val.get(name).and_then(Value::as_str).map(str::to_owned);
    match val.get("status").and_then(Value::as_str) {
        Some("FAILED") => {
            account.status = AccountStatus::Failed;
            account.status_reason = word("error_description").or_else(|| word("error"));
        }
        Some("EXPIRED") => account.status = AccountStatus::Expired,
        Some("INACTIVE") => {
            account.status = AccountStatus::Inactive;
            account.is_disabled = true;
        }
        _ => account = activate(app, &config, account).await?.map_err(Denied::into_error)?,
    }
    let mut tx = app.db.begin().await?;
    insert(app, &mut tx, &account).await?;
    commit(app, tx, &account).await?;
    Ok(Started { account, redirect_url: None, link_token: None, expires_at: deadline(app) })
}

/// Whether the caller sends the tokens along that the browser would be asked for.
fn imports(kind: AuthSchemeKind, val: &Map<String, Value>) -> bool {
    let begun =
        matches!(val.get("status").and_then(Value::as_str), Some("INITIALIZING" | "INITIATED"));
    match kind {
        // What the documented INITIATED state has under these names is temporary.
        AuthSchemeKind::Oauth1 => !begun && val.contains_key("oauth_token"),
        _ => val.contains_key("access_token"),
    }
}

/// Reads credentials into an account's state.
///
/// # Errors
/// 400 with one entry per field.
pub(super) fn fill(
    account: &mut Account,
    scheme: &AuthScheme,
    config: &AuthConfig,
    val: &Map<String, Value>,
) -> Result<()> {
    let mut state =
        fields::collect(scheme, val, &config.shared_credentials).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(fields::Problem::line).collect();
            Error::invalid("The connection's fields are not complete", lines).fix(format!(
                "Send the fields in connection.state.val; expected_input_fields of GET \
             /api/v3/auth_configs/{} lists them",
                config.id
            ))
        })?;
    // What is not declared is kept as well, so that an imported connection stays whole.
    let known: Vec<String> =
        connect_fields(scheme).iter().flat_map(|f| fields::all_names(scheme, f)).collect();
    for (name, value) in val {
        let plain = !matches!(value, Value::Null);
        let known = known.iter().any(|n| n == name) || FLOW_FIELDS.contains(&name.as_str());
        if plain && !known && name.len() <= 100 && state.len() < MAX_FIELDS {
            state.insert(name.clone(), value.clone());
        }
    }
    if account.scheme == AuthSchemeKind::Oauth1 {
        let problems: Vec<String> = ["oauth_token", "oauth_token_secret"]
            .into_iter()
            .filter(|name| {
                let text = val.get(*name).and_then(Value::as_str).unwrap_or_default();
                text.is_empty() || text.chars().any(char::is_control)
            })
            .map(|name| format!("{name}: must be a text on one line"))
            .collect();
        if !problems.is_empty() {
            return Err(Error::invalid("The connection's fields are wrong", problems));
        }
    }
    // What is known of the server was found out here; nobody else says where a token goes.
    state.remove(dcr::SERVER_FIELD);
    if let Some(server) = account.state.0.get(dcr::SERVER_FIELD) {
        state.insert(dcr::SERVER_FIELD.to_owned(), server.clone());
    }
    if matches!(account.scheme, AuthSchemeKind::Oauth2 | AuthSchemeKind::DcrOauth)
        && (scheme.by_browser() || val.contains_key("access_token"))
    {
        let token = val.get("access_token").and_then(Value::as_str).unwrap_or_default();
        if token.is_empty() || token.chars().any(char::is_control) {
            let problem = "access_token: must be a text on one line".to_owned();
            return Err(Error::invalid("The connection's fields are wrong", vec![problem]));
        }
        let seconds = val
            .get("expires_in")
            .and_then(|v| v.as_f64().or_else(|| v.as_str().and_then(|s| s.trim().parse().ok())));
        account.token_expires_at = seconds
            .filter(|s| s.is_finite() && *s > 0.0)
            .and_then(|s| TimeDelta::try_seconds(s.min(1e9) as i64))
            .and_then(|d| now().checked_add_signed(d));
    } else {
        let token = fields::token_name(scheme);
        for name in TOKEN_FIELDS.into_iter().filter(|name| token != Some(name)) {
            if !known.iter().any(|n| n == name) {
                state.remove(name);
            }
        }
    }
    account.state = SecretMap(state);
    Ok(())
}

/// Sends the browser to the provider, by way of the hosted page when fields are missing.
async fn by_browser(
    app: &App,
    mut account: Account,
    config: &AuthConfig,
    scheme: &AuthScheme,
    val: &Map<String, Value>,
) -> Result<Started> {
    match fields::collect(scheme, val, &config.shared_credentials) {
        Ok(state) => account.state = SecretMap(state),
        Err(problems) if problems.iter().all(|p| p.text == fields::REQUIRED) => {
            return hosted(app, account, val.clone(), true).await;
        }
        Err(problems) => {
            let lines = problems.iter().map(fields::Problem::line).collect();
            return Err(Error::invalid("The connection's fields are wrong", lines));
        }
    }
    let expires_at = deadline(app);
    account.attempt_expires_at = Some(expires_at);
    let step = authorization(app, &account, config).await?.map_err(Denied::into_error)?;
    step.mark(&mut account);
    let mut tx = app.db.begin().await?;
    insert(app, &mut tx, &account).await?;
    step.store(app, &mut tx, &account, expires_at).await?;
    commit(app, tx, &account).await?;
    Ok(Started { account, redirect_url: Some(step.url), link_token: None, expires_at })
}

/// An authorization request with the state that it carries.
pub(super) struct Step {
    /// Where the browser goes.
    pub url: String,
    token: String,
    data: Map<String, Value>,
    client: Option<Registered>,
}

impl Step {
    /// Writes into an account that does not work yet where it stands: where the browser goes, and
    /// with which client.
    pub fn mark(&self, account: &mut Account) {
        account.state.0.insert("redirectUrl".into(), self.url.clone().into());
        if let Some(client) = &self.client {
            client.write(&mut account.state);
        }
    }

    /// Stores the state, so that the callback finds it.
    pub async fn store(
        &self,
        app: &App,
        tx: &mut sqlx::PgConnection,
        account: &Account,
        expires_at: DateTime<Utc>,
    ) -> Result<()> {
        let token = Some(self.token.clone());
        ticket::issue(app, tx, ticket::Kind::State, account, &self.data, token, expires_at).await?;
        Ok(())
    }
}

/// Makes an authorization request for an account. The provider may have to be asked for it, so
/// this is done before anything is stored.
///
/// # Errors
/// 400 when it cannot be made of the fields, or a discovered server cannot be used; 503 when that
/// could not be asked.
pub(super) async fn authorization(
    app: &App,
    account: &Account,
    config: &AuthConfig,
) -> Result<Result<Step, Denied>> {
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    let token = ticket::new_token(ticket::Kind::State, &account.project_id);
    let mut data = Map::new();
    if account.scheme == AuthSchemeKind::Oauth1 {
        let state = inherited(config, &account.state);
        let provider = oauth1::Provider::of(&app.config, &toolkit, config, &state)?;
        return Ok(match provider.begin(&app.net, &token).await {
            Ok(temporary) => {
                let secret = temporary.secret.expose_secret();
                data.insert("oauth_token".into(), temporary.token.into());
                data.insert("oauth_token_secret".into(), secret.into());
                Ok(Step { url: temporary.url, token, data, client: None })
            }
            Err(failure) => Err(Denied::by(&toolkit.file.name, failure)),
        });
    }
    let state = &account.state;
    let client = match account.scheme {
        AuthSchemeKind::DcrOauth => Some(dcr::registered(app, &toolkit, config, state).await?),
        _ => None,
    };
    let provider = match &client {
        Some(client) => client.provider(&app.config, &toolkit, config, state)?,
        None => Provider::of(&app.config, &toolkit, config, state)?,
    };
    let request = provider.authorize(&token)?;
    data.insert("redirect_uri".into(), provider.redirect_uri.clone().into());
    if let Some(verifier) = request.verifier {
        data.insert("verifier".into(), verifier.into());
    }
    if let Some(client) = &client {
        data.insert("dcr".into(), client.to_value());
    }
    Ok(Ok(Step { url: request.url, token, data, client }))
}

/// Stores an attempt that goes on at the hosted page.
async fn hosted(
    app: &App,
    mut account: Account,
    prefilled: Map<String, Value>,
    by_browser: bool,
) -> Result<Started> {
    let expires_at = deadline(app);
    account.attempt_expires_at = Some(expires_at);
    account.status = AccountStatus::Initiated;
    let token = ticket::new_token(ticket::Kind::Link, &account.project_id);
    let url = format!("{}/link/{token}", app.config.public_url);
    // The TypeScript SDK complains about an unfinished OAuth state without it.
    if account.flow == "initiate" || by_browser {
        account.state.0.insert("redirectUrl".into(), url.clone().into());
    }
    let mut tx = app.db.begin().await?;
    insert(app, &mut tx, &account).await?;
    let kind = ticket::Kind::Link;
    let issued = Some(token.clone());
    ticket::issue(app, &mut tx, kind, &account, &prefilled, issued, expires_at).await?;
    commit(app, tx, &account).await?;
    Ok(Started { account, redirect_url: Some(url), link_token: Some(token), expires_at })
}

/// Makes a Connect Link; its account is there at once.
///
/// # Errors
/// As [`initiate`].
pub async fn link(app: &App, project: &Project, attempt: Attempt) -> Result<Started> {
    attempt.checked()?;
    let config = usable_config(app, &project.id, &attempt.auth_config_id).await?;
    let toolkit = toolkit(app, &config.project_id, &config.toolkit_slug)?;
    let scheme = scheme(&toolkit, config.scheme)?;
    let account = attempt.account(project, &config, "link");
    if config.is_managed && config.scheme == AuthSchemeKind::Oauth2 {
        // Better said to the developer now than to the person later.
        if app.config.providers.get(&toolkit.file.slug).and_then(|p| p.managed.as_ref()).is_none() {
            return Err(crate::credentials::managed_unavailable(&toolkit.file.slug));
        }
    }
    let prefilled = attempt.given.map(|g| g.val).unwrap_or_default();
    hosted(app, account, prefilled, scheme.by_browser()).await
}

/// Sends the person of an existing account to the provider again. An account that works keeps
/// working until new tokens are there.
///
/// # Errors
/// 400 when the account does not connect by a browser, or is switched off.
pub async fn again(
    app: &App,
    account: &Account,
    config: &AuthConfig,
    callback: Option<String>,
) -> Result<Started> {
    if !config.is_enabled {
        usable_config(app, &account.project_id, &config.id).await?;
    }
    if account.is_disabled || account.status == AccountStatus::Inactive {
        return Err(Error::bad_request(format!("Connected account {} is disabled", account.id))
            .fix("Enable it first"));
    }
    if let Some(url) = &callback {
        callback_url::check("redirect_url", url)?;
    }
    let expires_at = deadline(app);
    let mut next = account.clone();
    next.callback_url = callback.or(next.callback_url);
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    if !scheme(&toolkit, account.scheme)?.by_browser() {
        return unattended(app, account, next, config).await;
    }
    let step = authorization(app, &next, config).await?.map_err(Denied::into_error)?;
    if next.status != AccountStatus::Active {
        step.mark(&mut next);
        next.status = AccountStatus::Initiated;
        next.status_reason = None;
        next.attempt_expires_at = Some(expires_at);
    }
    let mut tx = app.db.begin().await?;
    let row = app.vault.seal_account(&next).await?;
    if !db::account::update_state(&mut *tx, &row, account.state_version).await? {
        return Err(Error::bad_request("The connected account changed meanwhile").fix("Retry"));
    }
    step.store(app, &mut tx, &next, expires_at).await?;
    commit(app, tx, &next).await?;
    let account = get(app, &next.project_id, &next.id).await?;
    Ok(Started { account, redirect_url: Some(step.url), link_token: None, expires_at })
}

/// Connects an account again that needs nobody for it.
async fn unattended(
    app: &App,
    account: &Account,
    mut next: Account,
    config: &AuthConfig,
) -> Result<Started> {
    for name in TOKEN_FIELDS {
        next.state.0.remove(name);
    }
    let next = activate(app, config, next).await?.map_err(Denied::into_error)?;
    let row = app.vault.seal_account(&next).await?;
    let mut tx = app.db.begin().await?;
    if !db::account::update_state(&mut *tx, &row, account.state_version).await? {
        return Err(Error::bad_request("The connected account changed meanwhile").fix("Retry"));
    }
    commit(app, tx, &next).await?;
    Ok(Started { account: next, redirect_url: None, link_token: None, expires_at: deadline(app) })
}
