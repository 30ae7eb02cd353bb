//! Auth configs: making, changing, switching, deleting.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{fields, find_config, scheme, toolkit};
use crate::app::{App, AppState};
use crate::catalog::fields::{config_fields, connect_fields};
use crate::catalog::model::AuthScheme;
use crate::catalog::{Catalog, Toolkit};
use crate::credentials::managed_unavailable;
use crate::credentials::revocation::{self, Cause, Clerk};
use crate::db;
use crate::db::notify::Changed;
use crate::domain::connection::{AuthConfig, Project, SecretMap};
use crate::domain::id::{AuthConfigId, ProjectId, random_text};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};

/// Longest credential.
const MAX_VALUE: usize = 64 * 1024;

/// Most credentials of one auth config.
const MAX_FIELDS: usize = 100;

/// Who gives the OAuth client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The operator: `use_composio_managed_auth`.
    Managed,
    /// The project: `use_custom_auth`.
    Custom,
}

/// What a new auth config is made of.
#[derive(Default)]
pub struct New {
    /// Toolkit, in any case.
    pub toolkit_slug: String,
    /// Who gives the client; none: whatever works without asking the developer for anything.
    pub client: Option<Client>,
    /// Scheme; none: the toolkit's first for the project's own client.
    pub scheme: Option<AuthSchemeKind>,
    /// Display name.
    pub name: Option<String>,
    /// Everything that may also be changed later.
    pub change: Change,
}

/// What can be changed. An absent part stays as it is.
#[derive(Default)]
pub struct Change {
    /// Display name.
    pub name: Option<String>,
    /// Credentials to merge; null removes one.
    pub credentials: Option<Map<String, Value>>,
    /// Fields that every account inherits, to merge; null removes one.
    pub shared_credentials: Option<Map<String, Value>>,
    /// Tools that may be executed; empty: all.
    pub restrict_to_tools: Option<Vec<String>>,
    /// Tools whose scopes are asked for; empty: the default scopes.
    pub scope_tools: Option<Vec<String>>,
}

/// The scheme that the operator's client of a toolkit is for, when there is such a client.
pub fn managed_scheme(app: &App, toolkit: &Toolkit) -> Option<AuthSchemeKind> {
    app.config.providers.get(&toolkit.file.slug)?.managed.as_ref()?;
    let has = |kind: &AuthSchemeKind| toolkit.scheme(*kind).is_some();
    [AuthSchemeKind::Oauth2, AuthSchemeKind::Oauth1].into_iter().find(has)
}

fn choose<'a>(app: &App, toolkit: &'a Toolkit, new: &New) -> Result<(&'a AuthScheme, bool)> {
    let of = |kind| scheme(toolkit, kind);
    // What needs nobody's client: no credentials at all, or a client that registers itself.
    let found = |kind| toolkit.file.auth.iter().find(|s| s.scheme == kind);
    let open = match new.scheme {
        Some(kind) if matches!(kind, AuthSchemeKind::NoAuth | AuthSchemeKind::DcrOauth) => {
            found(kind)
        }
        Some(_) => None,
        None => found(AuthSchemeKind::NoAuth).or_else(|| found(AuthSchemeKind::DcrOauth)),
    };
    match new.client {
        Some(Client::Managed) => {
            if let (Some(_), Some(open)) = (new.scheme, open) {
                return Ok((open, true));
            }
            if let Some(managed) = managed_scheme(app, toolkit) {
                if let Some(kind) = new.scheme.filter(|k| *k != managed) {
                    return Err(Error::new(
                        codes::AUTH_SCHEME_UNSUPPORTED,
                        format!("Managed auth does not connect by {}", kind.as_str()),
                    )
                    .fix("Use use_custom_auth for this scheme"));
                }
                return Ok((of(managed)?, true));
            }
            open.map(|scheme| (scheme, true)).ok_or_else(|| managed_unavailable(&toolkit.file.slug))
        }
        Some(Client::Custom) => {
            let kind = new.scheme.ok_or_else(|| {
                let names: Vec<&str> =
                    toolkit.file.auth.iter().map(|s| s.scheme.as_str()).collect();
                let problem = "auth_config.authScheme: is required".to_owned();
                Error::invalid("use_custom_auth needs a scheme", vec![problem])
                    .fix(format!("Use one of: {}", names.join(", ")))
            })?;
            Ok((of(kind)?, false))
        }
        None => {
            if let Some(managed) = managed_scheme(app, toolkit) {
                return Ok((of(managed)?, true));
            }
            let simple = |s: &&AuthScheme| config_fields(s).iter().all(|f| !f.required);
            let first = open.or_else(|| toolkit.file.auth.iter().find(simple));
            first.map(|s| (s, false)).ok_or_else(|| managed_unavailable(&toolkit.file.slug))
        }
    }
}

/// Makes an auth config.
///
/// # Errors
/// 404 for an unknown toolkit; 400 for an unknown scheme, missing or wrong fields, or when the
/// operator has no client.
pub async fn create(app: &App, project: &Project, new: New) -> Result<AuthConfig> {
    let config = prepared(app, project, new)?;
    db::auth_config::insert(&app.db, &app.vault.seal_auth_config(&config).await?).await?;
    // An id that was asked for before it existed is remembered as unknown.
    app.changed(&app.db, &changed(&config)).await?;
    Ok(config)
}

/// The newest enabled auth config of a toolkit that has anything to connect, made of `new` when
/// there is none. Callers that come at once, on whatever replica, get the same one.
///
/// # Errors
/// As [`create`].
pub async fn newest_or_create(
    app: &App,
    project: &Project,
    toolkit: &Toolkit,
    new: impl FnOnce() -> Result<New>,
) -> Result<AuthConfigId> {
    let slug = &toolkit.file.slug;
    if let Some(id) = db::auth_config::newest(&app.db, &project.id, slug).await? {
        return Ok(id);
    }
    // Sealed before the transaction begins, which so holds the lock for two statements only.
    let config = prepared(app, project, new()?)?;
    let row = app.vault.seal_auth_config(&config).await?;
    let mut tx = app.db.begin().await?;
    db::auth_config::lock_toolkit(&mut *tx, &project.id, slug).await?;
    if let Some(id) = db::auth_config::newest(&mut *tx, &project.id, slug).await? {
        return Ok(id);
    }
    db::auth_config::insert(&mut *tx, &row).await?;
    app.changed(&mut *tx, &changed(&config)).await?;
    tx.commit().await?;
    app.cache.invalidate(&changed(&config));
    Ok(config.id)
}

/// A new auth config that is not stored yet.
fn prepared(app: &App, project: &Project, new: New) -> Result<AuthConfig> {
    let toolkit = toolkit(app, &project.id, new.toolkit_slug.trim())?;
    let (scheme, is_managed) = choose(app, &toolkit, &new)?;
    let name = new
        .name
        .clone()
        .filter(|n| !n.trim().is_empty())
        .unwrap_or_else(|| format!("{}-{}", toolkit.file.slug, random_text(6).to_lowercase()));
    let at = now();
    let mut config = AuthConfig {
        project_id: project.id.clone(),
        id: AuthConfigId::generate(),
        toolkit_slug: toolkit.file.slug.clone(),
        name,
        scheme: scheme.scheme,
        is_managed,
        is_enabled: true,
        credentials: SecretMap::default(),
        shared_credentials: SecretMap::default(),
        restrict_to_tools: None,
        scope_tools: None,
        created_at: at,
        updated_at: at,
    };
    apply(app, &mut config, &toolkit, scheme, new.change)?;
    Ok(config)
}

/// What changed, when this auth config did.
fn changed(config: &AuthConfig) -> Changed {
    Changed::AuthConfig { project: config.project_id.clone(), id: config.id.clone() }
}

/// Changes an auth config.
///
/// # Errors
/// 404 as [`find_config`], 400 as [`create`].
pub async fn update(
    app: &App,
    project: &ProjectId,
    id: &AuthConfigId,
    change: Change,
) -> Result<()> {
    let row = db::auth_config::get(&app.db, project, id).await?;
    let Some(row) = row else {
        find_config(app, project, id).await?;
        return Err(Error::not_found(codes::AUTH_CONFIG_NOT_FOUND, "Auth config", id.as_str()));
    };
    let mut config = app.vault.open_auth_config(row).await?;
    let toolkit = toolkit(app, &config.project_id, &config.toolkit_slug)?;
    let scheme = scheme(&toolkit, config.scheme)?;
    apply(app, &mut config, &toolkit, scheme, change)?;
    save(app, &config).await
}

async fn save(app: &App, config: &AuthConfig) -> Result<()> {
    let what = changed(config);
    let mut tx = app.db.begin().await?;
    if !db::auth_config::update(&mut *tx, &app.vault.seal_auth_config(config).await?).await? {
        let id = config.id.as_str();
        return Err(Error::not_found(codes::AUTH_CONFIG_NOT_FOUND, "Auth config", id));
    }
    if config.is_enabled {
        // What could not be refreshed is tried anew: perhaps this is what sets it right.
        db::refresh::resume(&mut *tx, &config.project_id, &config.id).await?;
    }
    app.changed(&mut *tx, &what).await?;
    tx.commit().await?;
    app.cache.invalidate(&what);
    Ok(())
}

/// Switches an auth config on or off.
///
/// # Errors
/// 404 as [`find_config`].
pub async fn set_enabled(
    app: &App,
    project: &ProjectId,
    id: &AuthConfigId,
    enabled: bool,
) -> Result<()> {
    let mut config = AuthConfig::clone(&*find_config(app, project, id).await?);
    config.is_enabled = enabled;
    save(app, &config).await
}

/// Deletes an auth config with all its accounts. Unless `revoke` says no, their tokens are then
/// revoked at the provider. Returns the name of the job when a revocation was
/// asked for.
///
/// # Errors
/// 404 as [`find_config`].
pub async fn delete(
    app: &AppState,
    project: &ProjectId,
    id: &AuthConfigId,
    revoke: Option<bool>,
) -> Result<Option<String>> {
    let config = find_config(app, project, id).await?;
    let revokes = revoke != Some(false);
    let (job, mut orders) = (revocation::new_job(), Vec::new());
    let mut tx = app.db.begin().await?;
    if !db::auth_config::delete(&mut *tx, project, id).await? {
        return Err(Error::not_found(codes::AUTH_CONFIG_NOT_FOUND, "Auth config", id.as_str()));
    }
    db::oauth_client::delete_by_config(&mut *tx, project, id).await?;
    let rows = match revokes {
        true => db::account::lock_by_config(&mut *tx, project, id).await?,
        false => Vec::new(),
    };
    for row in rows {
        // One that does not open has nothing that could be revoked.
        let Ok(account) = app.vault.open_account(row).await else { continue };
        orders.extend(Clerk::from(&**app).order(&config, &account, Cause::Delete, &job).await?);
    }
    let given = revocation::give(app, &mut tx, orders).await?;
    let mut gone = Vec::new();
    for (account, user) in db::account::delete_by_config(&mut *tx, project, id, !revokes).await? {
        db::connect_token::consume_all(&mut *tx, project, &account).await?;
        let orphaned = std::slice::from_ref(&account);
        db::trigger_instance::delete_orphans(&mut *tx, project, orphaned).await?;
        gone.push(Changed::Account {
            project: project.clone(),
            id: account,
            user,
            tokens_only: false,
        });
    }
    for what in gone.iter().chain([&changed(&config)]) {
        app.changed(&mut *tx, what).await?;
    }
    tx.commit().await?;
    for what in gone.iter().chain([&changed(&config)]) {
        app.cache.invalidate(what);
    }
    let worker = app.clone();
    app.tasks.spawn(async move { given.run(&worker).await });
    Ok((revoke == Some(true)).then_some(job))
}

/// Applies a change and checks the whole.
fn apply(
    app: &App,
    config: &mut AuthConfig,
    toolkit: &Arc<Toolkit>,
    scheme: &AuthScheme,
    change: Change,
) -> Result<()> {
    let mut problems = Vec::new();
    if let Some(name) = change.name {
        config.name = name;
    }
    let name = config.name.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        problems.push("name: must be 1 to 200 characters on one line".to_owned());
    }
    config.name = name.to_owned();
    let scopes_given = change.credentials.as_ref().is_some_and(|c| c.contains_key("scopes"));
    if let Some(credentials) = change.credentials {
        merge_credentials(config, scheme, credentials, &mut problems);
    }
    if let Some(shared) = change.shared_credentials {
        merge_plain("shared_credentials", &mut config.shared_credentials.0, shared, &mut problems);
    }
    let catalog = app.catalog(&config.project_id);
    if let Some(tools) = change.restrict_to_tools {
        config.restrict_to_tools = tools_of(&catalog, toolkit, &tools, &mut problems);
    }
    if let Some(tools) = change.scope_tools {
        config.scope_tools = tools_of(&catalog, toolkit, &tools, &mut problems);
        if let (Some(tools), false) = (&config.scope_tools, scopes_given) {
            let scopes = scopes_of(&catalog, tools);
            if !scopes.is_empty() {
                config.credentials.0.insert("scopes".into(), scopes.into());
            }
        }
    }
    for field in config_fields(scheme) {
        let name = &field.name;
        let own = scheme.config_fields.iter().any(|f| field.is_named(&f.name));
        // With the operator's client only the definition's further fields are the developer's.
        if config.is_managed && !own {
            continue;
        }
        let text = config.credentials.text(name).filter(|t| !t.is_empty()).map(str::to_owned);
        if let (true, Some(text)) = (own, &text) {
            let text = fields::tidy(&field, text.clone());
            if let Some(wrong) = fields::wrong(&field, &text) {
                problems.push(format!("credentials.{name}: {wrong}"));
            }
            config.credentials.0.insert(name.clone(), text.into());
        }
        let there = text.is_some() || config.credentials.0.get(name).is_some_and(Value::is_array);
        if field.required && !there && field.default.is_none() {
            problems.push(format!("credentials.{name}: is required"));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("The auth config is not complete or not right", problems).fix(format!(
        "GET /api/v3/toolkits/{} lists the fields of every scheme",
        toolkit.file.slug
    )))
}

fn merge_credentials(
    config: &mut AuthConfig,
    scheme: &AuthScheme,
    given: Map<String, Value>,
    problems: &mut Vec<String>,
) {
    let connect: Vec<String> =
        connect_fields(scheme).iter().flat_map(|f| fields::all_names(scheme, f)).collect();
    let own = config_fields(scheme);
    let mut rest = Map::new();
    for (name, value) in given {
        let alias = own.iter().find(|f| f.aliases.contains(&name)).map(|f| f.name.clone());
        let name = alias.unwrap_or(name);
        match name.as_str() {
            "scopes" | "user_scopes" => match scope_list(&value) {
                Some(list) if list.is_empty() => {
                    config.credentials.0.remove(&name);
                }
                Some(list) => {
                    config.credentials.0.insert(name, list.into());
                }
                None => problems.push(format!("credentials.{name}: must be a text or a list")),
            },
            "client_id" | "client_secret" | "consumer_key" | "consumer_secret"
                if config.is_managed =>
            {
                problems.push(format!("credentials.{name}: managed auth takes no client"));
            }
            "oauth_redirect_uri" if !is_redirect_uri(&value) => problems.push(
                "credentials.oauth_redirect_uri: must be an absolute http or https URL without a \
                 fragment"
                    .to_owned(),
            ),
            // A field of the connection, given once for all of them.
            _ if connect.contains(&name) && !own.iter().any(|f| f.name == name) => {
                let stored = fields::stored_name(config.scheme, &name).to_owned();
                let one = [(stored, value)].into_iter().collect();
                merge_plain("credentials", &mut config.shared_credentials.0, one, problems);
            }
            _ => {
                rest.insert(name, value);
            }
        }
    }
    merge_plain("credentials", &mut config.credentials.0, rest, problems);
}

/// Merges fields; null and an empty text remove one.
fn merge_plain(
    what: &str,
    into: &mut Map<String, Value>,
    given: Map<String, Value>,
    problems: &mut Vec<String>,
) {
    for (name, value) in given {
        let bad_name = name.is_empty() || name.len() > 100 || name.chars().any(char::is_control);
        let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        match &value {
            Value::Null => {
                into.remove(&name);
            }
            Value::String(text) if text.is_empty() => {
                into.remove(&name);
            }
            _ if bad_name => problems.push(format!("{what}: has a name that cannot be used")),
            Value::String(text)
                if text.len() > MAX_VALUE || text.chars().any(|c| c == '\0' || c == '\r') =>
            {
                problems.push(format!("{what}.{shown}: is too long or has control characters"));
            }
            _ if !into.contains_key(&name) && into.len() >= MAX_FIELDS => {
                problems.push(format!("{what}: has more than {MAX_FIELDS} fields"));
                return;
            }
            _ => {
                into.insert(name, value);
            }
        }
    }
}

/// Scopes as a list: from a list, or a text with commas or blanks between them.
pub fn scope_list(value: &Value) -> Option<Vec<String>> {
    let split = |text: &str| -> Vec<String> {
        text.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|s| !s.is_empty() && !s.chars().any(char::is_control))
            .map(str::to_owned)
            .collect()
    };
    let mut scopes = match value {
        Value::Null => Vec::new(),
        Value::String(text) => split(text),
        Value::Array(items) => {
            let mut all = Vec::new();
            for item in items {
                all.extend(split(item.as_str()?));
            }
            all
        }
        _ => return None,
    };
    let mut seen = std::collections::HashSet::new();
    scopes.retain(|s| seen.insert(s.clone()));
    Some(scopes)
}

fn is_redirect_uri(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) if text.is_empty() => true,
        Value::String(text) => {
            super::callback_url::check("oauth_redirect_uri", text).is_ok() && !text.contains('#')
        }
        _ => false,
    }
}

/// Tools by their own slugs; none for an empty list.
fn tools_of(
    catalog: &Catalog,
    toolkit: &Arc<Toolkit>,
    slugs: &[String],
    problems: &mut Vec<String>,
) -> Option<Vec<String>> {
    let mut tools = Vec::new();
    for slug in slugs {
        match catalog.tool(slug) {
            Some((owner, tool)) if owner.file.slug == toolkit.file.slug => {
                tools.push(tool.def.slug.clone());
            }
            _ => {
                let shown: String = slug.chars().take(100).collect();
                problems.push(format!("tools: {shown} is not a tool of {}", toolkit.file.slug));
            }
        }
    }
    tools.sort();
    tools.dedup();
    (!tools.is_empty()).then_some(tools)
}

/// The scopes that tools need at least: of each the first set that suffices.
fn scopes_of(catalog: &Catalog, tools: &[String]) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for slug in tools {
        let sets = catalog.tool(slug).map(|(_, t)| t.def.scopes.as_slice());
        for scope in sets.and_then(<[_]>::first).into_iter().flatten() {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scopes_come_in_every_shape() {
        let expected = Some(vec!["a".to_owned(), "b:c".to_owned()]);
        for value in [json!("a,b:c"), json!("a b:c"), json!("a, b:c,,a"), json!(["a", "b:c"])] {
            assert_eq!(scope_list(&value), expected, "{value}");
        }
        assert_eq!(scope_list(&json!(5)), None);
        assert_eq!(scope_list(&json!([1])), None);
    }
}
