//! Connected accounts.

mod input;
mod shape;

pub(super) use input::SharingBody;
pub(super) use shape::Experimental;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::input::{CompleteBody, CreateBody, LinkBody, PatchBody, RefreshBody, StatusBody};
use self::shape::{AccountInfo, AccountPage, StateInfo};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, OptionalJson, Path, Query, page, query};
use crate::app::AppState;
use crate::connect::{account, activate, find_config, revoke, start, usable_config, verifier};
use crate::credentials;
use crate::db::account::Filter;
use crate::domain::id::{AccountId, uuid_of};
use crate::domain::identity::Identity;
use crate::domain::page::Page;
use crate::domain::sharing::AccountType;
use crate::domain::status::AccountStatus;
use crate::domain::time::iso;
use crate::error::{Error, Result};
use crate::trigger::{self, Going};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(link))
        .routes(routes!(get, patch, delete))
        .routes(routes!(set_status))
        .routes(routes!(refresh))
        .routes(routes!(revoke_account))
        .routes(routes!(complete_auth))
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OrderBy {
    CreatedAt,
    UpdatedAt,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Asc,
    Desc,
}

/// Which accounts a list has, by who may use them.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum TypeFilter {
    #[default]
    Private,
    Shared,
    All,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those of these toolkits.
    #[serde(deserialize_with = "query::list")]
    toolkit_slugs: Vec<String>,
    /// Only those in these states.
    #[serde(deserialize_with = "query::words")]
    statuses: Vec<AccountStatus>,
    /// Only those of these users.
    #[serde(deserialize_with = "query::list")]
    user_ids: Vec<String>,
    /// Only those of these auth configs.
    #[serde(deserialize_with = "query::list")]
    auth_config_ids: Vec<String>,
    /// Only these.
    #[serde(deserialize_with = "query::list")]
    connected_account_ids: Vec<String>,
    /// Order; `created_at` when absent.
    #[serde(deserialize_with = "query::word")]
    #[param(inline)]
    order_by: Option<OrderBy>,
    /// Direction; `desc` when absent.
    #[serde(deserialize_with = "query::word")]
    #[param(inline)]
    order_direction: Option<Direction>,
    /// `PRIVATE` (when absent), `SHARED` or `ALL`.
    #[serde(deserialize_with = "query::word")]
    #[param(inline)]
    account_type: Option<TypeFilter>,
    /// Accounts per page; 20 when absent, at most 1000.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// List connected accounts.
#[utoipa::path(get, path = "/connected_accounts", tag = "connected_accounts",
    operation_id = "getConnectedAccounts", params(ListQuery),
    responses((status = 200, body = AccountPage), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<AccountInfo>>> {
    let request = page(query.limit, query.cursor.as_deref(), 20)?;
    let filter = Filter {
        toolkit_slugs: query.toolkit_slugs.iter().map(|s| s.to_lowercase()).collect(),
        statuses: query.statuses.iter().map(|s| s.as_str().to_owned()).collect(),
        user_ids: query.user_ids,
        auth_config_ids: query.auth_config_ids,
        ids: query.connected_account_ids,
        account_type: match query.account_type.unwrap_or_default() {
            TypeFilter::Private => Some(AccountType::Private),
            TypeFilter::Shared => Some(AccountType::Shared),
            TypeFilter::All => None,
        },
        ascending: matches!(query.order_direction, Some(Direction::Asc)),
        by_updated: matches!(query.order_by, Some(OrderBy::UpdatedAt)),
    };
    let accounts = account::list(&app, &key.project.id, &filter, request).await?;
    Ok(Json(
        accounts
            .map(|(account, config)| shape::info(&app, &key.project, &account, config.as_deref())),
    ))
}

/// Kept for older clients.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedDeprecated {
    /// A stable UUID-shaped form of the id.
    uuid: String,
    /// The same of the auth config's id.
    #[serde(rename = "authConfigUuid")]
    auth_config_uuid: String,
}

/// A new connected account.
#[derive(Debug, Serialize, ToSchema)]
struct Created {
    /// Connected account id.
    id: String,
    /// State.
    status: AccountStatus,
    /// State and fields of the connection.
    #[serde(rename = "connectionData")]
    connection_data: StateInfo,
    /// Where the browser has to go; null when there is nothing left to do.
    redirect_url: Option<String>,
    /// As `redirect_url`.
    #[serde(rename = "redirectUrl")]
    redirect_url_camel: Option<String>,
    /// As `redirect_url`.
    redirect_uri: Option<String>,
    /// Whose account at the provider it is, when that is known already.
    identity: Option<Identity>,
    experimental: Experimental,
    deprecated: CreatedDeprecated,
}

/// Connect an account with credentials that are at hand, or begin to connect it in a browser.
#[utoipa::path(post, path = "/connected_accounts", tag = "connected_accounts",
    operation_id = "postConnectedAccounts", request_body = CreateBody,
    responses((status = 201, body = Created), CommonErrors))]
async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Json<Created>)> {
    let (attempt, hosted) = body.checked()?;
    let started = if hosted {
        start::link(&app, &key.project, attempt).await?
    } else {
        start::initiate(&app, &key.project, attempt).await?
    };
    let account = &started.account;
    let url = started.redirect_url.clone();
    let created = Created {
        id: account.id.to_string(),
        status: account.status,
        connection_data: shape::state(&app, &key.project, account, url.as_deref()),
        redirect_url: url.clone(),
        redirect_url_camel: url.clone(),
        redirect_uri: url,
        identity: account.identity.clone(),
        experimental: Experimental::of(account),
        deprecated: CreatedDeprecated {
            uuid: uuid_of(account.id.as_str()),
            auth_config_uuid: uuid_of(account.auth_config_id.as_str()),
        },
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// A new Connect Link.
#[derive(Debug, Serialize, ToSchema)]
struct LinkInfo {
    /// The link's token.
    link_token: String,
    /// Where to send the person.
    redirect_url: String,
    /// When the link ends.
    expires_at: String,
    /// The account that it connects.
    connected_account_id: String,
    experimental: Experimental,
}

/// Make a Connect Link: a page of this server that connects one account.
#[utoipa::path(post, path = "/connected_accounts/link", tag = "connected_accounts",
    operation_id = "postConnectedAccountsLink", request_body = LinkBody,
    responses((status = 201, body = LinkInfo), CommonErrors))]
async fn link(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<LinkBody>,
) -> Result<(StatusCode, Json<LinkInfo>)> {
    let started = start::link(&app, &key.project, body.checked()?).await?;
    let info = LinkInfo {
        link_token: started.link_token.unwrap_or_default(),
        redirect_url: started.redirect_url.unwrap_or_default(),
        expires_at: iso(started.expires_at),
        connected_account_id: started.account.id.to_string(),
        experimental: Experimental::of(&started.account),
    };
    Ok((StatusCode::CREATED, Json(info)))
}

/// An attempt that was completed.
#[derive(Debug, Serialize, ToSchema)]
struct Completed {
    /// The account, which is ACTIVE now.
    connected_account_id: String,
    /// Its toolkit.
    toolkit_slug: String,
}

/// Complete an attempt that waits for the project's OAuth callback verifier.
#[utoipa::path(post, path = "/connected_accounts/complete_auth", tag = "connected_accounts",
    operation_id = "postConnectedAccountsCompleteAuth", request_body = CompleteBody,
    responses((status = 200, body = Completed), CommonErrors))]
async fn complete_auth(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<CompleteBody>,
) -> Result<Json<Completed>> {
    let mut problems = Vec::new();
    for (name, text) in [("session_uri", &body.session_uri), ("user_id", &body.user_id)] {
        if text.is_empty() {
            problems.push(format!("{name}: must not be empty"));
        }
    }
    if !problems.is_empty() {
        return Err(Error::invalid("Invalid request body", problems));
    }
    // Goes on when the caller hangs up: a code that was spent must not be lost with its answer.
    let worker = app.clone();
    let work = app.tasks.spawn(async move {
        verifier::redeem(&worker, &key.project.id, &body.session_uri, &body.user_id).await
    });
    let finished = work.await.map_err(|e| Error::internal(format!("complete_auth: {e}")))??;
    Ok(Json(Completed {
        connected_account_id: finished.account.id.to_string(),
        toolkit_slug: finished.account.toolkit_slug,
    }))
}

/// One connected account.
#[utoipa::path(get, path = "/connected_accounts/{nanoid}", tag = "connected_accounts",
    operation_id = "getConnectedAccountsByNanoid",
    params(("nanoid" = String, Path, description = "Connected account id")),
    responses((status = 200, body = AccountInfo), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<AccountInfo>> {
    let project = &key.project;
    let account = account::get(&app, &project.id, &AccountId::from(id)).await?;
    let config = app.cache.auth_config(&project.id, &account.auth_config_id).await?;
    Ok(Json(shape::info(&app, project, &account, config.as_deref())))
}

/// A change that was made.
#[derive(Debug, Serialize, ToSchema)]
struct Done {
    /// Always true.
    success: bool,
}

/// A deletion.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedAccount {
    /// Always true.
    success: bool,
    /// Name of the revocation in the server's log; only with `revoke_on_delete=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoke_job_id: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// Whether the provider is told to forget the tokens. When absent it is, unless another account
    /// of the user lives on the same grant.
    #[serde(deserialize_with = "query::flag")]
    revoke_on_delete: Option<bool>,
}

/// Delete a connected account; its tokens are revoked at the provider as well as possible.
#[utoipa::path(delete, path = "/connected_accounts/{nanoid}", tag = "connected_accounts",
    operation_id = "deleteConnectedAccountsByNanoid",
    params(("nanoid" = String, Path, description = "Connected account id"), DeleteQuery),
    responses((status = 200, body = DeletedAccount), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Query(query): Query<DeleteQuery>,
) -> Result<Json<DeletedAccount>> {
    let (project, id) = (&key.project.id, AccountId::from(id));
    // While the credentials are there, providers are told to stop calling.
    trigger::farewell(&app, project, Going::Account(id.clone())).await?;
    let revoke_job_id = account::delete(&app, project, &id, query.revoke_on_delete).await?;
    Ok(Json(DeletedAccount { success: true, revoke_job_id }))
}

/// The account that was revoked.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedAccount {
    /// Connected account id.
    id: String,
    /// State.
    status: AccountStatus,
}

/// A revocation.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedInfo {
    /// What the provider forgot just now: `access_token`, `refresh_token`. Empty when the account
    /// was REVOKED before, or the provider did not answer; it is then asked again later.
    revoked_tokens: Vec<&'static str>,
    connected_account: RevokedAccount,
}

/// Revoke a connected account: it can no longer be used, and the provider is told to forget its
/// tokens.
#[utoipa::path(post, path = "/connected_accounts/{nanoid}/revoke", tag = "connected_accounts",
    operation_id = "postConnectedAccountsByNanoidRevoke",
    params(("nanoid" = String, Path, description = "Connected account id")),
    responses((status = 200, body = RevokedInfo), CommonErrors,
        (status = 409, body = crate::error::wire::ErrorBody,
            description = "The account is not in a state that can be revoked")))]
async fn revoke_account(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<RevokedInfo>> {
    let (project, id) = (&key.project.id, AccountId::from(id));
    if revoke::can_be(&app, project, &id).await? {
        trigger::farewell(&app, project, Going::Grant(id.clone())).await?;
    }
    let revoked = revoke::revoke(&app, project, &id).await?;
    Ok(Json(RevokedInfo {
        revoked_tokens: revoked.tokens,
        connected_account: RevokedAccount {
            id: revoked.account.id.to_string(),
            status: revoked.account.status,
        },
    }))
}

/// A changed account.
#[derive(Debug, Serialize, ToSchema)]
struct Patched {
    /// Connected account id.
    id: String,
    /// State.
    status: AccountStatus,
    /// Always true.
    success: bool,
}

/// Change the alias, the credentials or the access list of a connected account.
#[utoipa::path(patch, path = "/connected_accounts/{nanoid}", tag = "connected_accounts",
    operation_id = "patchConnectedAccountsByNanoid", request_body = PatchBody,
    params(("nanoid" = String, Path, description = "Connected account id")),
    responses((status = 200, body = Patched), CommonErrors))]
async fn patch(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<PatchBody>,
) -> Result<Json<Patched>> {
    let (project, id) = (&key.project.id, AccountId::from(id));
    let account = account::get(&app, project, &id).await?;
    let (patch, kind) = body.checked()?;
    if let Some(kind) = kind.filter(|k| *k != account.scheme) {
        let problem = format!(
            "connection.state.authScheme: is {}, but the account connects by {}",
            kind.as_str(),
            account.scheme.as_str()
        );
        return Err(Error::invalid("Wrong scheme", vec![problem]));
    }
    let config = find_config(&app, project, &account.auth_config_id).await?;
    account::patch(&app, &account, &config, patch).await?;
    let account = account::get(&app, project, &id).await?;
    Ok(Json(Patched { id: account.id.to_string(), status: account.status, success: true }))
}

/// Switch a connected account on or off.
#[utoipa::path(patch, path = "/connected_accounts/{nanoid}/status", tag = "connected_accounts",
    operation_id = "patchConnectedAccountsByNanoIdStatus", request_body = StatusBody,
    params(("nanoid" = String, Path, description = "Connected account id")),
    responses((status = 200, body = Done), CommonErrors))]
async fn set_status(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<StatusBody>,
) -> Result<Json<Done>> {
    account::set_enabled(&app, &key.project.id, &AccountId::from(id), body.enabled).await?;
    Ok(Json(Done { success: true }))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct RefreshQuery {
    /// Where the browser goes in the end, when the person has to consent again.
    #[serde(deserialize_with = "query::text")]
    redirect_url: Option<String>,
}

/// A refreshed account.
#[derive(Debug, Serialize, ToSchema)]
struct Refreshed {
    /// Connected account id.
    id: String,
    /// State.
    status: AccountStatus,
    /// Where the person has to consent again; null when that is not needed.
    redirect_url: Option<String>,
}

/// Refresh the credentials of a connected account.
#[utoipa::path(post, path = "/connected_accounts/{nanoid}/refresh", tag = "connected_accounts",
    operation_id = "postConnectedAccountsByNanoidRefresh", request_body = RefreshBody,
    params(("nanoid" = String, Path, description = "Connected account id"), RefreshQuery),
    responses((status = 200, body = Refreshed), CommonErrors))]
async fn refresh(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Query(query): Query<RefreshQuery>,
    OptionalJson(body): OptionalJson<RefreshBody>,
) -> Result<Json<Refreshed>> {
    let (project, id) = (&key.project.id, AccountId::from(id));
    let account = account::get(&app, project, &id).await?;
    let answer =
        |status, redirect_url| Ok(Json(Refreshed { id: id.to_string(), status, redirect_url }));
    if account.scheme.logs_in() {
        let account = match account.status {
            AccountStatus::Active => {
                credentials::refresh_now(&app, Arc::new(account)).await?.status
            }
            AccountStatus::Expired | AccountStatus::Failed => {
                let config = usable_config(&app, project, &account.auth_config_id).await?;
                activate::again(&app, &config, &account).await?.status
            }
            status => status,
        };
        return answer(account, None);
    }
    if !account.scheme.redirects() {
        return answer(account.status, None);
    }
    let config = find_config(&app, project, &account.auth_config_id).await?;
    if account.status == AccountStatus::Active && credentials::renews(&app, &config, &account)? {
        let account = credentials::refresh_now(&app, Arc::new(account)).await?;
        return answer(account.status, None);
    }
    let callback = query.redirect_url.or(body.redirect_url);
    let started = start::again(&app, &account, &config, callback).await?;
    answer(started.account.status, started.redirect_url)
}
