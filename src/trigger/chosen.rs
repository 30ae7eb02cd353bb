//! Whose account an instance is made for.

use std::sync::Arc;

use crate::app::App;
use crate::catalog::Toolkit;
use crate::connect::{self, account};
use crate::domain::connection::{Account, AuthConfig, Project};
use crate::domain::id::{AccountId, ProjectId};
use crate::domain::status::AccountStatus;
use crate::error::{Error, Result, codes};
use crate::execute::refuses_to_choose;

/// The account that the caller means, usable, with its auth config.
pub(super) async fn account(
    app: &App,
    project: &Project,
    toolkit: &Toolkit,
    account_id: Option<&str>,
    user_id: Option<&str>,
) -> Result<(Arc<Account>, Arc<AuthConfig>)> {
    let slug = &toolkit.file.slug;
    let id = match (account_id.filter(|id| !id.is_empty()), user_id.filter(|id| !id.is_empty())) {
        (Some(id), _) => AccountId::from(id),
        (None, Some(user)) => {
            let found = app.cache.default_account(&project.id, user, slug).await?;
            let Some((account, several)) = found else {
                let user: String = user.chars().take(100).collect();
                return Err(Error::new(
                    codes::NO_CONNECTED_ACCOUNT,
                    format!("No connected account found for user {user:?} and toolkit {slug}"),
                )
                .fix("Connect an account for this user, or pass connected_account_id"));
            };
            if several && refuses_to_choose(app, project) {
                return Err(Error::new(
                    codes::ACCOUNT_AMBIGUOUS,
                    format!("The user has several accounts of {slug}, and none is named"),
                )
                .fix("Pass the connected_account_id of one of them"));
            }
            account.id.clone()
        }
        (None, None) => {
            let problem = "connected_account_id: is required when there is no user_id".to_owned();
            return Err(Error::invalid("A trigger needs a connected account", vec![problem]));
        }
    };
    let (account, config) = usable(app, &project.id, &id).await?;
    if account.toolkit_slug != *slug {
        return Err(Error::new(
            codes::ACCOUNT_MISMATCH,
            format!("The connected account is one of {}, not of {slug}", account.toolkit_slug),
        )
        .fix("Pass an account of the trigger's toolkit"));
    }
    if let Some(user) = user_id.filter(|user| !user.is_empty())
        && !account.sharing.admits(&account.user_id, user)
    {
        return Err(Error::new(
            codes::ACCOUNT_MISMATCH,
            "The connected account belongs to another user than user_id says",
        )
        .fix("Pass the user_id that the account was connected for, or leave it out"));
    }
    Ok((account, config))
}

/// An account that can be used now.
///
/// # Errors
/// 404 when there is none; 400 when it is not ACTIVE or its auth config is disabled.
pub(super) async fn usable(
    app: &App,
    project: &ProjectId,
    id: &AccountId,
) -> Result<(Arc<Account>, Arc<AuthConfig>)> {
    let account = app.cache.read_account(project, id).await?.ok_or_else(|| account::unknown(id))?;
    if account.is_disabled {
        let message = format!("Connected account {id} is disabled");
        return Err(Error::new(codes::ACCOUNT_INACTIVE, message)
            .fix("Enable the account, or use another one"));
    }
    if account.status != AccountStatus::Active {
        let message = format!("Connected account {id} is {}", account.status.as_str());
        return Err(Error::new(codes::ACCOUNT_NOT_ACTIVE, message)
            .fix("Let the user connect the account, then set the trigger up again"));
    }
    let config = connect::usable_config(app, project, &account.auth_config_id).await?;
    Ok((account, config))
}
