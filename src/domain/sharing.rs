//! Who besides its owner may use a connected account.

use serde::{Deserialize, Serialize};

/// Whether an account is its owner's alone.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum AccountType {
    /// Only the user that it was connected for.
    #[default]
    Private,
    /// Further users, as its access list says, when the account is named.
    Shared,
}

impl AccountType {
    /// The API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "PRIVATE",
            Self::Shared => "SHARED",
        }
    }
}

/// Access list of a SHARED account, in the API's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Acl {
    /// Every user of the project may use it.
    pub allow_all_users: bool,
    /// These users may use it.
    pub allowed_user_ids: Vec<String>,
    /// These users may not, whatever else is said.
    pub not_allowed_user_ids: Vec<String>,
}

/// Type and access list of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Whether it is its owner's alone.
    pub account_type: AccountType,
    /// Who else may use it, when it is not.
    pub acl: Acl,
}

impl Sharing {
    /// Whether `caller` may use an account of `owner`. The owner always may; for others the deny
    /// list wins, then everybody, then the allow list; nobody otherwise.
    pub fn admits(&self, owner: &str, caller: &str) -> bool {
        if owner == caller {
            return true;
        }
        let listed = |list: &[String]| list.iter().any(|user| user == caller);
        self.account_type == AccountType::Shared
            && !listed(&self.acl.not_allowed_user_ids)
            && (self.acl.allow_all_users || listed(&self.acl.allowed_user_ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denial_wins_and_nobody_else_is_let_in_by_default() {
        let users = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let shared = |all, allowed: &[&str], denied: &[&str]| Sharing {
            account_type: AccountType::Shared,
            acl: Acl {
                allow_all_users: all,
                allowed_user_ids: users(allowed),
                not_allowed_user_ids: users(denied),
            },
        };
        for (sharing, caller, expected) in [
            (shared(false, &[], &[]), "owner", true),
            (shared(false, &[], &[]), "bob", false),
            (shared(true, &[], &[]), "bob", true),
            (shared(true, &[], &["bob"]), "bob", false),
            (shared(false, &["bob"], &[]), "bob", true),
            (shared(false, &["bob"], &["bob"]), "bob", false),
            (shared(false, &["bob"], &[]), "eve", false),
            (shared(true, &[], &["owner"]), "owner", true),
        ] {
            assert_eq!(sharing.admits("owner", caller), expected, "{sharing:?} {caller}");
        }
        let private = Sharing { account_type: AccountType::Private, ..shared(true, &["bob"], &[]) };
        assert!(!private.admits("owner", "bob") && private.admits("owner", "owner"));
    }
}
