//! The end of an account that worked: what its project is told.

use serde_json::json;

use crate::db::event::EventRow;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::id::{EventId, uuid_of};
use crate::domain::status::AccountStatus;
use crate::domain::time::{iso, now};

/// Type of the event.
pub const EXPIRED: &str = "composio.connected_account.expired";

/// The event of an account that has just become EXPIRED. It has the documented shape, which is
/// the one of `GET /connected_accounts/{id}` but for everything that could be a secret: the row
/// is not sealed.
pub fn event(account: &Account, config: &AuthConfig) -> EventRow {
    let (id, at) = (EventId::generate(), now());
    let scheme = account.scheme.as_str();
    let config_id = account.auth_config_id.as_str();
    let status = AccountStatus::Expired.as_str();
    let payload = json!({
        "id": id,
        "type": EXPIRED,
        "metadata": {"project_id": account.project_id, "org_id": null},
        "data": {
            "toolkit": {"slug": account.toolkit_slug},
            "auth_config": {
                "id": config_id,
                "auth_scheme": scheme,
                "is_composio_managed": config.is_managed,
                "is_disabled": !config.is_enabled,
                "deprecated": {"uuid": uuid_of(config_id)},
            },
            "id": account.id,
            "user_id": account.user_id,
            "alias": account.alias,
            "status": status,
            "status_reason": account.status_reason,
            "created_at": iso(account.created_at),
            "updated_at": iso(at),
            "state": {"authScheme": scheme, "val": {"status": status}},
            "data": {},
            "params": {},
            "is_disabled": account.is_disabled,
            "deprecated": {"labels": [], "uuid": uuid_of(account.id.as_str())},
        },
        "timestamp": iso(at),
    });
    EventRow {
        project_id: account.project_id.clone(),
        id,
        kind: EXPIRED.to_owned(),
        subject_id: account.id.to_string(),
        dedupe_key: None,
        payload,
        original: None,
        created_at: at,
    }
}
