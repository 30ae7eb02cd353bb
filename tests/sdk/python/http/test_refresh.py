"""What oidc-provider makes of the server's refreshes: it rotates refresh tokens, and ends the whole
grant when one comes twice."""

import httpx
import pytest

CLIENT = ("acme-managed", "acme-managed-secret")


@pytest.fixture
def issued(env, user):
    """The tokens that the provider gave for this user, oldest first."""
    return lambda: httpx.get(f"{env.acme}/test/issued", params={"user": user}).json()


@pytest.fixture
def active(env):
    """Whether the provider takes a token."""

    def introspect(token: str) -> bool:
        answer = httpx.post(
            f"{env.acme}/oauth/token/introspection", auth=("acme-api", "acme-api-secret"), data={"token": token}
        )
        return answer.json()["active"]

    return introspect


@pytest.fixture
def who(http):
    def execute(id: str):
        return http.post(
            "/api/v3/tools/execute/ACME_WHO_AM_I", json={"connected_account_id": id, "arguments": {}}
        )

    return execute


def test_thirty_refreshes_leave_one_refresh_token_that_works(http, connect_oauth, user, issued, active, who):
    id = connect_oauth(user)
    for turn in range(30):
        answer = http.post(f"/api/v3/connected_accounts/{id}/refresh", json={})
        assert answer.status_code == 200 and answer.json()["status"] == "ACTIVE", answer.text
        assert len(issued()["refresh"]) == turn + 2, "one new refresh token each time"
    tokens = issued()
    # A rotated token stays known, so that its reuse is noticed; of all of them one is good.
    assert [active(token) for token in tokens["refresh"]] == [False] * 30 + [True]
    assert active(tokens["access"][-1])
    assert who(id).json()["data"] == {"user": user}


def test_a_refresh_token_that_somebody_else_used_ends_the_account_with_a_reason(
    env, http, connect_oauth, user, issued, active, who
):
    id = connect_oauth(user)
    http.post(f"/api/v3/connected_accounts/{id}/refresh", json={})
    stolen = issued()["refresh"][0]
    answer = httpx.post(
        f"{env.acme}/oauth/token", auth=CLIENT, data={"grant_type": "refresh_token", "refresh_token": stolen}
    )
    assert answer.json()["error"] == "invalid_grant"
    tokens = issued()
    assert not any(active(token) for token in tokens["access"] + tokens["refresh"]), "the grant is over"
    assert who(id).json().get("successful") is not True
    account = http.get(f"/api/v3/connected_accounts/{id}").json()
    assert account["status"] == "EXPIRED"
    assert "invalid_grant" in account["status_reason"]
    assert not any(token in account["status_reason"] for token in tokens["refresh"])
    # Nothing is asked of the provider any more.
    before = len(issued()["access"])
    assert who(id).status_code == 400
    assert len(issued()["access"]) == before


def test_a_deleted_account_leaves_no_token_behind(http, connect_oauth, user, issued, active):
    import support

    id = connect_oauth(user)
    http.post(f"/api/v3/connected_accounts/{id}/refresh", json={})
    tokens = issued()
    assert active(tokens["access"][-1]) and active(tokens["refresh"][-1])
    assert http.delete(f"/api/v3/connected_accounts/{id}").status_code == 200
    support.until(lambda: not any(active(token) for token in tokens["access"] + tokens["refresh"]))
