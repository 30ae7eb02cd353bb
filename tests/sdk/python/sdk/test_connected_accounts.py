"""Connecting accounts through the SDK, by every scheme and as far as the provider's own pages."""

import concurrent.futures
import contextvars
import time

import httpx
import pytest
from composio import exceptions
from composio.core.models.connected_accounts import auth_scheme
from composio_client import BadRequestError, NotFoundError
from conftest import sdk
from support import Browser, query_of

VERSION = "20250909_00"


def who(composio, user, **options):
    return composio.tools.execute("ACME_WHO_AM_I", {}, user_id=user, version=VERSION, **options)


def issued(env, user):
    return httpx.get(f"{env.acme}/test/issued", params={"user": user}).json()


def revoke(env, token, client="acme-managed"):
    answer = httpx.post(
        f"{env.acme}/oauth/token/revocation", data={"token": token}, auth=(client, f"{client}-secret")
    )
    assert answer.status_code == 200


def test_an_api_key_connects_at_once(composio, auth_config, user):
    request = composio.connected_accounts.initiate(
        user_id=user,
        auth_config_id=auth_config("acme", "API_KEY"),
        config=auth_scheme.api_key({"api_key": "acme-key-2"}),
    )
    assert request.status == "ACTIVE" and request.redirect_url is None
    start = time.monotonic()
    assert request.wait_for_connection(timeout=2).id == request.id
    assert time.monotonic() - start < 2
    assert who(composio, user)["data"] == {"user": "key-2"}


@pytest.mark.parametrize(
    "scheme, config, name",
    [
        ("API_KEY", auth_scheme.api_key({"generic_api_key": "acme-key-1"}), "key-1"),
        ("BEARER_TOKEN", auth_scheme.bearer_token({"token": "acme-bearer-1"}), "bearer-1"),
        ("BASIC", auth_scheme.basic({"username": "acme", "password": "opensesame"}), "basic-acme"),
    ],
    ids=["api-key-by-its-generic-name", "bearer-token", "basic"],
)
def test_every_direct_scheme_reaches_the_provider(composio, auth_config, user, scheme, config, name):
    request = composio.connected_accounts.initiate(
        user_id=user, auth_config_id=auth_config("acme", scheme), config=config
    )
    assert request.status == "ACTIVE"
    assert who(composio, user)["data"] == {"user": name}


def test_secrets_of_an_account_are_masked(composio, connect, user):
    account = composio.connected_accounts.get(connect(user))
    assert "acme-key-1" not in account.model_dump_json()
    assert "acme..." in account.model_dump_json()


def test_initiated_oauth_lands_on_the_callback_with_its_result(composio, env, auth_config, user):
    request = composio.connected_accounts.initiate(
        user_id=user, auth_config_id=auth_config("acme"), callback_url=env.callback
    )
    assert request.redirect_url and request.status in ("INITIATED", "INITIALIZING")
    browser = Browser(login=user)
    landed = query_of(browser.go(request.redirect_url))
    assert any("/api/v3/toolkits/auth/callback?" in url for url in browser.visited)
    assert landed == {
        "keep": "1",
        "also": "a b",
        "status": "success",
        "connectedAccountId": request.id,
        "appName": "acme",
    }
    assert request.wait_for_connection(timeout=5).status == "ACTIVE"
    assert who(composio, user)["data"] == {"user": user}


# Write something, then read it back; MARK is another text each time.
THIRD_PARTIES = {
    "github": (
        "octocat",
        ("GITHUB_CREATE_AN_ISSUE", {"owner": "octocat", "repo": "hello-world", "title": "MARK"}),
        ("GITHUB_LIST_REPOSITORY_ISSUES", {"owner": "octocat", "repo": "hello-world"}),
    ),
    "gmail": (
        "ada@example.com",
        ("GMAIL_SEND_EMAIL", {"recipient_email": "grace@example.com", "subject": "MARK", "body": "It weaves."}),
        ("GMAIL_FETCH_EMAILS", {"max_results": 5}),
    ),
    "googlecalendar": (
        "ada@example.com",
        (
            "GOOGLECALENDAR_CREATE_EVENT",
            {
                "summary": "MARK",
                "start_datetime": "2026-12-01T10:00:00Z",
                "end_datetime": "2026-12-01T11:00:00Z",
            },
        ),
        ("GOOGLECALENDAR_EVENTS_LIST", {}),
    ),
    "slack": (
        "ada",
        ("SLACK_SEND_MESSAGE", {"channel": "general", "text": "MARK"}),
        ("SLACK_FETCH_CONVERSATION_HISTORY", {"channel": "C000000001"}),
    ),
    # Its emulator knows a part of the schema, less than the list tools ask for.
    "linear": (
        "ada@example.com",
        ("LINEAR_RUN_QUERY_OR_MUTATION", {"query_or_mutation": "{ viewer { email } }", "variables": {}}),
        (
            "LINEAR_RUN_QUERY_OR_MUTATION",
            {"query_or_mutation": "{ teams { nodes { name } } }", "variables": {}},
        ),
    ),
}


@pytest.mark.parametrize("toolkit", THIRD_PARTIES)
def test_oauth_at_a_third_partys_emulator_ends_in_executed_tools(composio, env, auth_config, user, toolkit):
    person, write, read = THIRD_PARTIES[toolkit]
    request = composio.connected_accounts.initiate(
        user_id=user, auth_config_id=auth_config(toolkit), callback_url=env.callback
    )
    landed = query_of(Browser(choose=person).go(request.redirect_url))
    assert landed["status"] == "success" and landed["appName"] == toolkit
    assert request.wait_for_connection(timeout=5).status == "ACTIVE"
    for tool, arguments in (write, read):
        marked = {key: user if value == "MARK" else value for key, value in arguments.items()}
        result = composio.tools.execute(tool, marked, user_id=user, version=VERSION)
        assert result["successful"] is True, result
    assert ("Engineering" if toolkit == "linear" else user) in str(result["data"])


def test_an_api_key_reads_and_writes_at_stripe(composio, auth_config, user):
    composio.connected_accounts.initiate(
        user_id=user,
        auth_config_id=auth_config("stripe", "API_KEY"),
        config=auth_scheme.api_key({"api_key": "sk_test_1"}),
    )
    made = composio.tools.execute(
        "STRIPE_CREATE_CUSTOMER", {"email": f"{user}@example.com", "name": "Grace"}, user_id=user, version=VERSION
    )
    assert made["successful"] is True, made
    assert made["data"]["email"] == f"{user}@example.com"


def test_a_link_is_readable_at_once_and_good_for_one_connection(composio, http, env, auth_config, user):
    request = composio.connected_accounts.link(user, auth_config("acme"), callback_url=env.callback)
    assert composio.connected_accounts.get(request.id).status == "INITIATED"
    page = httpx.get(request.redirect_url, follow_redirects=False)
    assert page.status_code in (200, 302, 303)
    landed = query_of(Browser(login=user).go(request.redirect_url))
    assert landed == {"keep": "1", "also": "a b", "status": "success", "connected_account_id": request.id}
    assert request.wait_for_connection(timeout=5).status == "ACTIVE"
    assert httpx.get(request.redirect_url, follow_redirects=False).status_code in (404, 410)
    raw = http.post(
        "/api/v3/connected_accounts/link", json={"auth_config_id": auth_config("acme"), "user_id": user + "-2"}
    ).json()
    assert raw["expires_at"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    assert raw["link_token"] and raw["redirect_url"].startswith(env.base)


def test_a_link_takes_an_api_key_from_its_page(composio, env, auth_config, user):
    request = composio.connected_accounts.link(user, auth_config("acme", "API_KEY"), callback_url=env.callback)
    landed = query_of(Browser(generic_api_key="acme-key-1", api_key="acme-key-1").go(request.redirect_url))
    assert landed["status"] == "success" and landed["connected_account_id"] == request.id
    assert who(composio, user)["data"] == {"user": "key-1"}


def test_a_second_account_needs_allow_multiple(composio, connect, user):
    connect(user)
    with pytest.raises(exceptions.ComposioMultipleConnectedAccountsError):
        connect(user, key="acme-key-2")
    newest = connect(user, key="acme-key-2", allow_multiple=True)
    assert who(composio, user)["data"] == {"user": "key-2"}
    listed = composio.connected_accounts.list(user_ids=[user], statuses=["ACTIVE"]).items
    assert len(listed) == 2 and newest in [item.id for item in listed]


def test_denied_consent_fails_the_connection_with_a_reason(composio, env, auth_config, user):
    request = composio.connected_accounts.link(user, auth_config("acme"), callback_url=env.callback)
    landed = query_of(Browser(login=user).go(request.redirect_url, deny=True))
    assert landed["keep"] == "1" and landed["status"] == "failed"
    account = composio.connected_accounts.get(request.id)
    assert account.status == "FAILED" and account.status_reason
    with pytest.raises((exceptions.SDKError, exceptions.ComposioSDKTimeoutError)):
        request.wait_for_connection(timeout=2)


def test_a_wrong_code_fails_the_connection_and_a_wrong_state_fails_nothing(composio, env, auth_config, user):
    request = composio.connected_accounts.initiate(
        user_id=user, auth_config_id=auth_config("acme"), callback_url=env.callback
    )
    hop = httpx.get(request.redirect_url, follow_redirects=False)
    target = hop.headers["location"] if hop.is_redirect else request.redirect_url
    state = query_of(target if "state=" in target else request.redirect_url)["state"]
    callback = f"{env.base}/api/v3/toolkits/auth/callback"
    forged = httpx.get(callback, params={"state": state[:-3] + "abc", "code": "x"}, follow_redirects=False)
    assert 400 <= forged.status_code < 500
    assert composio.connected_accounts.get(request.id).status in ("INITIATED", "INITIALIZING")
    httpx.get(callback, params={"state": state, "code": "no-such-code"}, follow_redirects=False)
    account = composio.connected_accounts.get(request.id)
    assert account.status == "FAILED" and account.status_reason


def test_a_disabled_account_is_not_used_until_enabled(composio, connect, user):
    id = connect(user)
    composio.connected_accounts.disable(id)
    assert composio.connected_accounts.get(id).is_disabled is True
    with pytest.raises(BadRequestError) as caught:
        who(composio, user, connected_account_id=id)
    assert caught.value.body["error"]["suggested_fix"]
    composio.connected_accounts.enable(id)
    assert composio.connected_accounts.get(id).is_disabled is False
    assert who(composio, user, connected_account_id=id)["successful"] is True


def test_a_refresh_rotates_the_tokens_at_the_provider(composio, env, connect_oauth, user):
    id = connect_oauth(user)
    before = issued(env, user)
    composio.connected_accounts.refresh(id)
    after = issued(env, user)
    assert len(after["access"]) == len(before["access"]) + 1
    assert len(after["refresh"]) == len(before["refresh"]) + 1
    assert composio.connected_accounts.get(id).status == "ACTIVE"
    assert who(composio, user)["data"] == {"user": user}


def test_an_expired_access_token_is_refreshed_before_use(composio, env, auth_config, connect_oauth, user):
    config = auth_config(
        "acme", "OAUTH2", client_id="acme-short", client_secret="acme-short-secret"
    )
    connect_oauth(user, config)
    time.sleep(3)  # its access tokens live for two seconds
    assert who(composio, user)["data"] == {"user": user}
    assert len(issued(env, user)["access"]) >= 2


def test_many_callers_of_an_expired_account_share_one_refresh(
    composio, env, project, auth_config, connect_oauth, user
):
    config = auth_config("acme", "OAUTH2", client_id="acme-short", client_secret="acme-short-secret")
    id = connect_oauth(user, config)
    # Refresh tokens rotate at Acme, and one used twice ends the grant: a second refresh with the
    # same token would lose the account.
    for _ in range(2):
        time.sleep(3)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            # The SDK keeps its switch for telemetry in the context, which threads do not inherit.
            contexts = [contextvars.copy_context() for _ in range(8)]
            results = list(pool.map(lambda context: context.run(who, composio, user), contexts))
        assert [r["data"] for r in results] == [{"user": user}] * 8
    assert composio.connected_accounts.get(id).status == "ACTIVE"


def test_a_revoked_access_token_is_refreshed_after_the_providers_401(composio, env, connect_oauth, user):
    connect_oauth(user)
    assert who(composio, user)["data"] == {"user": user}
    before = issued(env, user)
    httpx.post(f"{env.acme}/test/drop-access", params={"user": user})
    assert who(composio, user)["data"] == {"user": user}
    assert len(issued(env, user)["access"]) == len(before["access"]) + 1


def test_a_revoked_refresh_token_expires_the_account(composio, env, connect_oauth, user):
    id = connect_oauth(user)
    tokens = issued(env, user)
    revoke(env, tokens["refresh"][-1])  # which ends the whole grant at this provider
    try:
        result = who(composio, user)
        assert result["successful"] is False and result["error"]
    except BadRequestError as error:
        assert error.body["error"]["suggested_fix"]
    assert composio.connected_accounts.get(id).status == "EXPIRED"
    with pytest.raises(BadRequestError):
        who(composio, user, connected_account_id=id)


def test_after_a_deletion_there_is_no_account(composio, connect, user):
    id = connect(user)
    assert who(composio, user)["successful"] is True
    composio.connected_accounts.delete(id)
    with pytest.raises(BadRequestError) as caught:
        who(composio, user)
    assert caught.value.body["error"]["code"] == 1803
    with pytest.raises(NotFoundError):
        composio.connected_accounts.get(id)


def test_a_toolkit_is_authorized_by_name(project, new_project, env, user):
    fresh = sdk(new_project()["api_key"])
    request = fresh.toolkits.authorize(user_id=user, toolkit="github")
    end = Browser().go(request.redirect_url)
    assert end.startswith(env.base), "without a callback_url the person stays on a page of the server"
    assert request.wait_for_connection(timeout=5).status == "ACTIVE"
