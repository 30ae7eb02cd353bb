//! Who the caller's key belongs to.

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::orgs::{ProjectInfo, project_info, unknown};
use crate::api::auth::AnyKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::Json;
use crate::app::AppState;
use crate::db;
use crate::domain::id::uuid_of;
use crate::domain::time::iso;
use crate::error::Result;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(info))
}

/// The organization.
#[derive(Debug, Serialize, ToSchema)]
struct Org {
    /// Organization id.
    id: String,
    /// Display name.
    name: String,
    /// Always `self_hosted`.
    plan: &'static str,
}

/// The project, with its organization.
#[derive(Debug, Serialize, ToSchema)]
struct SessionProject {
    /// Always 0: this server does not number projects.
    auto_id: i64,
    #[serde(flatten)]
    project: ProjectInfo,
    /// Project id.
    nano_id: String,
    /// Its organization.
    org: Org,
}

/// The key in use.
#[derive(Debug, Serialize, ToSchema)]
struct SessionKey {
    /// Always 0: this server does not number keys.
    auto_id: i64,
    /// Key id.
    id: String,
    /// Display name.
    name: String,
    /// Project that it opens; empty for an organization key.
    project_id: String,
    /// See `org_member`.
    org_member_id: String,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
    /// Always null.
    deleted_at: Option<String>,
    /// Its first characters.
    key: String,
    /// Always false.
    deleted: bool,
}

/// The holder of the key. This server has no user accounts, so it is the organization.
#[derive(Debug, Serialize, ToSchema)]
struct OrgMember {
    /// A stable id.
    id: String,
    /// Always empty.
    email: String,
    /// The organization's name.
    name: String,
    /// Always `owner`.
    role: &'static str,
    /// Always empty.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// Who is calling.
#[derive(Debug, Serialize, ToSchema)]
struct SessionInfo {
    /// The project; null for an organization key.
    project: Option<SessionProject>,
    /// The key.
    api_key: Option<SessionKey>,
    /// The holder.
    org_member: OrgMember,
}

/// Who the key belongs to.
#[utoipa::path(get, path = "/auth/session/info", tag = "session", operation_id = "getSessionInfo",
    security(("ProjectKey" = []), ("OrgKey" = [])),
    responses((status = 200, body = SessionInfo), CommonErrors))]
async fn info(State(app): State<AppState>, key: AnyKey) -> Result<Json<SessionInfo>> {
    let principal = key.principal;
    let org_name = db::project::org_name(&app.db, &principal.org_id).await?.unwrap_or_default();
    let member = uuid_of(principal.org_id.as_str());
    let mut project = None;
    if let Some(known) = &key.project {
        let row = db::project::get(&app.db, &known.id).await?;
        let row = row.ok_or_else(|| unknown(known.id.as_str()))?;
        let mut info = project_info(&app, &row).await?;
        info.id = uuid_of(row.id.as_str());
        project = Some(SessionProject {
            auto_id: 0,
            project: info,
            nano_id: row.id.to_string(),
            org: Org {
                id: principal.org_id.to_string(),
                name: org_name.clone(),
                plan: "self_hosted",
            },
        });
    }
    let created_at = iso(principal.key_created_at);
    Ok(Json(SessionInfo {
        project,
        api_key: Some(SessionKey {
            auto_id: 0,
            id: principal.key_id.to_string(),
            name: principal.key_name.clone(),
            project_id: principal.project.as_ref().map(|p| p.id.to_string()).unwrap_or_default(),
            org_member_id: member.clone(),
            updated_at: created_at.clone(),
            created_at,
            deleted_at: None,
            key: format!("{}...", principal.key_hint),
            deleted: false,
        }),
        org_member: OrgMember {
            id: member,
            email: String::new(),
            name: org_name,
            role: "owner",
            metadata: Map::new(),
        },
    }))
}
