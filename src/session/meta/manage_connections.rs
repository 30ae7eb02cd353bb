//! `COMPOSIO_MANAGE_CONNECTIONS`: connecting accounts, and keeping them in order.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Context, Meta, Spec, read};
use crate::catalog::Toolkit;
use crate::connect::account as connected;
use crate::connect::find_config;
use crate::connect::start::{Started, again};
use crate::db;
use crate::domain::connection::Account;
use crate::domain::id::AccountId;
use crate::domain::sharing::AccountType;
use crate::domain::time::iso;
use crate::error::{Error, Result, codes};
use crate::session::account::{by_name, current, needs_none, pins, works};
use crate::session::link::{Wish, allowed, link};

/// Most toolkits in one call.
const MAX_TOOLKITS: usize = 20;

/// Most accounts of a toolkit that are listed.
const MAX_ACCOUNTS: i64 = 50;

pub(super) fn spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_MANAGE_CONNECTIONS",
        name: "Manage connections",
        description: "Connects the user's accounts, and lists, renames or removes them. For every \
            toolkit without an active connection it gives a redirect_url: show it to the user as a \
            link, ask them to finish there, and go on only when the connection is active. A toolkit \
            that is connected already is reported as it is. Use toolkit slugs as a search gave \
            them. Examples: {\"toolkits\": [{\"name\": \"github\"}, {\"name\": \"gmail\"}]}; a \
            second account: {\"toolkits\": [{\"name\": \"gmail\", \"action\": \"add\", \"alias\": \
            \"work\"}]}; {\"toolkits\": [{\"name\": \"gmail\", \"action\": \"list\"}]}",
        input: json!({
            "type": "object",
            "properties": {
                "toolkits": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_TOOLKITS,
                    "description": "Toolkits, and what to do with each.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {
                                "type": "string",
                                "description": "Slug of the toolkit, such as github.",
                            },
                            "action": {
                                "type": "string",
                                "enum": ["add", "list", "rename", "remove"],
                                "default": "add",
                                "description": "add: connect, unless that is done already. list: \
                                    show the accounts. rename: give account_id the alias. remove: \
                                    delete account_id; only when the user asked for that.",
                            },
                            "account_id": {
                                "type": "string",
                                "description": "Id or alias of the account to rename or remove.",
                            },
                            "alias": {
                                "type": "string",
                                "description": "Name for the account, such as work. With add it \
                                    asks for a further account under that name.",
                            },
                        },
                        "required": ["name"],
                    },
                },
                "reinitiate_all": {
                    "type": "boolean",
                    "default": false,
                    "description": "Make new links even for toolkits that are connected. Only when \
                        a connection does not work or the user wants another account.",
                },
                "session_id": {
                    "type": "string",
                    "description": "The session id of the search, when it gave one.",
                },
            },
            "required": ["toolkits"],
        }),
        output: json!({
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "results": {
                    "type": "object",
                    "description": "By toolkit: status (active, initiated, failed, listed, renamed \
                        or removed), redirect_url and instruction, accounts.",
                    "additionalProperties": true,
                },
                "summary": {
                    "type": "object",
                    "properties": {
                        "total_toolkits": {"type": "integer"},
                        "active_connections": {"type": "integer"},
                        "initiated_connections": {"type": "integer"},
                        "failed_connections": {"type": "integer"},
                    },
                },
            },
        }),
        tags: &["openWorldHint", "createHint", "updateHint"],
    });
    &SPEC
}

#[derive(Deserialize)]
struct Arguments {
    toolkits: Vec<Wanted>,
    #[serde(default)]
    reinitiate_all: bool,
}

/// One toolkit, in both forms that clients know.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    Name(String),
    Full(Item),
}

#[derive(Deserialize)]
struct Item {
    #[serde(alias = "toolkit", alias = "slug")]
    name: String,
    #[serde(default)]
    action: Option<String>,
    #[serde(default, alias = "connected_account_id", alias = "account")]
    account_id: Option<String>,
    #[serde(default, alias = "new_alias")]
    alias: Option<String>,
}

impl Wanted {
    fn item(self) -> Item {
        match self {
            Self::Full(item) => item,
            Self::Name(name) => Item { name, action: None, account_id: None, alias: None },
        }
    }
}

pub(super) async fn run(context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    let arguments: Arguments = read(spec().slug, arguments)?;
    let count = arguments.toolkits.len();
    if !(1..=MAX_TOOLKITS).contains(&count) {
        let problem = format!("toolkits: must be 1 to {MAX_TOOLKITS}, and there are {count}");
        let message = format!("Invalid arguments for {}", spec().slug);
        return Err(Error::invalid(message, vec![problem]));
    }
    let mut results = Map::new();
    let (mut active, mut initiated, mut failed) = (0, 0, 0);
    // One after the other: a rename and an addition of the same toolkit have an order.
    for wanted in arguments.toolkits {
        let item = wanted.item();
        let name: String = item.name.trim().to_lowercase().chars().take(100).collect();
        let result = match one(context, item, arguments.reinitiate_all).await {
            Ok(result) => result,
            Err(error) => json!({
                "toolkit": name,
                "status": "failed",
                "error_message": error.message,
                "suggested_fix": error.suggested_fix,
                "errors": error.errors,
            }),
        };
        match result["status"].as_str() {
            Some("active") => active += 1,
            Some("initiated") => initiated += 1,
            Some("failed") => failed += 1,
            _ => {}
        }
        let mut key = name.clone();
        for number in 2.. {
            if !results.contains_key(&key) {
                break;
            }
            key = format!("{name}#{number}");
        }
        results.insert(key, result);
    }
    let message = match (initiated, failed) {
        (0, 0) => "Done; nothing is left for the user to do.".to_owned(),
        (0, failed) => format!("{failed} of {count} failed; see their error_message."),
        (initiated, failed) => format!(
            "{initiated} of {count} wait for the user: show each redirect_url as a link.{}",
            if failed == 0 { String::new() } else { format!(" {failed} failed.") }
        ),
    };
    let error = (failed == count).then(|| format!("{failed} out of {count} toolkits failed"));
    let summary = json!({
        "total_toolkits": count,
        "active_connections": active,
        "initiated_connections": initiated,
        "failed_connections": failed,
    });
    let mut data = Map::new();
    data.insert("message".to_owned(), message.into());
    data.insert("results".to_owned(), results.into());
    data.insert("summary".to_owned(), summary);
    Ok((data, error))
}

async fn one(context: &Context<'_>, item: Item, reinitiate: bool) -> Result<Value> {
    let toolkit = allowed(context.app, context.session, &item.name)?;
    match item.action.as_deref().map(str::trim).unwrap_or("add") {
        "" | "add" | "initiate" | "connect" => add(context, &toolkit, item, reinitiate).await,
        "list" => list(context, &toolkit).await,
        "rename" => rename(context, &toolkit, item).await,
        "remove" | "delete" => remove(context, &toolkit, item).await,
        other => {
            let other: String = other.chars().take(50).collect();
            let problem = format!("action: is {other:?}; must be add, list, rename or remove");
            Err(Error::invalid("Unknown action", vec![problem]))
        }
    }
}

async fn add(
    context: &Context<'_>,
    toolkit: &Toolkit,
    item: Item,
    reinitiate: bool,
) -> Result<Value> {
    let Context { app, project, session, .. } = *context;
    let slug = toolkit.file.slug.as_str();
    if needs_none(toolkit) {
        return Ok(json!({
            "toolkit": slug,
            "status": "active",
            "has_active_connection": true,
            "instruction": "This toolkit needs no connection: execute its tools right away.",
        }));
    }
    let alias = item.alias.map(|alias| alias.trim().to_owned()).filter(|alias| !alias.is_empty());
    let mut accounts = accounts(context, toolkit).await?;
    let ready = match &alias {
        // Asked for by name: another account is no answer.
        Some(alias) => accounts
            .iter()
            .position(|account| account.alias.as_ref() == Some(alias) && works(account)),
        None => match current(app, project, session, toolkit).await? {
            Some(used) if works(&used) => {
                let known = accounts.iter().position(|account| account.id == used.id);
                Some(known.unwrap_or_else(|| {
                    accounts.push(Account::clone(&used));
                    accounts.len() - 1
                }))
            }
            _ => None,
        },
    };
    if let Some(ready) = ready.filter(|_| !reinitiate) {
        let used = &accounts[ready];
        return Ok(json!({
            "toolkit": slug,
            "status": "active",
            "has_active_connection": true,
            "connected_account_id": used.id,
            "created_at": iso(used.created_at),
            "current_user_info": used.identity,
            "accounts": shown(&accounts, Some(&used.id)),
            "instruction": "Connected: execute the toolkit's tools.",
        }));
    }
    let alias = alias.filter(|_| ready.is_none());
    let started = match pins(session, slug).first() {
        // Another account would be of no use to this session.
        Some(pin) => reconnect(context, toolkit, pin).await?,
        None => {
            let wish = Wish { toolkit: slug.to_owned(), alias, ..Wish::default() };
            link(app, project, session, wish).await?
        }
    };
    let name = &toolkit.file.name;
    let wait = if Meta::WaitForConnections.is_offered(session) {
        format!(" Then call {} with it.", Meta::WaitForConnections.slug())
    } else {
        " Go on when they say that it is done.".to_owned()
    };
    if started.redirect_url.is_none() {
        // Connected again without anybody's help.
        return Ok(json!({
            "toolkit": slug,
            "status": "active",
            "has_active_connection": true,
            "was_reinitiated": true,
            "connected_account_id": started.account.id,
            "instruction": "Connected: execute the toolkit's tools.",
        }));
    }
    Ok(json!({
        "toolkit": slug,
        "status": "initiated",
        "has_active_connection": ready.is_some(),
        "was_reinitiated": ready.is_some(),
        "connected_account_id": started.account.id,
        "redirect_url": started.redirect_url,
        "expires_at": iso(started.expires_at),
        "accounts": shown(&accounts, None),
        "instruction": format!(
            "Show redirect_url to the user as a link and ask them to connect {name} there.{wait}"
        ),
    }))
}

/// Sends the person of an account that the configuration names to the provider again.
async fn reconnect(context: &Context<'_>, toolkit: &Toolkit, pin: &str) -> Result<Started> {
    let account = own(context, toolkit, Some(pin.to_owned())).await?;
    let project = &context.project.id;
    let config = find_config(context.app, project, &account.auth_config_id).await?;
    let callback = context.session.config.manage_connections.callback_url.clone();
    again(context.app, &account, &config, callback).await
}

async fn list(context: &Context<'_>, toolkit: &Toolkit) -> Result<Value> {
    let used = current(context.app, context.project, context.session, toolkit).await?;
    let mut accounts = accounts(context, toolkit).await?;
    if let Some(used) = &used
        && !accounts.iter().any(|account| account.id == used.id)
    {
        accounts.push(Account::clone(used));
    }
    let used = used.filter(|used| works(used));
    Ok(json!({
        "toolkit": toolkit.file.slug,
        "status": "listed",
        "has_active_connection": used.is_some() || needs_none(toolkit),
        "accounts": shown(&accounts, used.as_ref().map(|used| &used.id)),
    }))
}

async fn rename(context: &Context<'_>, toolkit: &Toolkit, item: Item) -> Result<Value> {
    let account = own(context, toolkit, item.account_id).await?;
    let Some(alias) = item.alias else {
        let problem = "alias: is required to rename an account; empty takes its name away";
        return Err(Error::invalid("No new name was given", vec![problem.to_owned()]));
    };
    let app = context.app;
    let config = find_config(app, &context.project.id, &account.auth_config_id).await?;
    let patch = connected::Patch { alias: Some(alias), ..connected::Patch::default() };
    connected::patch(app, &account, &config, patch).await?;
    let account = connected::get(app, &context.project.id, &account.id).await?;
    Ok(json!({
        "toolkit": toolkit.file.slug,
        "status": "renamed",
        "connected_account_id": account.id,
        "accounts": shown(&[account], None),
    }))
}

async fn remove(context: &Context<'_>, toolkit: &Toolkit, item: Item) -> Result<Value> {
    if !context.session.config.manage_connections.enable_connection_removal {
        return Err(Error::new(
            codes::SESSION_ACCOUNT_NOT_ALLOWED,
            "The session does not let accounts be removed",
        )
        .fix("Ask the user to remove the account in the application"));
    }
    let account = own(context, toolkit, item.account_id).await?;
    connected::delete(context.app, &context.project.id, &account.id, None).await?;
    Ok(json!({
        "toolkit": toolkit.file.slug,
        "status": "removed",
        "connected_account_id": account.id,
    }))
}

/// The account that a change is for: never one of somebody else, also when the session may use it.
async fn own(
    context: &Context<'_>,
    toolkit: &Toolkit,
    name: Option<String>,
) -> Result<std::sync::Arc<Account>> {
    let Some(name) = name.filter(|name| !name.trim().is_empty()) else {
        let problem = "account_id: is required; action list gives the ids".to_owned();
        return Err(Error::invalid("No account was named", vec![problem]));
    };
    let account = by_name(context.app, context.session, toolkit, name.trim()).await?;
    if account.user_id == context.session.user_id {
        return Ok(account);
    }
    Err(Error::new(
        codes::SESSION_ACCOUNT_NOT_ALLOWED,
        format!("Account {} belongs to somebody else and is only shared", account.id),
    )
    .fix("Only its owner can change it"))
}

/// The accounts of the toolkit that the session may see, newest first.
pub(super) async fn accounts(context: &Context<'_>, toolkit: &Toolkit) -> Result<Vec<Account>> {
    let Context { app, project, session, .. } = *context;
    let slug = toolkit.file.slug.as_str();
    let rows =
        db::account::of_user(&app.db, &project.id, &session.user_id, slug, MAX_ACCOUNTS).await?;
    let pins = pins(session, slug);
    let config = session.config.auth_configs.get(slug);
    let mut accounts = Vec::new();
    for row in rows {
        let is_pinned = pins.iter().any(|pin| pin == row.id.as_str());
        let fits = config.is_none_or(|id| row.auth_config_id.as_str() == id);
        let is_private = row.account_type == AccountType::Private;
        if is_pinned || (pins.is_empty() && fits && is_private) {
            accounts.push(connected::as_of_now(app, app.vault.open_account(row).await?));
        }
    }
    Ok(accounts)
}

/// Accounts as agents see them: nothing of their credentials.
fn shown(accounts: &[Account], used: Option<&AccountId>) -> Vec<Value> {
    let shown = accounts.iter().map(|account| {
        json!({
            "id": account.id,
            "alias": account.alias,
            "status": account.status,
            "status_reason": account.status_reason,
            "is_default": used == Some(&account.id),
            "is_disabled": account.is_disabled,
            "user_info": account.identity,
            "created_at": iso(account.created_at),
        })
    });
    shown.collect()
}
