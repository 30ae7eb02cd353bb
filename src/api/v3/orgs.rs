//! Projects of an organization, and a project's settings.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{OrgKey, ProjectKey};
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::{App, AppState};
use crate::connect::callback_url;
use crate::db;
use crate::db::api_key::ApiKeyRow;
use crate::db::notify::Changed;
use crate::db::project::ProjectRow;
use crate::db::webhook_subscription::SubscriptionRow;
use crate::domain::id::{ApiKeyId, OrgId, ProjectId, random_text};
use crate::domain::page::Page;
use crate::domain::project::{LogVisibility, OnAmbiguous, ProjectConfig};
use crate::domain::time::{iso, now};
use crate::domain::webhook::TRIGGER_MESSAGE;
use crate::error::{Error, Result, codes};
use crate::vault::hash_token;
use crate::webhook::subscription::masked;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(list))
        .routes(routes!(list_alias))
        .routes(routes!(get, delete))
        .routes(routes!(regenerate))
        .routes(routes!(get_config, patch_config))
}

/// Settings to change; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct ConfigPatch {
    /// Whether people must use a second factor.
    #[serde(rename = "is_2FA_enabled")]
    is_2fa_enabled: Option<bool>,
    /// Logo on the Connect Link page: an https URL. Null removes it.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 2048)]
    logo_url: Option<Option<String>>,
    /// App title on the Connect Link page. Null removes it.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200)]
    display_name: Option<Option<String>>,
    /// Whether responses mask credentials.
    mask_secret_keys_in_connected_account: Option<bool>,
    /// What execution logs keep.
    log_visibility_setting: Option<LogVisibility>,
    /// Whether MCP endpoints need an API key.
    require_mcp_api_key: Option<bool>,
    /// What happens when a user has several accounts and a call names none.
    on_ambiguous_account: Option<OnAmbiguous>,
    /// Your page that makes sure who came back from a provider; accounts become ACTIVE only when it
    /// has redeemed the `session_uri` that it is given. Null removes it.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 4096)]
    oauth_callback_verifier_url: Option<Option<String>>,
}

/// Tells null from absent; an empty text is as good as null.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(Some(text.filter(|t| !t.trim().is_empty())))
}

/// Whether a page may show the image at this address: https, so that nobody on the way can put
/// another one in its place, and nothing in it that a security policy could be broken with.
fn is_image_url(text: &str) -> bool {
    text.len() <= 2048
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        && url::Url::parse(text).is_ok_and(|u| {
            u.scheme() == "https" && u.has_host() && u.username() == "" && u.password().is_none()
        })
}

impl ConfigPatch {
    /// The settings given, as they are stored; null removes.
    fn checked(self) -> Result<Value> {
        let mut problems = Vec::new();
        if let Some(Some(url)) = &self.logo_url
            && !is_image_url(url)
        {
            problems.push("logo_url: must be an https URL of at most 2048 characters".to_owned());
        }
        if let Some(Some(url)) = &self.oauth_callback_verifier_url
            && let Err(error) = callback_url::check("oauth_callback_verifier_url", url)
        {
            problems.extend(error.errors);
        }
        if let Some(Some(name)) = &self.display_name
            && (name.chars().count() > 200 || name.chars().any(char::is_control))
        {
            problems.push("display_name: at most 200 characters on one line".to_owned());
        }
        if !problems.is_empty() {
            return Err(Error::invalid("Invalid project settings", problems));
        }
        let mut patch = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                patch.insert(name.to_owned(), value);
            }
        };
        put("is_2FA_enabled", self.is_2fa_enabled.map(Value::from));
        put("logo_url", self.logo_url.map(Value::from));
        put("display_name", self.display_name.map(Value::from));
        put(
            "mask_secret_keys_in_connected_account",
            self.mask_secret_keys_in_connected_account.map(Value::from),
        );
        put("log_visibility_setting", self.log_visibility_setting.map(|v| json!(v)));
        put("require_mcp_api_key", self.require_mcp_api_key.map(Value::from));
        put("on_ambiguous_account", self.on_ambiguous_account.map(|v| json!(v)));
        put("oauth_callback_verifier_url", self.oauth_callback_verifier_url.map(Value::from));
        Ok(Value::Object(patch))
    }
}

/// A new project.
#[derive(Debug, Deserialize, ToSchema)]
struct NewProject {
    /// Display name, unique within the organization.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Whether to make a key and return it.
    #[serde(default)]
    should_create_api_key: Option<bool>,
    /// Settings that differ from the defaults.
    #[serde(default)]
    config: Option<ConfigPatch>,
}

/// A project that was just made.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedProject {
    /// Project id.
    id: String,
    /// Display name.
    name: String,
    /// Its key, if one was asked for. It is shown only here.
    api_key: Option<String>,
}

/// A project.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProjectInfo {
    /// Project id.
    pub(super) id: String,
    /// Its organization.
    org_id: String,
    /// Display name.
    name: String,
    /// Always empty on this server, which has no user accounts.
    email: String,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
    /// Where events of triggers go: the URL of the webhook subscription, if it has them.
    webhook_url: Option<String>,
    /// Where other events go, likewise.
    event_webhook_url: Option<String>,
    /// First characters of the secret that signs them; null without a webhook subscription.
    webhook_secret: Option<String>,
    /// Whether triggers are on.
    triggers_enabled: bool,
    /// When a client last subscribed.
    last_subscribed_at: Option<String>,
    /// Deprecated: see `webhook_version`.
    is_new_webhook: bool,
    /// Format of webhooks: `V1`, `V2` or `V3`.
    webhook_version: String,
    /// Always false: a deleted project is not shown.
    deleted: bool,
}

/// A page of projects.
#[derive(Debug, Serialize, ToSchema)]
struct ProjectPage {
    /// Projects, newest first.
    data: Vec<ProjectInfo>,
    /// Cursor of the next page, or null.
    next_cursor: Option<String>,
    /// Number of pages.
    total_pages: i64,
    /// This page's number, from 1.
    current_page: i64,
    /// Number of projects.
    total_items: i64,
}

/// A key, without the key itself except when it was just made.
#[derive(Debug, Serialize, ToSchema)]
struct KeyInfo {
    /// Key id.
    id: String,
    /// Display name.
    name: String,
    /// The key when it was just made, else its first characters.
    key: String,
    /// When it was made.
    created_at: String,
}

/// A project with its keys.
#[derive(Debug, Serialize, ToSchema)]
struct ProjectDetail {
    #[serde(flatten)]
    project: ProjectInfo,
    /// Its keys, masked.
    api_keys: Vec<KeyInfo>,
}

/// A deletion.
#[derive(Debug, Serialize, ToSchema)]
struct Deleted {
    /// `success`
    status: &'static str,
}

/// A new key in the place of the old ones.
#[derive(Debug, Serialize, ToSchema)]
struct Regenerated {
    /// The key; shown only here.
    api_key: KeyInfo,
    /// What happened.
    message: &'static str,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Projects per page; 20 when absent, at most 1000.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// Opens a project row for an answer.
pub(super) async fn project_info(app: &App, row: &ProjectRow) -> Result<ProjectInfo> {
    let subscription = db::webhook_subscription::list(&app.db, &row.id).await?.into_iter().next();
    let url_for = |is_wanted: fn(&str) -> bool| {
        let has = |s: &&SubscriptionRow| s.enabled_events.iter().any(|event| is_wanted(event));
        subscription.as_ref().filter(has).map(|s| s.webhook_url.clone())
    };
    let webhook_secret = match &subscription {
        Some(subscription) => Some(masked(app, subscription).await?),
        None => None,
    };
    let version = subscription.as_ref().map_or("V3", |s| s.version.as_str());
    Ok(ProjectInfo {
        id: row.id.to_string(),
        org_id: row.org_id.to_string(),
        name: row.name.clone(),
        email: String::new(),
        created_at: iso(row.created_at),
        updated_at: iso(row.updated_at),
        webhook_url: url_for(|event| event == TRIGGER_MESSAGE),
        event_webhook_url: url_for(|event| event != TRIGGER_MESSAGE),
        webhook_secret,
        triggers_enabled: true,
        last_subscribed_at: None,
        is_new_webhook: version != "V1",
        webhook_version: version.to_owned(),
        deleted: false,
    })
}

fn new_key(org: &OrgId, project: &ProjectId, at: DateTime<Utc>) -> (String, ApiKeyRow) {
    let key = format!("ak_{}", random_text(32));
    let row = ApiKeyRow {
        hash: hash_token(&key),
        id: ApiKeyId::generate(),
        org_id: org.clone(),
        project_id: Some(project.clone()),
        name: "default".to_owned(),
        hint: key.chars().take(7).collect(),
        created_at: at,
    };
    (key, row)
}

async fn insert_key(tx: &mut sqlx::PgConnection, row: &ApiKeyRow) -> Result<()> {
    if db::api_key::insert(&mut *tx, row).await? {
        Ok(())
    } else {
        Err(Error::internal("a random key was made twice"))
    }
}

pub(super) fn unknown(id: &str) -> Error {
    Error::not_found(codes::PROJECT_NOT_FOUND, "Project", id)
        .fix("List the projects with GET /api/v3/org/owner/project/list")
}

/// Make a project.
#[utoipa::path(post, path = "/org/owner/project/new", tag = "projects",
    operation_id = "createProject", security(("OrgKey" = [])), request_body = NewProject,
    responses((status = 200, body = CreatedProject), CommonErrors))]
async fn create(
    State(app): State<AppState>,
    OrgKey(org): OrgKey,
    Json(body): Json<NewProject>,
) -> Result<Json<CreatedProject>> {
    let name = body.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        let problem = "name: 1 to 100 characters on one line".to_owned();
        return Err(Error::invalid("Invalid project name", vec![problem]));
    }
    let patch = body.config.unwrap_or_default().checked()?;
    let id = ProjectId::generate();
    let secret = app.vault.seal_webhook_secret(&id, &random_text(40)).await?;
    let mut tx = app.db.begin().await?;
    db::project::insert(&mut *tx, &id, &org.org_id, name, &json!({}), &secret).await.map_err(
        |error| match &error {
            sqlx::Error::Database(d) if d.constraint() == Some("project_org_id_name_key") => {
                Error::invalid(
                    "A project of this name exists",
                    vec!["name: already taken in this organization".to_owned()],
                )
                .fix("Choose another name")
            }
            _ => error.into(),
        },
    )?;
    db::project::merge_config(&mut *tx, &id, &patch).await?;
    let mut api_key = None;
    if body.should_create_api_key.unwrap_or(false) {
        let (key, row) = new_key(&org.org_id, &id, now());
        insert_key(&mut tx, &row).await?;
        api_key = Some(key);
    }
    app.changed(&mut *tx, &Changed::Keys).await?;
    tx.commit().await?;
    app.cache.invalidate(&Changed::Keys);
    Ok(Json(CreatedProject { id: id.to_string(), name: name.to_owned(), api_key }))
}

/// List projects, newest first.
#[utoipa::path(get, path = "/org/owner/project/list", tag = "projects",
    operation_id = "listProjects", security(("OrgKey" = [])), params(ListQuery),
    responses((status = 200, body = ProjectPage), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    OrgKey(org): OrgKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<ProjectPage>> {
    let request = page(query.limit, query.cursor.as_deref(), 20)?;
    let (rows, total) =
        db::project::list(&app.db, &org.org_id, request.limit, request.offset()).await?;
    let mut data = Vec::with_capacity(rows.len());
    for row in &rows {
        data.push(project_info(&app, row).await?);
    }
    let page = Page::new(data, total, request);
    Ok(Json(ProjectPage {
        data: page.items,
        next_cursor: page.next_cursor,
        total_pages: page.total_pages,
        current_page: page.current_page,
        total_items: page.total_items,
    }))
}

/// List projects: the documented short path.
#[utoipa::path(get, path = "/org/projects", tag = "projects",
    operation_id = "listProjectsShort", security(("OrgKey" = [])), params(ListQuery),
    responses((status = 200, body = ProjectPage), CommonErrors))]
async fn list_alias(
    app: State<AppState>,
    key: OrgKey,
    query: Query<ListQuery>,
) -> Result<Json<ProjectPage>> {
    list(app, key, query).await
}

async fn find(app: &App, org: &OrgId, id: &str) -> Result<ProjectRow> {
    let row = db::project::get(&app.db, &ProjectId::from(id)).await?;
    row.filter(|row| row.org_id == *org).ok_or_else(|| unknown(id))
}

/// One project and its keys.
#[utoipa::path(get, path = "/org/owner/project/{nano_id}", tag = "projects",
    operation_id = "getProject", security(("OrgKey" = [])),
    params(("nano_id" = String, Path, description = "Project id")),
    responses((status = 200, body = ProjectDetail), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    OrgKey(org): OrgKey,
    Path(id): Path<String>,
) -> Result<Json<ProjectDetail>> {
    let row = find(&app, &org.org_id, &id).await?;
    let keys = db::api_key::list(&app.db, &row.id).await?;
    let api_keys = keys
        .into_iter()
        .map(|key| KeyInfo {
            id: key.id.to_string(),
            name: key.name,
            key: format!("{}...", key.hint),
            created_at: iso(key.created_at),
        })
        .collect();
    Ok(Json(ProjectDetail { project: project_info(&app, &row).await?, api_keys }))
}

/// Delete a project; its keys stop working at once.
#[utoipa::path(delete, path = "/org/owner/project/{nano_id}", tag = "projects",
    operation_id = "deleteProject", security(("OrgKey" = [])),
    params(("nano_id" = String, Path, description = "Project id")),
    responses((status = 200, body = Deleted), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    OrgKey(org): OrgKey,
    Path(id): Path<String>,
) -> Result<Json<Deleted>> {
    let project = ProjectId::from(id.as_str());
    let mut tx = app.db.begin().await?;
    if !db::project::delete(&mut *tx, &org.org_id, &project).await? {
        return Err(unknown(&id));
    }
    db::api_key::delete_all(&mut *tx, &project).await?;
    app.changed(&mut *tx, &Changed::Keys).await?;
    tx.commit().await?;
    app.cache.invalidate(&Changed::Keys);
    Ok(Json(Deleted { status: "success" }))
}

/// Replace every key of a project by a new one.
#[utoipa::path(post, path = "/org/owner/project/{nano_id}/regenerate_api_key", tag = "projects",
    operation_id = "regenerateProjectKey", security(("OrgKey" = [])),
    params(("nano_id" = String, Path, description = "Project id")),
    responses((status = 200, body = Regenerated), CommonErrors))]
async fn regenerate(
    State(app): State<AppState>,
    OrgKey(org): OrgKey,
    Path(id): Path<String>,
) -> Result<Json<Regenerated>> {
    let project = find(&app, &org.org_id, &id).await?.id;
    let (key, row) = new_key(&org.org_id, &project, now());
    let mut tx = app.db.begin().await?;
    db::api_key::delete_all(&mut *tx, &project).await?;
    insert_key(&mut tx, &row).await?;
    app.changed(&mut *tx, &Changed::Keys).await?;
    tx.commit().await?;
    app.cache.invalidate(&Changed::Keys);
    let created_at = iso(row.created_at);
    let api_key = KeyInfo { id: row.id.to_string(), name: row.name, key, created_at };
    Ok(Json(Regenerated {
        api_key,
        message: "A new key was made; the project's earlier keys no longer work",
    }))
}

/// Settings of the key's project.
#[utoipa::path(get, path = "/org/project/config", tag = "projects",
    operation_id = "getProjectConfig",
    responses((status = 200, body = ProjectConfig), CommonErrors))]
async fn get_config(State(app): State<AppState>, key: ProjectKey) -> Json<ProjectConfig> {
    Json(in_force(&app, key.project.config.clone()))
}

/// The settings with what the server's configuration says for absent ones.
fn in_force(app: &App, mut config: ProjectConfig) -> ProjectConfig {
    config.on_ambiguous_account.get_or_insert(app.config.on_ambiguous_account);
    config
}

/// Change settings of the key's project.
#[utoipa::path(patch, path = "/org/project/config", tag = "projects",
    operation_id = "patchProjectConfig", request_body = ConfigPatch,
    responses((status = 200, body = ProjectConfig), CommonErrors))]
async fn patch_config(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<ConfigPatch>,
) -> Result<Json<ProjectConfig>> {
    let patch = body.checked()?;
    let id = &key.project.id;
    let mut tx = app.db.begin().await?;
    let row = db::project::merge_config(&mut *tx, id, &patch).await?;
    let row = row.ok_or_else(|| unknown(id.as_str()))?;
    app.changed(&mut *tx, &Changed::Keys).await?;
    tx.commit().await?;
    app.cache.invalidate(&Changed::Keys);
    Ok(Json(in_force(&app, crate::cache::project_of(row).config)))
}
