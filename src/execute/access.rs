//! With whose credentials a call is made.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::redact::Secrets;
use super::types::{CustomAuthParams, CustomConnectionData};
use crate::app::App;
use crate::catalog::fields::connect_fields;
use crate::catalog::model::AuthScheme;
use crate::catalog::{Catalog, Tool, Toolkit};
use crate::credentials::fields;
use crate::db;
use crate::domain::connection::{Account, AuthConfig, Project};
use crate::domain::id::{AccountId, ProjectId};
use crate::domain::project::OnAmbiguous;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::secret::sounds_secret;
use crate::domain::sharing::AccountType;
use crate::domain::status::AccountStatus;
use crate::error::{Code, Error, Result, codes};

/// Where the credentials of a call come from.
pub(super) enum Access {
    /// The toolkit wants none.
    Open,
    /// A connected account, and the config that it belongs to.
    Account(Arc<Account>, Arc<AuthConfig>),
    /// The caller's own, in the form of an account.
    Custom(AuthSchemeKind, Map<String, Value>),
    /// The caller's own parameters and nothing else.
    Params,
}

/// What the caller says about the account.
pub(super) struct Wanted<'a> {
    pub account_id: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub params: Option<&'a CustomAuthParams>,
    pub data: Option<CustomConnectionData>,
}

/// Chooses the credentials of a tool call.
pub(super) async fn choose(
    app: &App,
    project: &Project,
    toolkit: &Toolkit,
    wanted: Wanted<'_>,
) -> Result<Access> {
    if let Some(data) = wanted.data {
        return custom(toolkit, data);
    }
    if let Some(id) = wanted.account_id.filter(|id| !id.is_empty()) {
        let account = by_id(app, &project.id, id).await?;
        if account.toolkit_slug != toolkit.file.slug {
            return Err(Error::new(
                codes::ACCOUNT_MISMATCH,
                format!(
                    "The connected account is one of {}, not of {}",
                    account.toolkit_slug, toolkit.file.slug
                ),
            )
            .fix("Pass an account of the tool's toolkit, or only user_id"));
        }
        let caller = wanted.user_id.filter(|user| !user.is_empty());
        if let Some(user) = caller.filter(|user| *user != account.user_id) {
            if account.sharing.account_type == AccountType::Shared {
                if account.sharing.admits(&account.user_id, user) {
                    return with_config(app, &project.id, account).await;
                }
                return Err(Error::new(
                    codes::ACCOUNT_NOT_SHARED,
                    format!("Connected account {} is not shared with this user", account.id),
                )
                .fix(
                    "Add the user to the account's acl_config_for_shared, or use another account",
                ));
            }
            return Err(Error::new(
                codes::ACCOUNT_MISMATCH,
                "The connected account belongs to another user than user_id says",
            )
            .fix("Pass the user_id that the account was connected for, or leave it out"));
        }
        return with_config(app, &project.id, account).await;
    }
    if wanted.params.is_some() {
        return Ok(Access::Params);
    }
    let open = scheme(toolkit, AuthSchemeKind::NoAuth).is_some();
    if open && toolkit.file.auth.len() == 1 {
        return Ok(Access::Open);
    }
    let found = match wanted.user_id.filter(|user| !user.is_empty()) {
        Some(user) => app.cache.default_account(&project.id, user, &toolkit.file.slug).await?,
        None => None,
    };
    match found {
        Some((_, true)) if refuses(app, project) => {
            Err(ambiguous(app, project, toolkit, wanted.user_id.unwrap_or_default()).await?)
        }
        Some((account, _)) => with_config(app, &project.id, account).await,
        None if open => Ok(Access::Open),
        None => Err(nobody(toolkit, wanted.user_id)),
    }
}

/// The account of a given id, whatever its toolkit.
pub(super) async fn by_id(app: &App, project: &ProjectId, id: &str) -> Result<Arc<Account>> {
    // The number that SDKs know means exactly this; an id that is given deserves a 404.
    const UNKNOWN: Code = Code { status: StatusCode::NOT_FOUND, ..codes::NO_CONNECTED_ACCOUNT };
    app.cache.account(project, &AccountId::from(id)).await?.ok_or_else(|| {
        Error::not_found(UNKNOWN, "Connected account", id)
            .fix("List the project's connected accounts, or connect the user's account first")
    })
}

/// Checks that an account can be used and adds its config.
pub(super) async fn with_config(
    app: &App,
    project: &ProjectId,
    account: Arc<Account>,
) -> Result<Access> {
    check_status(&account)?;
    let config =
        app.cache.auth_config(project, &account.auth_config_id).await?.ok_or_else(|| {
            Error::new(codes::AUTH_CONFIG_NOT_FOUND, "The account's auth config is deleted")
                .fix("Create an auth config and connect the account again")
        })?;
    if !config.is_enabled {
        return Err(Error::new(
            codes::AUTH_CONFIG_DISABLED,
            format!("The account's auth config {} is disabled", config.id),
        )
        .fix("Enable the auth config, or use an account of another one"));
    }
    Ok(Access::Account(account, config))
}

fn check_status(account: &Account) -> Result<()> {
    let reason = account.status_reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
    let not_active = |what: &str, fix: &'static str| {
        let message = format!("Connected account {} {what}{reason}", account.id);
        Err(Error::new(codes::ACCOUNT_NOT_ACTIVE, message).fix(fix))
    };
    match account.status {
        _ if account.is_disabled => Err(Error::new(
            codes::ACCOUNT_INACTIVE,
            format!("Connected account {} is disabled", account.id),
        )
        .fix("Enable the account, or use another one")),
        AccountStatus::Active => Ok(()),
        AccountStatus::Inactive => Err(Error::new(
            codes::ACCOUNT_INACTIVE,
            format!("Connected account {} is INACTIVE{reason}", account.id),
        )
        .fix("Enable the account, or use another one")),
        AccountStatus::Initializing | AccountStatus::Initiated => not_active(
            "is not connected yet",
            "Let the user finish connecting at the link, then call again",
        ),
        AccountStatus::Failed => {
            not_active("failed to connect", "Start a new connection for the user")
        }
        AccountStatus::Expired => {
            not_active("is EXPIRED", "Let the user connect the account again")
        }
        AccountStatus::Revoked => {
            not_active("is REVOKED", "Let the user connect the account again")
        }
    }
}

/// Whether the server may not choose among several accounts.
pub fn refuses(app: &App, project: &Project) -> bool {
    let setting = project.config.on_ambiguous_account.unwrap_or(app.config.on_ambiguous_account);
    setting == OnAmbiguous::Refuse
}

/// The error that lists what there is to choose from.
async fn ambiguous(app: &App, project: &Project, toolkit: &Toolkit, user: &str) -> Result<Error> {
    const SHOWN: i64 = 20;
    let slug = &toolkit.file.slug;
    let rows = db::account::usable_for(&app.db, &project.id, user, slug, SHOWN + 1).await?;
    let more = rows.len() > SHOWN as usize;
    let mut lines = Vec::new();
    for row in rows.into_iter().take(SHOWN as usize) {
        let account = app.vault.open_account(row).await?;
        let mut line = account.id.to_string();
        if let Some(alias) = &account.alias {
            line.push_str(&format!(", alias {alias:?}"));
        }
        if let Some(name) = account.identity.as_ref().and_then(|i| i.name()) {
            line.push_str(&format!(", {name}"));
        }
        lines.push(line);
    }
    if more {
        lines.push("and others".to_owned());
    }
    let user: String = user.chars().take(100).collect();
    Ok(Error::new(
        codes::ACCOUNT_AMBIGUOUS,
        format!("User {user:?} has several accounts of {slug}, and the call names none of them"),
    )
    .with_errors(lines)
    .fix(
        "Pass the connected_account_id of one of those in `errors`, or set on_ambiguous_account \
         to newest with PATCH /api/v3/org/project/config",
    ))
}

fn nobody(toolkit: &Toolkit, user: Option<&str>) -> Error {
    let (name, slug) = (&toolkit.file.name, &toolkit.file.slug);
    match user.filter(|user| !user.is_empty()) {
        Some(user) => {
            let user: String = user.chars().take(100).collect();
            Error::new(
                codes::NO_CONNECTED_ACCOUNT,
                format!("No connected account found for user {user:?} and toolkit {slug}"),
            )
            .fix(format!(
                "Connect an account of {name} for this user (connected_accounts/link), or pass \
                 connected_account_id"
            ))
        }
        None => Error::new(
            codes::NO_CONNECTED_ACCOUNT,
            format!("Toolkit {slug} needs a connected account, and the call names neither a user nor an account"),
        )
        .fix("Pass user_id or connected_account_id"),
    }
}

/// Credentials of the caller's own, in the form of an account.
pub(super) fn custom(toolkit: &Toolkit, data: CustomConnectionData) -> Result<Access> {
    let slug = &toolkit.file.slug;
    if !data.toolkit_slug.eq_ignore_ascii_case(slug) {
        return Err(Error::new(
            codes::ACCOUNT_MISMATCH,
            format!("custom_connection_data is for another toolkit than {slug}"),
        ));
    }
    if data.auth_scheme == AuthSchemeKind::Saml {
        let message = "This server does not connect accounts by SAML";
        return Err(
            Error::new(codes::NOT_IMPLEMENTED, message).fix("Use another scheme of the toolkit")
        );
    }
    let Some(scheme) = scheme(toolkit, data.auth_scheme) else {
        let known: Vec<&str> = toolkit.file.auth.iter().map(|s| s.scheme.as_str()).collect();
        return Err(Error::new(
            codes::AUTH_SCHEME_UNSUPPORTED,
            format!(
                "Toolkit {slug} has no scheme {}; it has {}",
                data.auth_scheme.as_str(),
                known.join(", ")
            ),
        ));
    };
    let mut state = data.val;
    for field in connect_fields(scheme) {
        if !state.contains_key(&field.name)
            && let Some(value) = field.aliases.iter().find_map(|alias| state.get(alias)).cloned()
        {
            state.insert(field.name.clone(), value);
        }
        if let Some(default) = field.default
            && !state.contains_key(&field.name)
        {
            state.insert(field.name, default.into());
        }
    }
    if data.auth_scheme == AuthSchemeKind::BearerToken
        && !state.contains_key("token")
        && let Some(token) = state.get("bearer_token").cloned()
    {
        state.insert("token".to_owned(), token);
    }
    Ok(Access::Custom(data.auth_scheme, state))
}

/// Refuses a tool that the account's auth config does not allow.
pub(super) fn check_restriction(catalog: &Catalog, config: &AuthConfig, tool: &Tool) -> Result<()> {
    let Some(allowed) = &config.restrict_to_tools else { return Ok(()) };
    let slug = tool.def.slug.as_str();
    let is_it = |name: &String| {
        name == slug || catalog.tool(name).is_some_and(|(_, known)| known.def.slug == slug)
    };
    if allowed.iter().any(is_it) {
        return Ok(());
    }
    Err(Error::new(
        codes::TOOL_RESTRICTED,
        format!("Auth config {} does not allow the tool {slug}", config.id),
    )
    .fix("Add the tool to the auth config's tool access, or use another auth config"))
}

/// A scheme of a toolkit.
pub(super) fn scheme(toolkit: &Toolkit, kind: AuthSchemeKind) -> Option<&AuthScheme> {
    toolkit.file.auth.iter().find(|scheme| scheme.scheme == kind)
}

/// Credentials and connection fields, as templates see them.
pub(super) struct Fields<'a> {
    /// Everything.
    pub cred: Cow<'a, Map<String, Value>>,
    /// What is not secret.
    pub conn: Map<String, Value>,
}

impl Access {
    /// The scheme that is used; none when nothing is injected.
    pub(super) fn kind(&self) -> Option<AuthSchemeKind> {
        match self {
            Self::Open | Self::Params => None,
            Self::Account(account, _) => Some(account.scheme),
            Self::Custom(kind, _) => Some(*kind),
        }
    }

    /// The same access with the account's newer state.
    pub(super) fn renewed(&self, account: Arc<Account>) -> Option<Self> {
        match self {
            Self::Account(_, config) => Some(Self::Account(account, config.clone())),
            _ => None,
        }
    }

    /// What templates see.
    pub(super) fn fields(&self, toolkit: &Toolkit) -> Fields<'_> {
        let state = match self {
            Self::Open | Self::Params => Cow::Owned(Map::new()),
            Self::Account(account, config) => given(config, account),
            Self::Custom(_, state) => Cow::Borrowed(state),
        };
        let cred = api_key_alias(state);
        let definition = self.kind().and_then(|kind| scheme(toolkit, kind));
        let conn = definition.map(|scheme| fields::plain(scheme, &cred)).unwrap_or_default();
        Fields { cred, conn }
    }

    /// Adds what must not appear in errors, logs and answers.
    pub(super) fn add_secrets(&self, toolkit: &Toolkit, secrets: &mut Secrets) {
        let fields = self.fields(toolkit);
        let definition = self.kind().and_then(|kind| scheme(toolkit, kind));
        let declared = |name: &str| {
            definition.is_some_and(|s| {
                let mut fields = s.connect_fields.iter().chain(&s.config_fields);
                fields.any(|f| f.secret && f.name == name)
            })
        };
        for (name, value) in fields.cred.iter() {
            if declared(name) || sounds_secret(name) {
                secrets.add_all(value);
            }
        }
        // PLAINTEXT signatures hold it, and a provider may repeat a header.
        if let Self::Account(_, config) = self
            && let Some(secret) = config.credentials.text("consumer_secret")
        {
            secrets.add(secret);
        }
        if self.kind() == Some(AuthSchemeKind::Basic) {
            let text = |name| fields.cred.get(name).and_then(Value::as_str).unwrap_or_default();
            secrets.add_basic(text("username"), text("password"));
        }
    }
}

/// The account's state with the fields that its config gives.
fn given<'a>(config: &AuthConfig, account: &'a Account) -> Cow<'a, Map<String, Value>> {
    if fields::gives(config) {
        Cow::Owned(fields::inherited(config, &account.state).0)
    } else {
        Cow::Borrowed(&account.state.0)
    }
}

/// Forms call the key `generic_api_key`, templates `api_key`.
fn api_key_alias(mut cred: Cow<'_, Map<String, Value>>) -> Cow<'_, Map<String, Value>> {
    if !cred.contains_key("api_key")
        && let Some(key) = cred.get("generic_api_key").cloned()
    {
        cred.to_mut().insert("api_key".to_owned(), key);
    }
    cred
}
