//! Configurations under a name: what a session may see, decided once for many sessions.

use crate::app::App;
use crate::db;
use crate::db::session_config::Unchanged;
use crate::domain::connection::Project;
use crate::domain::id::{ProjectId, SessionConfigId};
use crate::domain::page::PageRequest;
use crate::domain::session::SessionConfig;
use crate::error::{Error, Result, codes};

use super::config;

pub use crate::db::session_config::{Change, SessionConfigRow as Named};

/// Longest name.
const MAX_NAME: usize = 80;

/// Longest description.
const MAX_DESCRIPTION: usize = 1000;

/// What a session takes over.
#[derive(Debug, Clone)]
pub struct Policy {
    id: SessionConfigId,
    config: SessionConfig,
}

impl Policy {
    /// The configuration with the policy's toolkits, tools and tags.
    pub fn over(&self, mut config: SessionConfig) -> SessionConfig {
        config.toolkits.clone_from(&self.config.toolkits);
        config.tools.clone_from(&self.config.tools);
        config.tags.clone_from(&self.config.tags);
        config.source_config_id = Some(self.id.to_string());
        config
    }
}

/// 404 of one.
pub fn unknown(id: &SessionConfigId) -> Error {
    Error::not_found(codes::SESSION_CONFIG_NOT_FOUND, "Session configuration", id.as_str())
        .fix("List the named configurations with GET /api/v3.1/session_configs")
}

/// One of the project.
///
/// # Errors
/// 404 when there is none.
pub async fn find(app: &App, project: &ProjectId, id: &SessionConfigId) -> Result<Named> {
    db::session_config::get(&app.db, project, id).await?.ok_or_else(|| unknown(id))
}

/// Those of the project by name, and their number.
///
/// # Errors
/// The database's.
pub async fn list(
    app: &App,
    project: &ProjectId,
    archived: bool,
    search: Option<&str>,
    request: PageRequest,
) -> Result<(Vec<Named>, i64)> {
    let (limit, offset) = (request.limit, request.offset());
    Ok(db::session_config::list(&app.db, project, archived, search, limit, offset).await?)
}

/// What sessions take over from one.
///
/// # Errors
/// 404 when there is none, 400 when it is put aside.
pub async fn policy(app: &App, project: &ProjectId, id: &str) -> Result<Policy> {
    let id = SessionConfigId::from(id);
    let row = find(app, project, &id).await?;
    if row.archived_at.is_some() {
        let problem = "experimental.session_config_id: the configuration is archived".to_owned();
        return Err(Error::invalid("The named configuration is archived", vec![problem])
            .fix("Bring it back with PATCH /api/v3.1/session_configs/{id} {\"archived\": false}"));
    }
    Ok(Policy { id, config: row.config.0 })
}

fn check_texts(name: Option<&str>, description: Option<&str>) -> Result<()> {
    let mut problems = Vec::new();
    let length = |text: &str| text.chars().count();
    if name.is_some_and(|name| name.trim().is_empty() || length(name) > MAX_NAME) {
        problems.push(format!("name: must be 1 to {MAX_NAME} characters"));
    }
    if description.is_some_and(|text| length(text) > MAX_DESCRIPTION) {
        problems.push(format!("description: at most {MAX_DESCRIPTION} characters"));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("Invalid named configuration", problems))
}

fn name_taken() -> Error {
    Error::new(codes::CONFLICT, "Another configuration of the project has this name")
        .fix("Choose another name, or change the one that has it")
}

/// Makes one.
///
/// # Errors
/// 400 for what cannot be, 409 when another has the name.
pub async fn create(
    app: &App,
    project: &Project,
    name: &str,
    description: &str,
    given: SessionConfig,
) -> Result<Named> {
    check_texts(Some(name), Some(description))?;
    let default = SessionConfig::default();
    let given = config::checked(app, project, "", given, &default).await?;
    let id = SessionConfigId::generate();
    let mut tx = app.db.begin().await?;
    let row =
        db::session_config::insert(&mut tx, &project.id, &id, name, description, &given).await?;
    tx.commit().await?;
    row.ok_or_else(name_taken)
}

/// Changes one. Sessions that took it over before keep what they have.
///
/// # Errors
/// 404 when there is none, and as [`create`].
pub async fn update(
    app: &App,
    project: &Project,
    id: &SessionConfigId,
    mut change: Change,
) -> Result<Named> {
    check_texts(change.name.as_deref(), change.description.as_deref())?;
    if let Some(given) = change.config.take() {
        let default = SessionConfig::default();
        change.config = Some(config::checked(app, project, "", given, &default).await?);
    }
    let mut tx = app.db.begin().await?;
    let row = db::session_config::update(&mut tx, &project.id, id, &change).await?;
    tx.commit().await?;
    row.map_err(|why| match why {
        Unchanged::Gone => unknown(id),
        Unchanged::NameTaken => name_taken(),
    })
}

/// Deletes one. Sessions that took it over keep what they have.
///
/// # Errors
/// 404 when there is none.
pub async fn delete(app: &App, project: &ProjectId, id: &SessionConfigId) -> Result<()> {
    if db::session_config::delete(&app.db, project, id).await? { Ok(()) } else { Err(unknown(id)) }
}
