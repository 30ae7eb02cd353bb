//! Installing toolkits: a description becomes a version in the database, and so part of the catalogue.
//!
//! | module | knows |
//! |---|---|
//! | `fetch` | descriptions at URLs |
//! | `documents` | what a description refers to |
//! | `make` | from a description to what can be stored |
//! | `logo` | logos of toolkits that a project adds |
//! | `remote` | remote MCP servers, listed and listed again |
//! | `diff` | what a new version changes |
//! | `version` | the name of the next version |

pub mod diff;
mod documents;
mod fetch;
pub mod logo;
mod make;
pub mod remote;
mod version;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use utoipa::ToSchema;

use crate::app::App;
use crate::catalog::Packed;
pub use crate::db::installed_toolkit::VersionRow;
use crate::db::installed_toolkit::{self as table, DefinitionRow};
use crate::db::notify::Changed;
use crate::db::toolkit_logo;
use crate::domain::id::ProjectId;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};
use crate::import::{Definition, Options, Report};
use crate::shelf::scope;
pub use diff::Diff;
use make::refused;

/// Imports at the same time; a large one takes seconds of a processor and hundreds of megabytes.
static RUNNING: Semaphore = Semaphore::const_new(2);
/// Toolkits that one project may install: every server has them in memory.
const MOST_TOOLKITS: i64 = 200;
/// Tools that all of them may have together.
const MOST_TOOLS: i64 = 20_000;
/// Versions of one toolkit that are kept.
const MOST_VERSIONS: i64 = 100;

/// What is to be installed.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What was made of a description already.
    pub made: Option<Box<(Definition, Report)>>,
    /// The description's text; none: it is fetched from `url`.
    pub document: Option<Vec<u8>>,
    /// Where the description is, or came from.
    pub url: Option<String>,
    /// Name of the file that it came from.
    pub file: Option<String>,
    /// Slug instead of the one made of the title.
    pub slug: Option<String>,
    /// Display name instead of the title.
    pub name: Option<String>,
    /// Root of all requests instead of the description's.
    pub base_url: Option<String>,
    /// Documents that the description refers to, by how it names them.
    pub documents: BTreeMap<String, Vec<u8>>,
    /// Further hosts that requests may go to, and that documents may be fetched from.
    pub allow: Vec<String>,
    /// Further names of tools, and the operations (`GET /things`) that they mean.
    pub aliases: BTreeMap<String, String>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// How far an installation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What is being done.
    pub stage: Stage,
    /// Operations that were read, of `of`.
    pub done: usize,
    /// All operations; 0 where that is not known.
    pub of: usize,
}

/// What an installation does, one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The description is fetched.
    #[default]
    Fetching,
    /// Others are imported first.
    Waiting,
    /// Operations become tools.
    Reading,
    /// Tools are checked.
    Checking,
    /// The version is stored.
    Storing,
}

/// What was installed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Installed {
    /// Slug of the toolkit.
    pub slug: String,
    /// Its display name.
    pub name: String,
    /// The version that is the newest now.
    pub version: String,
    /// Number of tools that came of the description.
    pub tools: usize,
    /// Whether a version was stored; false when nothing changed, and for a dry run.
    pub is_new: bool,
    /// What the version changes.
    pub changes: Diff,
    /// What became of the description.
    #[schema(value_type = Object)]
    pub report: Report,
}

/// Installs a toolkit for a project, or for the whole server. Under the slug of a built-in toolkit a
/// project's own hides that one; what is for the whole server completes it: its tools are further ones of the
/// built-in toolkit. Whoever holds the other end of `steps`
/// can see how far it is.
///
/// # Errors
/// What is wrong with the description, or why it could not be fetched.
pub async fn install(
    app: &App,
    project: Option<&ProjectId>,
    wish: Wish,
    steps: &watch::Sender<Step>,
) -> Result<Installed> {
    let steps = steps.clone();
    let is_at = |stage| steps.send_replace(Step { stage, done: 0, of: 0 });
    let given = documents::Given {
        base: wish.url.clone(),
        file: wish.file.clone(),
        documents: wish.documents,
        allow: wish.allow.clone(),
    };
    let source = match (wish.made, wish.document, &wish.url) {
        (Some(made), ..) => make::Source::Made(made),
        (None, Some(document), _) => documents::gather(app, document, given).await?,
        (None, None, Some(url)) => {
            let (place, document) = fetch::fetch(app, url).await?;
            let given = documents::Given { base: Some(place.to_string()), ..given };
            documents::gather(app, document, given).await?
        }
        (None, None, None) => {
            let problem = "url: is required, or document".to_owned();
            return Err(Error::invalid("There is nothing to import", vec![problem]));
        }
    };
    is_at(Stage::Waiting);
    let permit = RUNNING.acquire().await.map_err(Error::internal)?;
    let options = Options {
        slug: wish.slug,
        name: wish.name,
        base_url: wish.base_url,
        source_url: wish.url.clone(),
        version: version::today(),
        allow: wish.allow,
    };
    let (aliases, teller) = (wish.aliases, steps.clone());
    let made = tokio::task::spawn_blocking(move || {
        let tell = |done, of| {
            teller.send_replace(Step { stage: Stage::Reading, done, of });
        };
        make::make(source, &options, &aliases, &tell)
    });
    let made = made.await.map_err(Error::internal)??;
    is_at(Stage::Checking);
    let place = scope(project);
    let slug = made.slug.clone();
    let built_in = app.catalogs.built_in(&slug);
    let (base, hidden) = match project {
        None => (built_in, None),
        Some(_) => (None, built_in),
    };
    let before = newest(app, place, &slug).await?;
    let kept = before.as_ref().map(|(row, _)| row.version.clone());
    let own = base.as_ref().map(|base| base.newest_version().to_owned());
    let next = |kept: Option<&str>| version::next(kept.max(own.as_deref()));
    let version = next(kept.as_deref());
    let (providers, opened) = (app.config.providers.clone(), app.catalogs.opened().clone());
    let old_digest = before.as_ref().map(|(row, _)| row.digest.clone());
    let work = {
        let (version, base) = (version.clone(), base.clone());
        tokio::task::spawn_blocking(move || {
            let before = before.map(|(_, packed)| packed);
            make::compile(made, &version, base.as_deref(), before.as_ref(), &providers, &opened)
        })
    };
    let mut ready = work.await.map_err(Error::internal)??;
    drop(permit);
    if hidden.is_some() {
        let note =
            format!("The project's own toolkit hides the built-in `{slug}` with all of its tools");
        ready.report.notes.push(note);
    }
    let is_same = old_digest.as_ref() == Some(&ready.digest);
    let mut answer = Installed {
        slug: ready.slug.clone(),
        name: ready.name,
        version: kept.clone().filter(|_| is_same).unwrap_or_else(|| version.clone()),
        tools: ready.tools,
        is_new: !is_same && !wish.dry_run,
        changes: ready.changes,
        report: ready.report,
    };
    if !answer.is_new {
        return Ok(answer);
    }
    is_at(Stage::Storing);
    let mut row = VersionRow {
        project_id: place.to_owned(),
        slug: ready.slug,
        version,
        digest: ready.digest,
        tools: i32::try_from(ready.tools).unwrap_or(i32::MAX),
        report: serde_json::to_value(&answer.report).map_err(Error::internal)?,
        completes: base.is_some(),
        changelog: answer.changes.in_words(kept.as_deref()),
        source: wish.url.or(wish.file),
        created_at: now(),
    };
    let definition = DefinitionRow {
        heads: ready.packed.heads.to_vec(),
        bodies: ready.packed.bodies.to_vec(),
        completes: base.is_some(),
    };
    let mut tx = app.db.begin().await?;
    // One of a project at a time: the limits count what is there.
    table::lock(&mut *tx, place).await?;
    if project.is_some() {
        let (toolkits, tools) = table::others(&mut *tx, place, &row.slug).await?;
        if toolkits >= MOST_TOOLKITS || tools + i64::from(row.tools) > MOST_TOOLS {
            return Err(refused(
                "The project has too many installed tools",
                vec![format!(
                    "at most {MOST_TOOLKITS} toolkits with {MOST_TOOLS} tools; there are {toolkits} \
                     others with {tools}. Remove some, or let the operator install them for the server"
                )],
            ));
        }
    }
    // Somebody else may have stored one since.
    let newest = table::versions(&mut *tx, place, &row.slug).await?.into_iter().next();
    let newest = newest.map(|newest| newest.version);
    if newest != kept {
        row.version = next(newest.as_deref());
        answer.version.clone_from(&row.version);
    }
    table::insert(&mut *tx, &row, &definition).await?;
    table::forget_old(&mut *tx, place, &row.slug, MOST_VERSIONS).await?;
    app.changed(&mut *tx, &Changed::Toolkits).await?;
    tx.commit().await?;
    app.shelf.sync().await?;
    Ok(answer)
}

async fn newest(app: &App, place: &str, slug: &str) -> Result<Option<(VersionRow, Packed)>> {
    let Some(row) = table::versions(&app.db, place, slug).await?.into_iter().next() else {
        return Ok(None);
    };
    let found = table::definition(&app.db, place, slug, &row.version).await?;
    Ok(found.map(|found| (row, Packed { heads: found.heads.into(), bodies: found.bodies.into() })))
}

/// Takes a toolkit with all of its versions away; accounts and trigger instances stay.
///
/// # Errors
/// 404 when there is none.
pub async fn remove(app: &App, project: Option<&ProjectId>, slug: &str) -> Result<()> {
    let slug = slug.to_lowercase();
    let mut tx = app.db.begin().await?;
    table::lock(&mut *tx, scope(project)).await?;
    if !table::delete(&mut *tx, scope(project), &slug).await? {
        return Err(Error::not_found(codes::TOOLKIT_NOT_FOUND, "Installed toolkit", &slug)
            .fix("List the installed ones with GET /api/v3/toolkits/installed"));
    }
    if let Some(project) = project {
        toolkit_logo::delete(&mut *tx, project, &slug).await?;
    }
    app.changed(&mut *tx, &Changed::Toolkits).await?;
    tx.commit().await?;
    app.shelf.sync().await
}

/// What is installed, newest versions only.
///
/// # Errors
/// When the database is away.
pub async fn list(app: &App, project: Option<&ProjectId>) -> Result<Vec<VersionRow>> {
    Ok(table::newest(&app.db, scope(project)).await?)
}

/// What changed in the versions of what a project sees, by slug and version.
///
/// # Errors
/// When the database is away.
pub async fn changelogs(
    app: &App,
    project: &ProjectId,
) -> Result<HashMap<(String, String), String>> {
    let rows = table::changelogs(&app.db, project.as_str()).await?;
    Ok(rows.into_iter().map(|(slug, version, words)| ((slug, version), words)).collect())
}

/// The versions of an installed toolkit, newest first.
///
/// # Errors
/// 404 when there is none.
pub async fn versions(
    app: &App,
    project: Option<&ProjectId>,
    slug: &str,
) -> Result<Vec<VersionRow>> {
    let slug = slug.to_lowercase();
    let found = table::versions(&app.db, scope(project), &slug).await?;
    if found.is_empty() {
        return Err(Error::not_found(codes::TOOLKIT_NOT_FOUND, "Installed toolkit", &slug)
            .fix("List the installed ones with GET /api/v3/toolkits/installed"));
    }
    Ok(found)
}
