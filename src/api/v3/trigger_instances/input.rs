//! What callers say about trigger instances. Released clients write the same in two spellings.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::api::extract::page;
use crate::api::extract::query::{self, Versions};
use crate::app::App;
use crate::db::trigger_instance::Filter;
use crate::domain::page::PageRequest;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};
use crate::trigger::{Wanted, unknown_type};

/// What a trigger is set up with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct UpsertBody {
    /// The account; the newest one of `user_id` when absent.
    #[serde(alias = "connectedAccountId")]
    connected_account_id: Option<String>,
    /// Older spelling of `connected_account_id`.
    #[serde(rename = "connectedAuthId", alias = "connected_auth_id")]
    connected_auth_id: Option<String>,
    /// The user whose account it is.
    #[serde(alias = "userId")]
    user_id: Option<String>,
    /// Config, as the trigger type's schema says.
    #[schema(value_type = Option<Object>)]
    trigger_config: Option<Map<String, Value>>,
    /// Older spelling of `trigger_config`.
    #[serde(rename = "triggerConfig")]
    #[schema(value_type = Option<Object>)]
    trigger_config_camel: Option<Map<String, Value>>,
    /// Version of the toolkit: `latest`, or a version per toolkit.
    #[serde(alias = "toolkitVersions")]
    #[schema(value_type = Option<Object>)]
    toolkit_versions: Versions,
    /// Older form of `toolkit_versions`.
    version: Option<String>,
    /// Not supported by this server: events go to the project's webhook subscriptions.
    #[schema(value_type = Option<String>)]
    egress_url: Option<Value>,
}

/// Refuses a URL of its own for the events of an instance.
fn no_egress(url: Option<&Value>) -> Result<()> {
    if url.is_none_or(|url| url.is_null() || url.as_str() == Some("")) {
        return Ok(());
    }
    let message = "This server sends events to webhook subscriptions, not to an egress_url";
    Err(Error::new(codes::NOT_IMPLEMENTED, message).fix(
        "Leave egress_url out and make a subscription with POST /api/v3/webhook_subscriptions",
    ))
}

impl UpsertBody {
    /// What the use case needs.
    pub fn checked(
        self,
        app: &App,
        project: &crate::domain::id::ProjectId,
        slug: String,
    ) -> Result<Wanted> {
        no_egress(self.egress_url.as_ref())?;
        // Slugs are upper case; released clients send what a person typed.
        let known = app.trigger(project, &slug).is_some();
        let slug = if known { slug } else { slug.to_uppercase() };
        let (toolkit, _) = app.trigger(project, &slug).ok_or_else(|| unknown_type(&slug))?;
        let version = self.toolkit_versions.of(toolkit.slug()).map(str::to_owned);
        Ok(Wanted {
            version: version.or(self.version),
            slug,
            account_id: self.connected_account_id.or(self.connected_auth_id),
            user_id: self.user_id,
            config: self.trigger_config.or(self.trigger_config_camel).unwrap_or_default(),
        })
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those of these users.
    #[serde(deserialize_with = "query::list", alias = "userIds")]
    user_ids: Vec<String>,
    /// Only those of these accounts.
    #[serde(deserialize_with = "query::list")]
    connected_account_ids: Vec<String>,
    /// Older spelling of `connected_account_ids`.
    #[serde(deserialize_with = "query::list", rename = "connectedAccountIds")]
    connected_account_ids_camel: Vec<String>,
    /// Only those of accounts of these auth configs.
    #[serde(deserialize_with = "query::list")]
    auth_config_ids: Vec<String>,
    /// Older spelling of `auth_config_ids`.
    #[serde(deserialize_with = "query::list", rename = "authConfigIds")]
    auth_config_ids_camel: Vec<String>,
    /// Only these.
    #[serde(deserialize_with = "query::list")]
    trigger_ids: Vec<String>,
    /// Older spelling of `trigger_ids`.
    #[serde(deserialize_with = "query::list", rename = "triggerIds")]
    trigger_ids_camel: Vec<String>,
    /// Only those of these types, in any case.
    #[serde(deserialize_with = "query::list")]
    trigger_names: Vec<String>,
    /// Older spelling of `trigger_names`.
    #[serde(deserialize_with = "query::list", rename = "triggerNames")]
    trigger_names_camel: Vec<String>,
    /// Only those of these accounts, by the UUID-shaped form of their ids.
    #[serde(deserialize_with = "query::list", rename = "deprecatedConnectedAccountUuids")]
    account_uuids: Vec<String>,
    /// Only those of accounts of these auth configs, by the UUID-shaped form of their ids.
    #[serde(deserialize_with = "query::list", rename = "deprecatedAuthConfigUuids")]
    auth_config_uuids: Vec<String>,
    /// Also those that are disabled.
    #[serde(deserialize_with = "query::flag")]
    show_disabled: Option<bool>,
    /// Older spelling of `show_disabled`.
    #[serde(deserialize_with = "query::flag", rename = "showDisabled")]
    show_disabled_camel: Option<bool>,
    /// Page number from 1; `cursor` wins.
    #[serde(deserialize_with = "query::int")]
    page: Option<i64>,
    /// Instances per page; 20 when absent, at most 1000.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// What is left of a UUID-shaped alias without its version and variant; see `domain::id::uuid_of`.
fn alias(uuid: &str) -> String {
    let digits: String = uuid.chars().filter(char::is_ascii_hexdigit).take(32).collect();
    let digits = digits.to_lowercase();
    match (digits.get(..12), digits.get(20..32)) {
        (Some(first), Some(last)) => format!("{first}{last}"),
        // Matches nothing.
        _ => uuid.to_owned(),
    }
}

impl ListQuery {
    /// Which page.
    pub fn page(&self) -> Result<PageRequest> {
        let request = page(self.limit, self.cursor.as_deref(), 20)?;
        match self.page {
            Some(number) if self.cursor.is_none() => {
                Ok(PageRequest { page: number.clamp(1, 1_000_000), ..request })
            }
            _ => Ok(request),
        }
    }

    /// Which instances.
    pub fn filter(self) -> Filter {
        let both = |mut one: Vec<String>, other: Vec<String>| {
            one.extend(other);
            one
        };
        let names = both(self.trigger_names, self.trigger_names_camel);
        Filter {
            user_ids: self.user_ids,
            account_ids: both(self.connected_account_ids, self.connected_account_ids_camel),
            account_aliases: self.account_uuids.iter().map(|uuid| alias(uuid)).collect(),
            auth_config_ids: both(self.auth_config_ids, self.auth_config_ids_camel),
            auth_config_aliases: self.auth_config_uuids.iter().map(|uuid| alias(uuid)).collect(),
            ids: both(self.trigger_ids, self.trigger_ids_camel),
            slugs: names.iter().map(|name| name.to_uppercase()).collect(),
            with_disabled: self.show_disabled.or(self.show_disabled_camel).unwrap_or(false),
        }
    }
}

/// What is to become of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It goes on.
    Enable,
    /// It pauses.
    Disable,
}

/// A change of an instance.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ManageBody {
    /// What is to become of it.
    status: Option<Status>,
    /// Not supported by this server: events go to the project's webhook subscriptions.
    #[schema(value_type = Option<String>)]
    egress_url: Option<Value>,
}

impl ManageBody {
    /// What the use case needs.
    pub fn checked(self) -> Result<Status> {
        no_egress(self.egress_url.as_ref())?;
        self.status.ok_or_else(|| {
            let problem = "status: is required: enable or disable".to_owned();
            Error::invalid("Nothing to change", vec![problem])
        })
    }
}

/// A time span of an instance's events.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ReplayBody {
    /// ISO 8601: the first moment.
    from: String,
    /// ISO 8601: the moment after the last one; now when absent.
    to: Option<String>,
}

impl ReplayBody {
    /// What the use case needs.
    pub fn checked(self) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
        let read = |name: &str, text: &str| {
            DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(|_| {
                let problem = format!("{name}: is not a time such as 2026-01-31T09:00:00Z");
                Error::invalid("Invalid span of time", vec![problem])
            })
        };
        let to = self.to.as_deref().map(|to| read("to", to)).transpose()?;
        Ok((read("from", &self.from)?, to.unwrap_or_else(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::uuid_of;

    #[test]
    fn aliases_are_compared_without_what_the_version_changed() {
        let uuid = uuid_of("ca_1");
        assert_eq!(alias(&uuid), format!("{}{}", &uuid[..13].replace('-', ""), &uuid[24..]));
        assert_eq!(alias(&uuid.to_uppercase()), alias(&uuid));
        assert_eq!(alias("x"), "x");
    }
}
