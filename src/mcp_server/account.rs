//! With which account a tool of a server is executed.

use std::sync::Arc;

use super::served::Served;
use crate::app::App;
use crate::catalog::Toolkit;
use crate::db;
use crate::domain::connection::Account;
use crate::domain::id::AccountId;
use crate::domain::project::OnAmbiguous;
use crate::domain::scheme::AuthSchemeKind;
use crate::error::{Error, Result, codes};

/// Most accounts of one user and toolkit that are looked at.
const MAX_ACCOUNTS: i64 = 100;

/// The account to use; none when the toolkit needs none.
///
/// # Errors
/// 400 when the user has none, or several and the project wants to be asked.
pub async fn choose(app: &App, served: &Served, toolkit: &Toolkit) -> Result<Option<AccountId>> {
    let slug = &toolkit.file.slug;
    if let Some(account) = served.account.as_ref().filter(|a| a.toolkit_slug == *slug) {
        return Ok(Some(account.id.clone()));
    }
    let open = toolkit.scheme(AuthSchemeKind::NoAuth).is_some();
    if open && toolkit.file.auth.len() == 1 {
        return Ok(None);
    }
    let refuses =
        served.project.config.on_ambiguous_account.unwrap_or(app.config.on_ambiguous_account)
            == OnAmbiguous::Refuse;
    match find(app, served, slug).await?.as_slice() {
        [] if open => Ok(None),
        [] => Err(nobody(served, toolkit)),
        [_, _, ..] if refuses => Err(Error::new(
            codes::ACCOUNT_AMBIGUOUS,
            format!("The user has several connected accounts of {}", toolkit.file.name),
        )
        .fix("Name one of them in the URL: connected_account_id=…")),
        [first, ..] => Ok(Some(first.id.clone())),
    }
}

/// The user's accounts of a toolkit that the server uses, newest first. When there is no doubt
/// which one is meant, it is the only one, and the database is not asked.
pub async fn find(app: &App, served: &Served, toolkit: &str) -> Result<Vec<Arc<Account>>> {
    let project = &served.project.id;
    let own: Vec<_> = served.configs.iter().filter(|c| c.toolkit_slug == toolkit).collect();
    let fits = |account: &Account| {
        own.is_empty() || own.iter().any(|config| config.id == account.auth_config_id)
    };
    let newest = app.cache.default_account(project, &served.user_id, toolkit).await?;
    let Some((account, several)) = newest else { return Ok(Vec::new()) };
    if !several {
        return Ok(if fits(&account) { vec![account] } else { Vec::new() });
    }
    let rows =
        db::account::usable_for(&app.db, project, &served.user_id, toolkit, MAX_ACCOUNTS).await?;
    let mut found = Vec::new();
    for row in rows {
        let account = app.vault.open_account(row).await?;
        if fits(&account) {
            found.push(Arc::new(account));
        }
    }
    Ok(found)
}

fn nobody(served: &Served, toolkit: &Toolkit) -> Error {
    let user: String = served.user_id.chars().take(100).collect();
    let slug = &toolkit.file.slug;
    let config = served.configs.iter().find(|c| c.toolkit_slug == *slug);
    let fix = match config {
        _ if served.connects => format!(
            "Call COMPOSIO_INITIATE_CONNECTION with toolkit {slug}, let the user open the link, and \
             call this tool again afterwards"
        ),
        Some(config) => format!(
            "Connect the user first: POST /api/v3/connected_accounts/link with user_id and \
             auth_config_id {}, then call this tool again",
            config.id
        ),
        None => format!(
            "Connect the user first: POST /api/v3/connected_accounts/link with user_id and an auth \
             config of {slug}, then call this tool again"
        ),
    };
    Error::new(
        codes::NO_CONNECTED_ACCOUNT,
        format!("User {user} has no connected account of {}", toolkit.file.name),
    )
    .fix(fix)
}
