//! Searching the tools of a session: COMPOSIO_SEARCH_TOOLS, and the same by the API.
//!
//! | module | knows |
//! |---|---|
//! | `request` | what may be asked |
//! | `find` | which tools a use case is about |
//! | `steps` | what to do with them, in words |
//! | `connections` | which accounts there are for them |
//! | `answer` | how all that is said |

mod answer;
mod connections;
mod find;
mod request;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use rand::RngExt as _;

pub use answer::*;
pub use request::{MAX_KNOWN_FIELDS, MAX_QUERIES, MAX_USE_CASE, SearchRequest, UseCase};

use super::custom::Custom;
use super::{memory, tools};
use crate::app::App;
use crate::catalog::Catalog;
use crate::domain::session::Session;
use crate::domain::time::{iso, now};
use crate::error::Result;
pub(super) use connections::Connections;
use find::{Candidates, Item, Pick};

/// Most related tools of a use case.
const MAX_RELATED: usize = 10;

/// Searches for every use case.
///
/// # Errors
/// When the database is away.
pub async fn search(
    app: &App,
    session: &Session,
    custom: &Custom,
    request: SearchRequest,
) -> Result<SearchAnswer> {
    let searcher = app.search.of(&session.project_id);
    // Together: a model that is slow is waited for once, not once for every use case.
    let candidates = request
        .use_cases
        .iter()
        .map(|one| find::candidates(&searcher, session, custom, &one.use_case));
    let candidates: Vec<Candidates<'_>> = join_all(candidates).await;
    let toolkits: BTreeSet<&str> =
        candidates.iter().flat_map(Candidates::items).filter_map(Item::connects).collect();
    let (connections, noted) =
        tokio::try_join!(Connections::load(app, session, &toolkits), memory::all(app, session))?;
    let (mut results, mut picks) = (Vec::new(), Vec::new());
    let asked = request.use_cases.into_iter().zip(candidates).enumerate();
    for (at, (one, items)) in asked {
        let works = |item: &Item<'_>| match item {
            Item::App(found) => connections.works(session, found.toolkit),
            Item::Own(..) => true,
        };
        let pick = find::pick(session, items, works);
        results.push(result(at + 1, one, &pick, session, &connections, &noted));
        picks.push(pick);
    }
    let statuses = statuses(searcher.catalog(), session, custom, &picks, &connections);
    let found = results.iter().any(|result| !result.primary_tool_slugs.is_empty());
    let tool_schemas = schemas(app.config.search_schema_chars, &picks);
    Ok(SearchAnswer {
        success: found,
        error: (!found).then(|| "No tool of this session does any of this".to_owned()),
        next_steps_guidance: steps::guidance(session, found, &statuses, &tool_schemas, &picks),
        results,
        tool_schemas,
        toolkit_connection_statuses: statuses,
        session: task(request.task),
        time_info: time_info(session),
    })
}

fn result(
    index: usize,
    asked: UseCase,
    pick: &Pick<'_>,
    session: &Session,
    connections: &Connections,
    noted: &BTreeMap<String, Vec<String>>,
) -> SearchResult {
    let mut toolkits: Vec<String> = Vec::new();
    for item in &pick.primary {
        let slug = item.toolkit();
        if !toolkits.iter().any(|known| known == slug) {
            toolkits.push(slug.to_owned());
        }
    }
    let mut related: Vec<String> = Vec::new();
    for slug in pick.planned().chain(pick.others.iter().map(Item::slug)) {
        let main = pick.primary.iter().any(|item| item.slug() == slug);
        if !main && related.len() < MAX_RELATED && !related.iter().any(|known| known == slug) {
            related.push(slug.to_owned());
        }
    }
    let relevant = |slug: &String| {
        slug == memory::GENERAL
            || toolkits.contains(slug)
            || pick.others.iter().any(|item| item.toolkit() == slug)
    };
    let memory = noted.iter().filter(|(slug, _)| relevant(slug));
    let known = asked.known_fields.as_deref().unwrap_or_default();
    let connected = |item: &Item<'_>| match item {
        Item::App(found) => connections.works(session, found.toolkit),
        Item::Own(..) => true,
    };
    SearchResult {
        index,
        memory: memory.map(|(slug, entries)| (slug.clone(), entries.clone())).collect(),
        error: pick.primary.is_empty().then(|| steps::nothing(session)),
        difficulty: steps::difficulty(pick),
        execution_guidance: steps::in_short(pick),
        known_pitfalls: steps::pitfalls(pick),
        recommended_plan_steps: steps::steps(session, pick, known, connected),
        primary_tool_slugs: pick.primary.iter().map(|item| item.slug().to_owned()).collect(),
        related_tool_slugs: related,
        toolkits,
        use_case: asked.use_case,
    }
}

/// The connections of the toolkits of main tools, in the order of the results.
fn statuses(
    catalog: &Catalog,
    session: &Session,
    custom: &Custom,
    picks: &[Pick<'_>],
    connections: &Connections,
) -> Vec<ConnectionStatus> {
    let mut all: Vec<ConnectionStatus> = Vec::new();
    for item in picks.iter().flat_map(|pick| &pick.primary) {
        let slug = item.toolkit();
        if all.iter().any(|known| known.toolkit == slug) {
            continue;
        }
        match catalog.toolkit(slug) {
            Some(toolkit) => all.push(connections.status(session, toolkit)),
            None => {
                let own = custom.toolkits.iter().find(|toolkit| toolkit.slug == slug);
                all.push(ConnectionStatus {
                    toolkit: slug.to_owned(),
                    description: own.map_or_else(
                        || "Tools of the application itself.".to_owned(),
                        |toolkit| toolkit.description.clone(),
                    ),
                    has_active_connection: true,
                    status_message: "Needs no connection: the application itself runs these tools."
                        .to_owned(),
                    accounts: Vec::new(),
                    account_selection: None,
                    connection_details: None,
                    current_user_info: None,
                });
            }
        }
    }
    all
}

/// The tools of the results. Schemas of main tools are shown as long as they take no more than
/// `most` characters together, the best of each use case first.
fn schemas(most: usize, picks: &[Pick<'_>]) -> BTreeMap<String, ToolSchema> {
    let mut all: BTreeMap<String, ToolSchema> = BTreeMap::new();
    let mut left = most;
    let deepest = picks.iter().map(|pick| pick.primary.len()).max().unwrap_or(0);
    for place in 0..deepest {
        for item in picks.iter().filter_map(|pick| pick.primary.get(place)) {
            if all.contains_key(item.slug()) {
                continue;
            }
            let schema = item.input_schema();
            let size = schema.as_ref().map_or(0, |schema| schema.to_string().len());
            let fits = size <= left;
            left = left.saturating_sub(if fits { size } else { 0 });
            all.insert(item.slug().to_owned(), item.schema(schema.filter(|_| fits)));
        }
    }
    for pick in picks {
        for (slug, toolkit, description) in pick.related() {
            all.entry(slug.to_owned()).or_insert_with(|| find::by_name(slug, toolkit, description));
        }
    }
    all
}

fn task(given: Option<String>) -> TaskSession {
    /// Letters and digits that cannot be mistaken for one another.
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let generate_id = given.is_none();
    let id = given.unwrap_or_else(|| {
        let mut random = rand::rng();
        (0..8).map(|_| LETTERS[random.random_range(0..LETTERS.len())] as char).collect()
    });
    let instructions = format!(
        "Pass session_id \"{id}\" with the meta tools that you call for this task, and session \
         {{\"id\": \"{id}\"}} with further searches for it. For another task, search with \
         {{\"generate_id\": true}}."
    );
    TaskSession { id, generate_id, instructions }
}

fn time_info(session: &Session) -> TimeInfo {
    let at = now();
    let words = at.format("%A, %-d %B %Y, %H:%M UTC");
    let message = match &session.config.user_timezone {
        Some(zone) => format!(
            "It is {words}. The person's time zone is {zone}: read and show times in it, and \
             convert them for tools that want UTC."
        ),
        None => format!("It is {words}. The person's time zone is not known: ask when it matters."),
    };
    TimeInfo { current_time_utc: iso(at), current_time_utc_epoch_seconds: at.timestamp(), message }
}

/// Whether the session may see a tool of a toolkit; what search and plans are held to.
fn allows(
    session: &Session,
    toolkit: &crate::catalog::Toolkit,
    tool: &crate::catalog::Entry,
) -> bool {
    tools::allows(session, toolkit, tool)
}
