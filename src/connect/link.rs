//! The Connect Link: what its page shows, and what happens when it is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::account::{commit, has_run_out};
use super::activate::{Denied, activate};
use super::callback::Finished;
use super::{fields, scheme, start, ticket, toolkit};
use crate::app::App;
use crate::cache::project_of;
use crate::catalog::fields::{FieldSpec, connect_fields};
use crate::db;
use crate::domain::connection::{Account, AuthConfig, Project, SecretMap};
use crate::domain::status::AccountStatus;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};

/// A link that can be used.
pub struct Link {
    /// Its account.
    pub account: Arc<Account>,
    /// Auth config to connect with.
    pub config: Arc<AuthConfig>,
    /// Whose page this is.
    pub project: Project,
    /// Toolkit's display name.
    pub toolkit_name: String,
    /// Toolkit's logo.
    pub toolkit_logo: Option<String>,
    /// Fields that the person fills in.
    pub fields: Vec<FieldSpec>,
    /// Whether the browser goes on to the provider.
    pub by_browser: bool,
    /// Values given beforehand, by field name. Never those of secret fields.
    pub prefilled: BTreeMap<String, String>,
    given: Map<String, Value>,
    hash: Vec<u8>,
}

/// What sending the page came to.
pub enum Submitted {
    /// Fields are wrong.
    Invalid(Vec<fields::Problem>),
    /// The provider does not accept them, or could not be asked: the text for the person.
    Denied(String),
    /// The browser goes to the provider.
    Provider(String),
    /// The account is connected.
    Done(Box<Finished>),
}

impl Link {
    /// Whether a value for the field was given when the link was made.
    pub fn has_given(&self, field: &FieldSpec) -> bool {
        self.given.iter().any(|(name, value)| field.is_named(name) && value.is_string())
    }
}

/// The error for a link with which too many wrong credentials were tried: it must not help
/// anybody to find out which ones are right.
fn spent() -> Error {
    Error::new(
        codes::LINK_SPENT,
        "Wrong credentials were entered too many times, so this link has been closed",
    )
    .fix(
        "Check your credentials, then go back to the app that sent you here and ask for a new link",
    )
}

/// Opens a link.
///
/// # Errors
/// 404 for one that was never made, 410 for one that was used, is late, or was tried with too
/// many wrong credentials.
pub async fn open(app: &App, token: &str) -> Result<Link> {
    let unknown = || {
        Error::new(codes::LINK_NOT_FOUND, "This link does not exist")
            .fix("Check that the whole link was copied, or ask for a new one")
    };
    let ticket = ticket::find(app, ticket::Kind::Link, token).await?.ok_or_else(unknown)?;
    let account = app
        .cache
        .read_account(&ticket.project_id, &ticket.account_id)
        .await?
        .ok_or_else(unknown)?;
    if ticket.is_used
        || !matches!(account.status, AccountStatus::Initiated | AccountStatus::Expired)
    {
        return Err(used());
    }
    if ticket.expires_at <= now()
        || has_run_out(&account)
        || account.status == AccountStatus::Expired
    {
        return Err(Error::new(codes::LINK_EXPIRED, "This link has expired")
            .fix("Go back to the app that sent you here and start again"));
    }
    if ticket.tries >= app.config.link_max_tries {
        return Err(spent());
    }
    let config = super::usable_config(app, &account.project_id, &account.auth_config_id).await?;
    let project = db::project::get(&app.db, &account.project_id).await?.ok_or_else(unknown)?;
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    let scheme = scheme(&toolkit, account.scheme)?;
    let fields: Vec<FieldSpec> = connect_fields(scheme)
        .into_iter()
        .filter(|f| {
            fields::all_names(scheme, f)
                .iter()
                .all(|n| !config.shared_credentials.0.contains_key(n.as_str()))
        })
        .collect();
    let given = ticket.data;
    let prefilled = fields
        .iter()
        .filter(|f| !f.secret)
        .filter_map(|f| Some((f.name.clone(), fields::value_of(scheme, f, &given)?)))
        .collect();
    Ok(Link {
        toolkit_name: toolkit.file.name.clone(),
        toolkit_logo: toolkit.file.logo.clone(),
        by_browser: scheme.by_browser(),
        account,
        config,
        project: project_of(project),
        fields,
        prefilled,
        given,
        hash: ticket.hash,
    })
}

/// Sends the page: `form` holds the person's fields.
///
/// # Errors
/// As [`open`], for a link that was used meanwhile, or with its last try.
pub async fn submit(app: &App, link: &Link, form: &BTreeMap<String, String>) -> Result<Submitted> {
    let toolkit = toolkit(app, &link.account.project_id, &link.account.toolkit_slug)?;
    let scheme = scheme(&toolkit, link.account.scheme)?;
    // What was given beforehand holds where the person left a field alone.
    let mut given = link.given.clone();
    for field in &link.fields {
        if let Some(text) = form.get(&field.name).map(|t| t.trim()).filter(|t| !t.is_empty()) {
            for name in fields::all_names(scheme, field) {
                given.remove(&name);
            }
            given.insert(field.name.clone(), text.into());
        }
    }
    let state = match fields::collect(scheme, &given, &link.config.shared_credentials) {
        Ok(state) => state,
        Err(problems) => return Ok(Submitted::Invalid(problems)),
    };
    let mut next = Account::clone(&link.account);
    next.state = SecretMap(state);
    let (project, most) = (&link.account.project_id, app.config.link_max_tries);
    // Counted before the provider is asked, so that many at once are not more than one after the
    // other.
    let Some(tries) = db::connect_token::count_try(&app.db, project, &link.hash, most).await?
    else {
        let is_used = db::connect_token::is_consumed(&app.db, project, &link.hash).await?;
        return Err(if is_used { used() } else { spent() });
    };
    let outcome = connect(app, link, next, scheme.by_browser()).await;
    if let Ok(Err(Denied::Refused(_))) = &outcome {
        if tries >= most {
            tracing::warn!(
                account = %link.account.id, %project, tries,
                "too many wrong credentials were tried with a Connect Link; it is closed"
            );
            return Err(spent());
        }
    } else {
        db::connect_token::uncount_try(&app.db, project, &link.hash).await?;
    }
    Ok(outcome?.unwrap_or_else(|denied| Submitted::Denied(denied.text())))
}

fn used() -> Error {
    Error::new(codes::LINK_USED, "This link has been used already")
        .fix("If you still need to connect, ask for a new link")
}

/// Goes on with what the person filled in.
async fn connect(
    app: &App,
    link: &Link,
    mut next: Account,
    by_browser: bool,
) -> Result<std::result::Result<Submitted, Denied>> {
    if by_browser {
        let step = match start::authorization(app, &next, &link.config).await? {
            Ok(step) => step,
            Err(denied) => return Ok(Err(denied)),
        };
        step.mark(&mut next);
        let expires_at = next.attempt_expires_at.unwrap_or_else(|| start::deadline(app));
        let row = app.vault.seal_account(&next).await?;
        let mut tx = app.db.begin().await?;
        if !db::account::update_state(&mut *tx, &row, link.account.state_version).await? {
            return Err(used());
        }
        step.store(app, &mut tx, &next, expires_at).await?;
        commit(app, tx, &next).await?;
        return Ok(Ok(Submitted::Provider(step.url)));
    }
    let next = match activate(app, &link.config, next).await? {
        Ok(ready) => ready,
        Err(denied) => return Ok(Err(denied)),
    };
    let row = app.vault.seal_account(&next).await?;
    let mut tx = app.db.begin().await?;
    let (project, id) = (&next.project_id, &next.id);
    if !db::connect_token::consume(&mut *tx, project, &link.hash).await?
        || !db::account::update_state(&mut *tx, &row, link.account.state_version).await?
    {
        return Err(used());
    }
    db::connect_token::consume_all(&mut *tx, project, id).await?;
    commit(app, tx, &next).await?;
    Ok(Ok(Submitted::Done(Box::new(Finished { account: next, failure: None }))))
}
