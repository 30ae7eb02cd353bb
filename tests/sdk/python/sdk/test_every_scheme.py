"""Items 16 to 25 again, by every scheme: connecting, calling, renewing, revoking."""

import json
import os
import pathlib
import time

import httpx
import pytest
from composio import exceptions
from composio.core.models.connected_accounts import auth_scheme
from composio_client import APIStatusError, BadRequestError, NotFoundError
from conftest import SDK_VERSION
from support import Browser, query_of, until

VERSION = "20250909_00"
LODGE = os.environ["LODGE_URL"]
SECRETS = json.loads(pathlib.Path(os.environ["LODGE_SECRETS"]).read_text())

new_only = pytest.mark.skipif(SDK_VERSION < "0.12", reason="this release has no such call")


def state(scheme, val):
    """A state for a scheme without a helper of the SDK's own."""
    return {"auth_scheme": scheme, "val": {"status": "ACTIVE", **val}}


def with_helper(name):
    def make(val):
        return getattr(auth_scheme, name)(val)

    return make


# Scheme: how the SDK writes it, who the provider says we are, and a value to spoil.
LOGINS = {
    "BASIC_WITH_JWT": (with_helper("basic_with_jwt"), "basic-with-jwt", "password"),
    "GOOGLE_SERVICE_ACCOUNT": (with_helper("google_service_account"), "google-service-account", "credentials_json"),
    "SERVICE_ACCOUNT": (lambda val: state("SERVICE_ACCOUNT", val), "service-account", "installation_id"),
    "BILLCOM_AUTH": (with_helper("billcom_auth"), "billcom", "password"),
    "CALCOM_AUTH": (with_helper("calcom_auth"), "calcom", "client_secret"),
}


def secrets(scheme):
    return dict(SECRETS[scheme.lower()])


def who(composio, user, **options):
    return composio.tools.execute("LODGE_WHO_AM_I", {}, user_id=user, version=VERSION, **options)


def log_in(composio, auth_config, user, scheme):
    return composio.connected_accounts.initiate(
        user_id=user, auth_config_id=auth_config("lodge", scheme), config=LOGINS[scheme][0](secrets(scheme))
    )


@pytest.mark.parametrize("scheme", LOGINS)
def test_a_login_connects_calls_and_logs_in_again(composio, auth_config, user, scheme):
    request = log_in(composio, auth_config, user, scheme)
    assert request.status == "ACTIVE" and request.redirect_url is None
    start = time.monotonic()
    assert request.wait_for_connection(timeout=2).id == request.id
    assert time.monotonic() - start < 2
    name = LOGINS[scheme][1]
    assert who(composio, user)["data"] == {"user": name}
    # No secret comes back.
    shown = composio.connected_accounts.get(request.id).model_dump_json()
    spoiled = LOGINS[scheme][2]
    assert secrets(scheme)[spoiled] not in shown or scheme == "SERVICE_ACCOUNT"
    assert "PRIVATE KEY" not in shown
    # The provider ends the session: the next call gets a new token, and nobody notices.
    before = httpx.get(f"{LODGE}/test/logins").json()[name]
    httpx.get(f"{LODGE}/test/drop", params={"user": name})
    assert who(composio, user)["data"] == {"user": name}
    assert httpx.get(f"{LODGE}/test/logins").json()[name] == before + 1
    composio.connected_accounts.refresh(request.id)
    assert composio.connected_accounts.get(request.id).status == "ACTIVE"
    composio.connected_accounts.disable(request.id)
    with pytest.raises(BadRequestError):
        who(composio, user, connected_account_id=request.id)
    composio.connected_accounts.enable(request.id)
    assert who(composio, user)["successful"] is True
    composio.connected_accounts.delete(request.id)
    with pytest.raises(BadRequestError) as caught:
        who(composio, user)
    assert caught.value.body["error"]["code"] == 1803


@pytest.mark.parametrize("scheme", LOGINS)
def test_wrong_credentials_are_refused_when_connecting(composio, auth_config, user, scheme):
    wrong = secrets(scheme)
    spoiled = LOGINS[scheme][2]
    wrong[spoiled] = wrong[spoiled].replace("BEGIN", "BIGIN") if "BEGIN" in wrong[spoiled] else "13"
    with pytest.raises(BadRequestError) as caught:
        composio.connected_accounts.initiate(
            user_id=user, auth_config_id=auth_config("lodge", scheme), config=LOGINS[scheme][0](wrong)
        )
    assert caught.value.body["error"]["suggested_fix"]
    assert composio.connected_accounts.list(user_ids=[user]).items == []


def test_oauth1_walks_its_three_legs_and_signs_every_request(composio, env, auth_config, user):
    config = auth_config("lodge", "OAUTH1", **SECRETS["oauth1"])
    request = composio.connected_accounts.initiate(user_id=user, auth_config_id=config, callback_url=env.callback)
    landed = query_of(Browser(login=user).go(request.redirect_url))
    assert landed["status"] == "success", landed
    assert request.wait_for_connection(timeout=5).status == "ACTIVE"
    for _ in range(2):
        assert who(composio, user)["data"] == {"user": user}
    assert "consumer-secret" not in composio.connected_accounts.get(request.id).model_dump_json()
    linked = composio.connected_accounts.link(f"{user}-2", config, callback_url=env.callback)
    Browser(login=f"{user}-2").go(linked.redirect_url)
    assert who(composio, f"{user}-2")["data"] == {"user": f"{user}-2"}
    composio.connected_accounts.delete(request.id)
    with pytest.raises(BadRequestError) as caught:
        who(composio, user)
    assert caught.value.body["error"]["code"] == 1803


def test_nothing_is_needed_where_nothing_is_asked(composio, auth_config, user):
    request = composio.connected_accounts.initiate(
        user_id=user, auth_config_id=auth_config("hackernews", "NO_AUTH"), config=auth_scheme.no_auth({})
    )
    assert request.status == "ACTIVE"
    composio.connected_accounts.delete(request.id)


def test_saml_is_answered_with_what_it_is(composio):
    with pytest.raises(APIStatusError) as caught:
        composio.auth_configs.create("acme", {"type": "use_custom_auth", "auth_scheme": "SAML", "credentials": {}})
    assert caught.value.status_code == 501
    assert caught.value.body["error"]["suggested_fix"]


# Remote MCP servers: the address, and who answers.
MCP = {"linear_mcp": "TIDEPOOL_URL", "notion_mcp": "HARBOUR_URL"}


def call_mcp(composio, id):
    """A tool of the MCP server itself, through the proxy."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "whoami", "arguments": {}},
    }
    answer = composio.tools.proxy(endpoint="/", method="POST", body=hello, connected_account_id=id)
    data = answer.data if not isinstance(answer, dict) else answer["data"]
    return data["result"]["content"][0]["text"]


@pytest.mark.parametrize("toolkit", MCP)
def test_a_remote_mcp_server_is_found_registered_with_and_called(composio, env, auth_config, user, toolkit):
    counts = lambda: httpx.get(f"{os.environ[MCP[toolkit]]}/test/counts").json()  # noqa: E731
    config = auth_config(toolkit, "managed", fresh=True)
    before = counts()
    request = composio.connected_accounts.link(user, config, callback_url=env.callback)
    landed = query_of(Browser(login=user).go(request.redirect_url))
    assert landed["status"] == "success", landed
    account = request.wait_for_connection(timeout=5)
    assert account.status == "ACTIVE"
    assert call_mcp(composio, request.id) == user
    # The documented shape, which the SDK reads into its own type.
    val = composio.connected_accounts.get(request.id).state.val
    assert val.status == "ACTIVE" and val.client_id and val.access_token
    # A second person connects with the same client.
    again = composio.connected_accounts.initiate(
        user_id=f"{user}-2", auth_config_id=config, callback_url=env.callback
    )
    Browser(login=f"{user}-2").go(again.redirect_url)
    assert again.wait_for_connection(timeout=5).status == "ACTIVE"
    registered = counts()
    assert composio.connected_accounts.get(again.id).state.val.client_id == val.client_id
    composio.connected_accounts.refresh(request.id)
    assert counts()["refreshes"] == before["refreshes"] + 1
    assert counts()["registrations"] == registered["registrations"]
    assert call_mcp(composio, request.id) == user
    composio.connected_accounts.delete(request.id)
    with pytest.raises(NotFoundError):
        composio.connected_accounts.get(request.id)


@pytest.mark.parametrize("place", MCP.values())
def test_any_remote_mcp_server_is_connected_by_its_address(composio, env, auth_config, user, place):
    server = httpx.URL(os.environ[place]).netloc.decode()
    request = composio.connected_accounts.initiate(
        user_id=user,
        auth_config_id=auth_config("any_mcp", "DCR_OAUTH"),
        callback_url=env.callback,
        config=state("DCR_OAUTH", {"server": server, "status": "INITIALIZING"}),
    )
    landed = query_of(Browser(login=user).go(request.redirect_url))
    assert landed["status"] == "success", landed
    assert request.wait_for_connection(timeout=5).status == "ACTIVE"
    assert call_mcp(composio, request.id) == user
    composio.connected_accounts.refresh(request.id)
    assert call_mcp(composio, request.id) == user


def test_an_mcp_server_must_be_a_public_one(composio, auth_config, user):
    config = auth_config("mcp", "DCR_OAUTH")
    with pytest.raises(BadRequestError) as caught:
        composio.connected_accounts.initiate(
            user_id=user, auth_config_id=config, config=state("DCR_OAUTH", {"server": "169.254.169.254", "status": "INITIALIZING"})
        )
    assert caught.value.body["error"]["suggested_fix"]


FIELDS = {
    ("acme", "OAUTH2"): ({"client_id", "client_secret"}, set()),
    ("acme", "API_KEY"): (set(), {"generic_api_key"}),
    ("acme", "BASIC"): (set(), {"username", "password"}),
    ("lodge", "BASIC_WITH_JWT"): (set(), {"username", "password"}),
    ("lodge", "GOOGLE_SERVICE_ACCOUNT"): (set(), {"credentials_json"}),
    ("lodge", "SERVICE_ACCOUNT"): (set(), {"application_id", "installation_id", "private_key"}),
    ("lodge", "BILLCOM_AUTH"): (set(), {"devKey", "username", "password", "organizationId"}),
    ("lodge", "CALCOM_AUTH"): (set(), {"client_id", "client_secret", "email"}),
    ("notion_mcp", "DCR_OAUTH"): (set(), set()),
    ("mcp", "DCR_OAUTH"): (set(), {"server"}),
}


@pytest.mark.parametrize("toolkit, scheme", FIELDS)
def test_the_fields_that_are_listed_are_the_ones_that_are_needed(composio, toolkit, scheme):
    creation = composio.toolkits.get_auth_config_creation_fields(toolkit, scheme, required_only=True)
    initiation = composio.toolkits.get_connected_account_initiation_fields(toolkit, scheme, required_only=True)
    names = lambda fields: {field.name for field in fields}  # noqa: E731
    assert (names(creation), names(initiation)) == FIELDS[toolkit, scheme]
    # All of them together suffice, and one of them less does not.
    needed = names(creation)
    options = lambda given: {"type": "use_custom_auth", "auth_scheme": scheme, "credentials": given}  # noqa: E731
    config = composio.auth_configs.create(toolkit, options({name: "x" for name in needed}))
    composio.auth_configs.delete(config.id)
    for missing in needed:
        with pytest.raises(BadRequestError) as caught:
            composio.auth_configs.create(toolkit, options({name: "x" for name in needed - {missing}}))
        assert missing in str(caught.value.body)
