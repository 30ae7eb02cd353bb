//! The URLs that apps of providers call: one per app, for all of its users.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{type_of, unknown_type, webhook};
use crate::app::App;
use crate::cache::Endpoint;
use crate::catalog::Toolkit;
use crate::catalog::model::{Ingress, Verify};
use crate::connect;
use crate::credentials::oauth2::client_id;
use crate::db;
use crate::db::notify::Changed;
use crate::db::trigger_instance::{Listed, TriggerRow};
use crate::db::webhook_endpoint::EndpointRow;
use crate::domain::id::{EndpointId, ProjectId, TriggerId, random_text};
use crate::domain::secret::mask;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};
use crate::vault::hash_token;

/// Path of the URLs that providers call, for apps.
pub const ENDPOINT_PATH: &str = "/hooks/e";

/// Most endpoints of a list.
const MOST: i64 = 1000;

/// Longest client id, and longest value of a field.
const MAX_TEXT: usize = 4096;

/// How the URL of an instance's app stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Missing,
    /// No call has been verified yet.
    Unheard(EndpointId),
    /// When the last call was verified; noted now and then.
    Heard(DateTime<Utc>),
}

/// How the URLs of apps stand, for those of the instances that are called at one.
///
/// # Errors
/// When the database is away.
pub async fn standings(
    app: &App,
    project: &ProjectId,
    rows: &[Listed],
) -> Result<HashMap<TriggerId, Standing>> {
    let is_called = |row: &&TriggerRow| {
        let known = type_of(app, row).ok();
        known.is_some_and(|(_, t)| webhook(&t).is_some_and(|w| w.def.ingress == Ingress::App))
    };
    let rows: Vec<&TriggerRow> = rows.iter().map(|listed| &listed.row).filter(is_called).collect();
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let endpoints = db::webhook_endpoint::list(&app.db, project, None, MOST).await?;
    let mut standings = HashMap::new();
    for row in rows {
        let config = app.cache.auth_config(project, &row.auth_config_id).await?;
        let own = config.as_deref().and_then(|config| client_id(&app.config, config));
        let endpoint = endpoints.iter().find(|endpoint| {
            endpoint.toolkit_slug == row.toolkit_slug
                && own.is_none_or(|own| own == endpoint.client_id)
        });
        let standing = match endpoint {
            None => Standing::Missing,
            Some(endpoint) => match endpoint.verified_at {
                None => Standing::Unheard(endpoint.id.clone()),
                Some(at) => Standing::Heard(at),
            },
        };
        standings.insert(row.id.clone(), standing);
    }
    Ok(standings)
}

/// The URL of an endpoint.
pub fn url(app: &App, endpoint: &Endpoint) -> Option<String> {
    let secret = endpoint.secrets.text("ingress")?;
    let (root, row) = (&app.config.public_url, &endpoint.row);
    Some(format!("{root}{ENDPOINT_PATH}/{}/{}/{secret}", row.project_id, row.id))
}

/// What the developer entered, masked.
pub fn masked(endpoint: &Endpoint) -> Map<String, Value> {
    let keys = endpoint.secrets.0.get("keys").and_then(Value::as_object);
    let keys = keys.into_iter().flatten();
    keys.filter_map(|(k, v)| Some((k.clone(), mask(v.as_str()?).into()))).collect()
}

/// Names of what the developer has to copy from the provider for an app of a toolkit.
pub fn setup_fields(toolkit: &Toolkit) -> Vec<String> {
    let mut names = Vec::new();
    for rule in toolkit.triggers.iter().filter_map(|trigger| webhook(trigger)) {
        let key = match &rule.def.verify {
            _ if rule.def.ingress != Ingress::App => continue,
            Verify::Hmac(hmac) => &hmac.key,
            Verify::Token { key, .. } => key,
            Verify::Url {} => continue,
        };
        // That of the auth config is known already.
        if key != "client_secret" && !names.contains(key) {
            names.push(key.clone());
        }
    }
    names
}

fn unknown(id: &EndpointId) -> Error {
    Error::not_found(codes::WEBHOOK_ENDPOINT_NOT_FOUND, "Webhook endpoint", id.as_str())
        .fix("List the project's webhook endpoints with GET /api/v3.1/webhook_endpoints")
}

async fn opened(app: &App, row: EndpointRow) -> Result<Endpoint> {
    let data = app.vault.open_endpoint(&row.project_id, &row.id, &row.data).await?;
    Ok(Endpoint::new(row, data))
}

/// The endpoint of an app, made when there is none; whether it was.
///
/// # Errors
/// 404 for an unknown toolkit; 400 for one whose apps have no URL.
pub async fn create(
    app: &App,
    project: &ProjectId,
    toolkit_slug: &str,
    client_id: &str,
) -> Result<(Endpoint, bool)> {
    let toolkit = connect::toolkit(app, project, &toolkit_slug.to_lowercase())?;
    let is_app = |w: &crate::catalog::trigger::Webhook| w.def.ingress == Ingress::App;
    if !toolkit.triggers.iter().filter_map(|t| webhook(t)).any(is_app) {
        let name = &toolkit.file.name;
        let problem = format!("toolkit_slug: {name} has no trigger that an app's URL hears of");
        return Err(Error::invalid("No webhook endpoint is needed", vec![problem])
            .fix("Set triggers up; their webhooks are registered for each of them"));
    }
    let client_id = client_id.trim();
    if client_id.is_empty() || client_id.len() > MAX_TEXT || client_id.contains('\0') {
        let problem = "client_id: must be the id of the app at the provider".to_owned();
        return Err(Error::invalid("Invalid client_id", vec![problem]));
    }
    let (id, ingress) = (EndpointId::generate(), random_text(32));
    let data = json!({"ingress": ingress, "keys": {}});
    let data = data.as_object().cloned().unwrap_or_default();
    let at = now();
    let row = EndpointRow {
        project_id: project.clone(),
        toolkit_slug: toolkit.file.slug.clone(),
        client_id: client_id.to_owned(),
        ingress_hash: hash_token(&ingress),
        data: app.vault.seal_endpoint(project, &id, &data).await?,
        verified_at: None,
        created_at: at,
        updated_at: at,
        id,
    };
    if db::webhook_endpoint::insert(&app.db, &row).await? {
        let what = Changed::Endpoint { project: project.clone(), id: row.id.clone() };
        app.changed(&app.db, &what).await?;
        return Ok((Endpoint::new(row, data), true));
    }
    let there =
        db::webhook_endpoint::of_app(&app.db, project, &row.toolkit_slug, client_id).await?;
    let there = there.ok_or_else(|| unknown_type(&row.toolkit_slug))?;
    Ok((opened(app, there).await?, false))
}

/// One endpoint.
///
/// # Errors
/// 404 when the project has none of this id.
pub async fn get(app: &App, project: &ProjectId, id: &EndpointId) -> Result<Endpoint> {
    let row = db::webhook_endpoint::get(&app.db, project, id).await?.ok_or_else(|| unknown(id))?;
    opened(app, row).await
}

/// The newest endpoints.
///
/// # Errors
/// When the database is away.
pub async fn list(
    app: &App,
    project: &ProjectId,
    toolkit_slug: Option<&str>,
) -> Result<Vec<Endpoint>> {
    let slug = toolkit_slug.map(str::to_lowercase);
    let mut all = Vec::new();
    for row in db::webhook_endpoint::list(&app.db, project, slug.as_deref(), MOST).await? {
        all.push(opened(app, row).await?);
    }
    Ok(all)
}

/// Enters what the developer copied from the provider: all of it, or some of it.
///
/// # Errors
/// 404 when the project has none of this id; 400 for names that the toolkit does not have, and,
/// with `all`, for one that is missing.
pub async fn enter(
    app: &App,
    project: &ProjectId,
    id: &EndpointId,
    given: Map<String, Value>,
    all: bool,
) -> Result<Endpoint> {
    let mut tx = app.db.begin().await?;
    let row = db::webhook_endpoint::lock(&mut *tx, project, id).await?;
    let row = row.ok_or_else(|| unknown(id))?;
    let toolkit = connect::toolkit(app, &row.project_id, &row.toolkit_slug)?;
    let names = setup_fields(&toolkit);
    let mut problems = Vec::new();
    for (name, value) in &given {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        if !names.contains(name) {
            problems.push(format!("data.{shown}: is not a field of {}", toolkit.file.name));
        }
        let good = value.as_str().is_some_and(|text| {
            !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
        });
        if !good {
            problems.push(format!("data.{shown}: must be a text on one line"));
        }
    }
    for name in names.iter().filter(|name| all && !given.contains_key(*name)) {
        problems.push(format!("data.{name}: is required"));
    }
    if !problems.is_empty() {
        return Err(Error::invalid("Invalid data of the webhook endpoint", problems)
            .fix(format!("Fields: {}", names.join(", "))));
    }
    let mut data = app.vault.open_endpoint(project, id, &row.data).await?;
    let keys = data.entry("keys").or_insert_with(|| json!({}));
    if let Value::Object(keys) = keys {
        if all {
            keys.clear();
        }
        keys.extend(given);
    }
    let sealed = app.vault.seal_endpoint(project, id, &data).await?;
    db::webhook_endpoint::update_data(&mut *tx, project, id, &sealed).await?;
    let what = Changed::Endpoint { project: project.clone(), id: id.clone() };
    app.changed(&mut *tx, &what).await?;
    tx.commit().await?;
    app.cache.invalidate(&what);
    Ok(Endpoint::new(row, data))
}
