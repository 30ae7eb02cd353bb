"""OAuth 2.0 against oidc-provider, in each way that a client may show who it is."""

import os
import pathlib
import uuid

import httpx
import pytest
import support

SECRET = "it: self+/ %&=~secret"


def pem(name: str) -> str:
    return pathlib.Path(os.environ[f"ACME_{name.upper()}"]).read_text()


def config(http, toolkit: str, **credentials) -> str:
    body = {"type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": credentials}
    answer = http.post("/api/v3/auth_configs", json={"toolkit": {"slug": toolkit}, "auth_config": body})
    assert answer.status_code == 201, answer.text
    return answer.json()["auth_config"]["id"]


def initiate(http, config_id: str, user: str, **val) -> httpx.Response:
    connection = {"user_id": user, "state": {"authScheme": "OAUTH2", "val": val}}
    return http.post(
        "/api/v3/connected_accounts",
        json={"auth_config": {"id": config_id}, "connection": connection},
    )


def account(http, account_id: str) -> dict:
    answer = http.get(f"/api/v3/connected_accounts/{account_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def who(http, account_id: str) -> str:
    """Who Acme says that the account is, by the proxy endpoint."""
    answer = http.post(
        "/api/v3/tools/execute/proxy",
        json={"endpoint": "/me", "method": "GET", "connected_account_id": account_id},
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == 200, body
    return body["data"]["user"]


def refresh(http, account_id: str) -> dict:
    answer = http.post(f"/api/v3/connected_accounts/{account_id}/refresh", json={})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def person():
    return f"person-{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize(
    ("toolkit", "credentials"),
    [
        ("acme", {"client_id": "acme-managed", "client_secret": "acme-managed-secret"}),
        ("acme_post", {"client_id": "acme-post", "client_secret": "acme-post-secret"}),
        ("acme_public", {"client_id": "acme-public"}),
        ("acme_key", {"client_id": "acme-es256", "private_key": "es256", "key_id": "es256-1"}),
    ],
)
def test_each_kind_of_client_connects_refreshes_and_revokes(http, env, person, toolkit, credentials):
    if "private_key" in credentials:
        credentials = {**credentials, "private_key": pem(credentials["private_key"])}
    made = initiate(http, config(http, toolkit, **credentials), person)
    assert made.status_code == 201, made.text
    body = made.json()
    url = body["redirect_url"]
    assert ("code_challenge" in support.query_of(url)) == (toolkit != "acme_post")
    page = support.Browser(login=person)
    page.go(url)
    assert account(http, body["id"])["status"] == "ACTIVE", page.page
    assert who(http, body["id"]) == person
    issued = lambda: httpx.get(f"{env.acme}/test/issued", params={"user": person}).json()  # noqa: E731
    before = len(issued()["refresh"])
    for _ in range(2):
        assert refresh(http, body["id"])["status"] == "ACTIVE"
    assert len(issued()["refresh"]) == before + 2, "the refresh token rotates"
    assert who(http, body["id"]) == person
    granted = account(http, body["id"])["state"]["val"]["scope"].split()
    assert "reports:read" in granted and "reports:write" not in granted

    token = issued()["access"][-1]
    assert http.delete(f"/api/v3/connected_accounts/{body['id']}").status_code == 200
    check = lambda: httpx.post(  # noqa: E731
        f"{env.acme}/oauth/token/introspection", data={"token": token}, auth=("acme-api", "acme-api-secret")
    ).json()["active"]
    support.until(lambda: not check())


@pytest.mark.parametrize(
    ("toolkit", "given", "own"),
    [
        ("acme_itself", {"client_id": "acme-itself", "client_secret": SECRET}, {}),
        ("acme_key_itself", {"client_id": "acme-rs256", "private_key": "rs256"}, {}),
        ("acme_own_client", {}, {"client_id": "acme-itself", "client_secret": SECRET}),
    ],
)
def test_a_client_that_acts_for_itself_needs_no_browser(http, env, person, toolkit, given, own):
    if "private_key" in given:
        given = {**given, "private_key": pem(given["private_key"])}
    made = initiate(http, config(http, toolkit, **given), person, **own)
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["status"], body["redirect_url"]) == ("ACTIVE", None)
    client = {**given, **own}["client_id"]
    assert who(http, body["id"]) == client
    assert refresh(http, body["id"]) == {"id": body["id"], "status": "ACTIVE", "redirect_url": None}
    assert who(http, body["id"]) == client
    text = http.get(f"/api/v3/connected_accounts/{body['id']}").text
    assert SECRET not in text and "PRIVATE KEY" not in text
    assert "reports:read" in account(http, body["id"])["state"]["val"]["scope"]


@pytest.mark.parametrize(
    ("toolkit", "credentials"),
    [
        ("acme_itself", {"client_id": "acme-itself", "client_secret": "wrong-secret"}),
        ("acme_key_itself", {"client_id": "acme-rs256", "private_key": "es256"}),
        ("acme_key_itself", {"client_id": "acme-es256", "private_key": "rs256"}),
    ],
)
def test_a_client_that_acme_does_not_know_is_refused_at_once(http, person, toolkit, credentials):
    if "private_key" in credentials:
        credentials = {**credentials, "private_key": pem(credentials["private_key"])}
    refused = initiate(http, config(http, toolkit, **credentials), person)
    assert refused.status_code == 400, refused.text
    assert "wrong-secret" not in refused.text and "PRIVATE KEY" not in refused.text


def test_fewer_scopes_are_shown_as_granted(http, person):
    given = {"client_id": "acme-managed", "client_secret": "acme-managed-secret"}
    made = initiate(http, config(http, "acme", **given, scopes="openid,reports:write"), person).json()
    support.Browser(login=person).go(made["redirect_url"])
    scope = account(http, made["id"])["state"]["val"]["scope"].split()
    assert "reports:write" in scope and "reports:read" not in scope
