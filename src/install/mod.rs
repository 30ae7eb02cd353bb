//! Installing toolkits: a description becomes a version in the database, and so part of the catalogue.
//!
//! | module | knows |
//! |---|---|
//! | `fetch` | descriptions at URLs |
//! | `diff` | what a new version changes |

pub mod diff;
mod fetch;

use chrono::{Days, NaiveDate};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::app::App;
use crate::catalog::{self, Bad, Packed};
use crate::db::installed_toolkit::{self as table, DefinitionRow, VersionRow};
use crate::db::notify::Changed;
use crate::domain::id::ProjectId;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};
use crate::import::{self, Options, Report};
use crate::shelf::scope;
pub use diff::Diff;

/// Imports at the same time; a large one takes seconds of a processor and hundreds of megabytes.
static RUNNING: Semaphore = Semaphore::const_new(2);

/// What is to be installed.
#[derive(Debug, Clone, Default)]
pub struct Wish {
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
    /// Further hosts that requests may go to.
    pub allow: Vec<String>,
    /// Only say what would be done.
    pub dry_run: bool,
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
    /// Number of tools.
    pub tools: usize,
    /// Whether a version was stored; false when nothing changed, and for a dry run.
    pub is_new: bool,
    /// What the version changes.
    pub changes: Diff,
    /// What became of the description.
    #[schema(value_type = Object)]
    pub report: Report,
}

/// A definition that was made and compiled.
struct Made {
    slug: String,
    name: String,
    toolkit: Value,
    tools: Vec<Value>,
    report: Report,
}

/// Installs a toolkit for a project, or for the whole server.
///
/// # Errors
/// What is wrong with the description, or why it could not be fetched.
pub async fn install(app: &App, project: Option<&ProjectId>, wish: Wish) -> Result<Installed> {
    let document = match (&wish.document, &wish.url) {
        (Some(document), _) => document.clone(),
        (None, Some(url)) => fetch::fetch(app, url).await?,
        (None, None) => {
            let problem = "url: is required, or document".to_owned();
            return Err(Error::invalid("There is nothing to import", vec![problem]));
        }
    };
    let permit = RUNNING.acquire().await.map_err(Error::internal)?;
    let options = Options {
        slug: wish.slug.clone(),
        name: wish.name.clone(),
        base_url: wish.base_url.clone(),
        source_url: wish.url.clone(),
        version: format!("{}_00", now().format("%Y%m%d")),
        allow: wish.allow.clone(),
    };
    let made = tokio::task::spawn_blocking(move || make(&document, &options));
    let made = made.await.map_err(Error::internal)??;
    let place = scope(project);
    let before = match table::versions(&app.db, place, &made.slug).await?.into_iter().next() {
        Some(row) => {
            let found = table::definition(&app.db, place, &made.slug, &row.version).await?;
            found.map(|found| (row, found))
        }
        None => None,
    };
    let (providers, opened) = (app.config.providers.clone(), app.catalogs.opened().clone());
    let version = next(before.as_ref().map(|(row, _)| row.version.as_str()));
    let work = tokio::task::spawn_blocking(move || {
        let mut made = made;
        let digest = digest(&made);
        made.toolkit["versions"] = Value::from(vec![version.clone()]);
        let compiled = catalog::compile(&made.toolkit, &made.tools, &providers, &opened);
        let compiled = compiled.map_err(|problems| refused("The toolkit cannot be made", problems))?;
        left_out(&mut made.report, &compiled.bad);
        made.report.tools = compiled.toolkit.tools.len();
        let old = match before {
            Some((row, found)) => {
                let packed = Packed { heads: found.heads.into(), bodies: found.bodies.into() };
                let old = catalog::definition(&packed).map_err(Error::internal)?;
                Some((row, old.1))
            }
            None => None,
        };
        let new = catalog::definition(&compiled.packed).map_err(Error::internal)?.1;
        let changes = diff::diff(old.as_ref().map_or(&[][..], |(_, tools)| tools.as_slice()), &new);
        let is_same = old.as_ref().is_some_and(|(row, _)| row.digest == digest);
        let kept = old.map(|(row, _)| row.version);
        Ok::<_, Error>((made, compiled, digest, changes, is_same, version, kept))
    });
    let (made, compiled, digest, changes, is_same, version, kept) =
        work.await.map_err(Error::internal)??;
    drop(permit);
    if compiled.toolkit.tools.is_empty() {
        let why = made.report.left_out.iter().take(20).map(|l| format!("{}: {}", l.what, l.why));
        return Err(refused("None of the operations can be imported", why.collect()));
    }
    let tools = compiled.toolkit.tools.len();
    let is_new = !is_same && !wish.dry_run;
    let mut answer = Installed {
        slug: made.slug.clone(),
        name: made.name.clone(),
        version: if is_same { kept.clone().unwrap_or_default() } else { version.clone() },
        tools,
        is_new,
        changes,
        report: made.report.clone(),
    };
    if !is_new {
        return Ok(answer);
    }
    let mut row = VersionRow {
        project_id: place.to_owned(),
        slug: made.slug,
        version,
        digest,
        tools: i32::try_from(tools).unwrap_or(i32::MAX),
        report: serde_json::to_value(&made.report).map_err(Error::internal)?,
        source: wish.url.or(wish.file),
        created_at: now(),
    };
    let definition = DefinitionRow {
        heads: compiled.packed.heads.to_vec(),
        bodies: compiled.packed.bodies.to_vec(),
    };
    let mut tx = app.db.begin().await?;
    table::lock(&mut *tx, place, &row.slug).await?;
    // Somebody else may have stored one since.
    let newest = table::versions(&mut *tx, place, &row.slug).await?.into_iter().next();
    if newest.as_ref().map(|newest| &newest.version) != kept.as_ref() {
        row.version = next(newest.as_ref().map(|newest| newest.version.as_str()));
        answer.version.clone_from(&row.version);
    }
    table::insert(&mut *tx, &row, &definition).await?;
    app.changed(&mut *tx, &Changed::Toolkits).await?;
    tx.commit().await?;
    app.shelf.sync().await?;
    Ok(answer)
}

/// Takes a toolkit with all of its versions away; accounts and trigger instances stay.
///
/// # Errors
/// 404 when there is none.
pub async fn remove(app: &App, project: Option<&ProjectId>, slug: &str) -> Result<()> {
    let slug = slug.to_lowercase();
    let mut tx = app.db.begin().await?;
    table::lock(&mut *tx, scope(project), &slug).await?;
    if !table::delete(&mut *tx, scope(project), &slug).await? {
        return Err(Error::not_found(codes::TOOLKIT_NOT_FOUND, "Installed toolkit", &slug)
            .fix("List the installed ones with GET /api/v3/toolkits/installed"));
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

fn refused(message: &'static str, mut problems: Vec<String>) -> Error {
    problems.truncate(50);
    Error::new(codes::IMPORT_FAILED, message).with_errors(problems)
}

fn make(document: &[u8], options: &Options) -> Result<Made> {
    let (mut definition, report) = match own(document) {
        Some(definition) => (definition, Report::default()),
        None => import::import(document, options, &|_, _| {})
            .map_err(|e| refused("The description cannot be imported", vec![e.to_string()]))?,
    };
    definition.toolkit["versions"] = Value::from(vec![options.version.clone()]);
    let text = |key: &str| definition.toolkit[key].as_str().unwrap_or_default().to_owned();
    let (slug, name) = (text("slug"), text("name"));
    Ok(Made { slug, name, toolkit: definition.toolkit, tools: definition.tools, report })
}

/// A definition in the server's own format, as JSON: `{"toolkit": {…}, "tools": […]}`.
fn own(document: &[u8]) -> Option<import::Definition> {
    let value: Value = serde_json::from_slice(document).ok()?;
    let tools = value.get("tools")?.as_array()?.clone();
    let toolkit = value.get("toolkit").filter(|toolkit| toolkit.is_object())?.clone();
    Some(import::Definition { toolkit, tools })
}

fn left_out(report: &mut Report, bad: &[Bad]) {
    for bad in bad {
        report.left_out(&format!("/tools/{}", bad.index), &*bad.slug, bad.problems.join("; "));
    }
}

fn digest(made: &Made) -> Vec<u8> {
    let mut toolkit = made.toolkit.clone();
    toolkit["versions"] = Value::Null;
    let mut hash = Sha256::new();
    hash.update(toolkit.to_string());
    for tool in &made.tools {
        hash.update(tool.to_string());
    }
    hash.finalize().to_vec()
}

/// The version after another one: today's first, or the next of the same day.
fn next(before: Option<&str>) -> String {
    let today = format!("{}_00", now().format("%Y%m%d"));
    match before {
        Some(before) if before >= today.as_str() => {
            let (day, number) = before.split_once('_').unwrap_or((before, "0"));
            match number.parse::<u32>().unwrap_or(0) + 1 {
                number @ ..100 => format!("{day}_{number:02}"),
                // A day has no more: the next one begins.
                _ => {
                    let day = NaiveDate::parse_from_str(day, "%Y%m%d").unwrap_or_default();
                    format!("{}_00", (day + Days::new(1)).format("%Y%m%d"))
                }
            }
        }
        _ => today,
    }
}

