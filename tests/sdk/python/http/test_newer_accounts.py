"""What only newer releases of the SDK can say about connected accounts."""

import httpx
import pytest
from composio import exceptions
from composio_client import BadRequestError, ConflictError, NotFoundError
from conftest import sdk
from support import Browser, query_of

VERSION = "20250909_00"
VERIFIER = "https://app.example/verify"


def who(composio, user, **options):
    return composio.tools.execute("ACME_WHO_AM_I", {}, user_id=user, version=VERSION, **options)


def test_a_revoked_account_is_dead_here_and_at_the_provider(composio, env, connect_oauth, user):
    id = connect_oauth(user)
    assert composio.connected_accounts.get(id).identity["label"] == user
    result = composio.connected_accounts.revoke(id)
    assert {str(getattr(t, "value", t)) for t in result.revoked_tokens} == {"access_token", "refresh_token"}
    assert result.connected_account.id == id
    account = composio.connected_accounts.get(id)
    assert account.status == "REVOKED" and account.status_reason
    with pytest.raises(BadRequestError):
        who(composio, user, connected_account_id=id)
    assert composio.connected_accounts.revoke(id).revoked_tokens == []


def test_what_cannot_be_revoked_is_an_error_of_its_own(composio, env, auth_config, connect, user):
    with pytest.raises(exceptions.ComposioConnectedAccountRevocationNotSupportedError):
        composio.connected_accounts.revoke(connect(user))
    request = composio.connected_accounts.link(user, auth_config("acme"), callback_url=env.callback)
    with pytest.raises(exceptions.ComposioConnectedAccountNotRevokableError) as caught:
        composio.connected_accounts.revoke(request.id)
    assert isinstance(caught.value.__cause__, ConflictError)


def test_a_shared_account_is_for_whom_its_list_says(composio, env, auth_config, connect, user):
    private = connect(user)
    with pytest.raises(exceptions.ComposioAclOnlyForSharedError):
        composio.connected_accounts.update_acl(private, allow_all_users=True)
    with pytest.raises(exceptions.ComposioAclOnlyForSharedError):
        composio.connected_accounts.link(
            f"{user}-2", auth_config("acme"), experimental={"acl_config_for_shared": {"allow_all_users": True}}
        )
    owner, guest, other = f"{user}-owner", f"{user}-guest", f"{user}-other"
    request = composio.connected_accounts.link(
        owner,
        auth_config("acme"),
        callback_url=env.callback,
        experimental={"account_type": "SHARED", "acl_config_for_shared": {"allowed_user_ids": [guest]}},
    )
    Browser(login=owner).go(request.redirect_url)
    account = request.wait_for_connection(timeout=5)
    assert account.experimental.account_type == "SHARED"
    assert who(composio, guest, connected_account_id=request.id)["data"] == {"user": owner}
    with pytest.raises(Exception) as caught:
        who(composio, other, connected_account_id=request.id)
    assert caught.value.status_code == 403
    composio.connected_accounts.update_acl(request.id, allow_all_users=True, not_allowed_user_ids=[guest])
    assert who(composio, other, connected_account_id=request.id)["successful"] is True
    with pytest.raises(Exception):
        who(composio, guest, connected_account_id=request.id)
    listed = composio._client.connected_accounts.list(user_ids=[owner])
    assert listed.items == []
    listed = composio._client.connected_accounts.list(user_ids=[owner], account_type="SHARED")
    assert [item.id for item in listed.items] == [request.id]


def test_an_alias_is_set_kept_unique_and_cleared(composio, connect, user):
    first, second = connect(user), connect(user, allow_multiple=True)
    answer = composio.connected_accounts.update(first, alias="work")
    assert (answer.id, answer.status, answer.success) == (first, "ACTIVE", True)
    with pytest.raises(BadRequestError):
        composio.connected_accounts.update(second, alias="work")
    composio.connected_accounts.update(first, alias="")
    composio.connected_accounts.update(second, alias="work")
    assert composio.connected_accounts.get(second).alias == "work"


def test_a_deferred_connection_is_completed_by_the_right_user_once(env, new_project, user):
    project = new_project()
    key = {"x-api-key": project["api_key"]}
    changed = httpx.patch(
        f"{env.base}/api/v3/org/project/config", json={"oauth_callback_verifier_url": VERIFIER}, headers=key
    )
    assert changed.status_code == 200, changed.text
    composio = sdk(project["api_key"])
    config = composio.auth_configs.create("acme", {"type": "use_composio_managed_auth"}).id
    request = composio.connected_accounts.link(user, config, callback_url=env.callback)
    landed = Browser(login=user).go(request.redirect_url)
    assert landed.startswith(f"{VERIFIER}?")
    session = query_of(landed)["session_uri"]
    assert composio.connected_accounts.get(request.id).status == "INITIATED"
    with pytest.raises(NotFoundError):
        composio.connected_accounts.complete_auth(user_id="somebody-else", session_uri=session)
    done = composio.connected_accounts.complete_auth(user_id=user, session_uri=session)
    assert (done.connected_account_id, done.toolkit_slug) == (request.id, "acme")
    assert who(composio, user)["data"] == {"user": user}
    with pytest.raises(NotFoundError):
        composio.connected_accounts.complete_auth(user_id=user, session_uri=session)


def test_a_deletion_that_asks_for_revocation_names_its_job(composio, env, connect_oauth, user):
    id = connect_oauth(user)
    answer = composio._client.connected_accounts.delete(id, revoke_on_delete=True)
    assert answer.success and answer.revoke_job_id
