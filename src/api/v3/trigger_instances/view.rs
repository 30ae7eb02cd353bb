//! How trigger instances are shown.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::cache::Instance;
use crate::db::trigger_instance::Listed;
use crate::domain::id::{ProjectId, uuid_of};
use crate::domain::page::Page;
use crate::domain::status::AccountStatus;
use crate::domain::time::iso;
use crate::domain::trigger::HookState;
use crate::error::Result;
use crate::trigger::endpoint::{self, Standing};
use crate::trigger::hook::{self, EXPIRES};

/// A page of trigger instances.
pub type TriggerInstancePage = Page<TriggerInstance>;

/// How an instance goes.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriggerHealth {
    /// `active`, `disabled`, or `waiting`: its account cannot be used, or its app has no URL to call.
    status: &'static str,
    /// Who disabled it: `user` or `server`.
    disabled_by: Option<String>,
    /// Why.
    disabled_reason: Option<String>,
    /// State of its account; null when that is deleted.
    account_status: Option<AccountStatus>,
    /// How its webhook stands at the provider.
    registration: HookState,
    /// What is kept of the provider's answer to that.
    #[schema(value_type = Object)]
    registration_data: Map<String, Value>,
    /// When the provider last took the webhook, or an app's call was last verified.
    registered_at: Option<String>,
    /// When the registration ends at the provider.
    registration_expires_at: Option<String>,
    /// When it is renewed, tried again or removed.
    registration_due_at: Option<String>,
    /// Why the provider does not call, and what is to be done about it.
    registration_error: Option<String>,
    /// When the provider was last asked.
    last_poll_at: Option<String>,
    /// When that last went well.
    last_successful_poll_at: Option<String>,
    /// When it is asked next.
    next_poll_at: Option<String>,
    /// Seconds between two polls.
    poll_interval_s: Option<i32>,
    /// When its last event came, of those that are kept.
    last_event_at: Option<String>,
    /// What last went wrong on its way in.
    last_error: Option<String>,
    /// When.
    last_error_at: Option<String>,
    /// Failures in a row: of polls, or of registering, renewing and removing.
    consecutive_failures: i32,
    /// The URL to enter at the provider, when that is done by hand. Whoever has it can call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
    /// The secret to enter at the provider with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
}

/// Kept for older clients.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriggerInstanceDeprecated {
    /// When it was made.
    #[serde(rename = "createdAt")]
    created_at: String,
}

/// A trigger instance.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriggerInstance {
    /// Trigger instance id.
    id: String,
    /// A stable UUID-shaped form of the id.
    uuid: String,
    /// Its account.
    connected_account_id: String,
    /// As `connected_account_id`.
    #[serde(rename = "connectedAccountId")]
    connected_account_id_camel: String,
    /// A stable UUID-shaped form of the account's id.
    connected_account_uuid: String,
    /// Auth config of the account.
    auth_config_id: String,
    /// User of the account.
    user_id: String,
    /// Trigger type.
    trigger_name: String,
    /// As `trigger_name`.
    #[serde(rename = "triggerName")]
    trigger_name_camel: String,
    /// Slug of its toolkit.
    toolkit_slug: String,
    /// `webhook` or `poll`.
    #[serde(rename = "type")]
    kind: String,
    /// Version of the toolkit.
    version: String,
    /// Config, with defaults.
    #[schema(value_type = Object)]
    trigger_config: Map<String, Value>,
    /// As `trigger_config`.
    #[serde(rename = "triggerConfig")]
    #[schema(value_type = Object)]
    trigger_config_camel: Map<String, Value>,
    /// Always empty.
    trigger_data: &'static str,
    /// How it goes.
    state: TriggerHealth,
    /// When it last changed.
    updated_at: String,
    /// As `updated_at`.
    #[serde(rename = "updatedAt")]
    updated_at_camel: String,
    /// Since when it is disabled; null when it is not.
    disabled_at: Option<String>,
    /// As `disabled_at`.
    #[serde(rename = "disabledAt")]
    disabled_at_camel: Option<String>,
    /// Always null: events go to the project's webhook subscriptions.
    egress_url: Option<String>,
    deprecated: TriggerInstanceDeprecated,
}

/// What a person has to do for an app to call.
fn to_do(standing: &Standing, toolkit: &str) -> Option<String> {
    match standing {
        Standing::Heard(_) => None,
        Standing::Missing => Some(format!(
            "The app has no URL to call: make one with POST /api/v3.1/webhook_endpoints (toolkit_slug \
             {toolkit} and the app's client_id), and enter its webhook_url at the provider"
        )),
        Standing::Unheard(id) => Some(format!(
            "The app has not called yet: enter the webhook_url of the webhook endpoint {id} at the \
             provider, and the app's setup_fields at the endpoint"
        )),
    }
}

/// Instances as the API shows them.
///
/// # Errors
/// When the database is away.
pub async fn instances(
    app: &App,
    project: &ProjectId,
    page: Page<Listed>,
) -> Result<TriggerInstancePage> {
    let mut standings = endpoint::standings(app, project, &page.items).await?;
    Ok(page.map(|listed| {
        let standing = standings.remove(&listed.row.id);
        instance(app, listed, standing, None)
    }))
}

/// An instance as the API shows it; with its secrets when a person needs them.
pub fn instance(
    app: &App,
    listed: Listed,
    standing: Option<Standing>,
    opened: Option<&Instance>,
) -> TriggerInstance {
    let Listed { row, .. } = listed;
    let at = |time: Option<DateTime<Utc>>| time.map(iso);
    let usable = listed.account_status == Some(AccountStatus::Active)
        && listed.account_disabled != Some(true);
    let mut registration_data = row.registration.0;
    let expires = registration_data.remove(EXPIRES);
    let to_do = standing.as_ref().and_then(|standing| to_do(standing, &row.toolkit_slug));
    let state = TriggerHealth {
        status: match row.disabled_at {
            Some(_) => "disabled",
            None if !usable || standing == Some(Standing::Missing) => "waiting",
            None => "active",
        },
        disabled_by: row.disabled_by.filter(|_| row.disabled_at.is_some()),
        disabled_reason: row.disabled_reason,
        account_status: listed.account_status,
        registration: match standing {
            Some(Standing::Heard(_)) => HookState::Registered,
            _ => row.hook_state,
        },
        registration_data,
        registered_at: at(match standing {
            Some(Standing::Heard(at)) => Some(at),
            _ => row.registered_at,
        }),
        registration_expires_at: expires.and_then(|e| e.as_str().map(str::to_owned)),
        registration_due_at: at(row.hook_due),
        registration_error: row.hook_error.or(to_do),
        last_poll_at: at(listed.poll_last_at),
        last_successful_poll_at: at(listed.poll_last_ok_at),
        next_poll_at: at(listed.poll_next_at.filter(|_| row.disabled_at.is_none())),
        poll_interval_s: listed.poll_interval_s,
        last_event_at: at(listed.last_event_at),
        last_error: listed.poll_last_error.or(row.last_error),
        last_error_at: at(row.last_error_at),
        consecutive_failures: listed.poll_failures.unwrap_or(row.hook_attempts),
        webhook_url: opened.and_then(|opened| hook::url(app, opened)),
        webhook_secret: opened.and_then(|opened| opened.key("secret")).map(str::to_owned),
    };
    let (id, account) = (row.id.to_string(), row.account_id.to_string());
    let (updated, disabled) = (iso(row.updated_at), at(row.disabled_at));
    TriggerInstance {
        uuid: uuid_of(&id),
        id,
        connected_account_uuid: uuid_of(&account),
        connected_account_id_camel: account.clone(),
        connected_account_id: account,
        auth_config_id: row.auth_config_id.to_string(),
        user_id: row.user_id,
        trigger_name_camel: row.slug.clone(),
        trigger_name: row.slug,
        toolkit_slug: row.toolkit_slug,
        kind: row.kind,
        version: row.toolkit_version,
        trigger_config_camel: row.config.0.clone(),
        trigger_config: row.config.0,
        trigger_data: "",
        state,
        updated_at_camel: updated.clone(),
        updated_at: updated,
        disabled_at_camel: disabled.clone(),
        disabled_at: disabled,
        egress_url: None,
        deprecated: TriggerInstanceDeprecated { created_at: iso(row.created_at) },
    }
}
