//! The toolkits of a session, and with which account each is used.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use crate::app::App;
use crate::catalog::Toolkit;
use crate::db;
use crate::db::session_account::SessionAccountRow;
use crate::domain::page::{Page, PageRequest};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::session::Session;
use crate::error::Result;
use crate::search::words::Words;

/// Which toolkits are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// These; empty: all that the session allows.
    pub slugs: Vec<String>,
    /// Those that can be used at once, or those that cannot.
    pub is_connected: Option<bool>,
    /// Words in slug, name or description.
    pub search: Option<String>,
}

/// A toolkit, and the account that tools of it are executed with.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The toolkit.
    pub toolkit: Arc<Toolkit>,
    /// The account; when none can be used, the newest one that shows why.
    pub account: Option<SessionAccountRow>,
}

/// Whether a toolkit works without credentials.
pub fn is_no_auth(toolkit: &Toolkit) -> bool {
    toolkit.file.auth.iter().any(|auth| auth.scheme == AuthSchemeKind::NoAuth)
}

/// A page of the session's toolkits, those with an account first, then the well-known. One query, whatever the page.
///
/// # Errors
/// The database's.
pub async fn page(
    app: &App,
    session: &Session,
    filter: &Filter,
    request: PageRequest,
) -> Result<Page<Shown>> {
    let named: Vec<String> =
        session.config.connected_accounts.values().filter_map(|ids| ids.first().cloned()).collect();
    let rows =
        db::session_account::candidates(&app.db, &session.project_id, &session.user_id, &named)
            .await?;
    let mut by_toolkit: HashMap<&str, Vec<&SessionAccountRow>> = HashMap::new();
    for row in &rows {
        by_toolkit.entry(row.toolkit_slug.as_str()).or_default().push(row);
    }
    let wanted: Option<Vec<String>> =
        (!filter.slugs.is_empty()).then(|| filter.slugs.iter().map(|s| s.to_lowercase()).collect());
    let catalog = app.catalog(&session.project_id);
    let allowed = catalog.toolkits().iter().filter(|toolkit| {
        let slug = &toolkit.file.slug;
        session.config.allows_toolkit(slug) && wanted.as_ref().is_none_or(|w| w.contains(slug))
    });
    let mut shown: Vec<Shown> = allowed
        .map(|toolkit| {
            let own = by_toolkit.get(toolkit.file.slug.as_str());
            let account = used(session, &toolkit.file.slug, own.map_or(&[], Vec::as_slice));
            Shown { toolkit: toolkit.clone(), account: account.cloned() }
        })
        .filter(|shown| filter.is_connected.is_none_or(|wanted| wanted == is_connected(shown)))
        .collect();
    shown.sort_by_cached_key(|shown| {
        let file = &shown.toolkit.file;
        let popular = file.categories.iter().any(|category| category == "popular");
        let tools = shown.toolkit.tools.len();
        (!is_connected(shown), tools == 0, !popular, Reverse(tools), file.slug.clone())
    });
    if let Some(search) = &filter.search {
        shown = Words::of(search).rank(shown, |shown| &shown.toolkit);
    }
    Ok(Page::cut(shown, request, |shown| shown))
}

fn is_connected(shown: &Shown) -> bool {
    shown.account.as_ref().is_some_and(|account| account.is_usable)
}

/// The account that executions use, by the steps that `session::account` takes; when none can be
/// used, the newest that the same step finds.
fn used<'a>(
    session: &Session,
    toolkit: &str,
    own: &[&'a SessionAccountRow],
) -> Option<&'a SessionAccountRow> {
    if let Some(id) = session.config.connected_accounts.get(toolkit).and_then(|ids| ids.first()) {
        return own.iter().copied().find(|row| row.id.as_str() == id);
    }
    let config = session.config.auth_configs.get(toolkit);
    own.iter()
        .copied()
        .filter(|row| row.user_id == session.user_id)
        .filter(|row| config.is_none_or(|id| row.auth_config_id.as_str() == id))
        .max_by_key(|row| (row.is_usable, row.created_at, Reverse(row.id.clone())))
}
