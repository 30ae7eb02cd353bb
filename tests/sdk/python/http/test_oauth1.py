"""OAuth 1.0a against a provider whose checks are oauthlib's."""

import os

import httpx
import pytest
import support
from test_projects import error_of
from vinyl import CONSUMERS, Vinyl


@pytest.fixture(scope="module")
def vinyl():
    provider = Vinyl(os.environ["VINYL_URL"])
    yield provider
    provider.stop()


@pytest.fixture
def config(http, vinyl):
    def make(key="vinyl-key", secret=None):
        answer = http.post(
            "/api/v3/auth_configs",
            json={
                "toolkit": {"slug": "vinyl"},
                "auth_config": {
                    "type": "use_custom_auth",
                    "authScheme": "OAUTH1",
                    "credentials": {"consumer_key": key, "consumer_secret": secret or CONSUMERS[key]},
                },
            },
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["auth_config"]["id"]

    return make


def begin(http, config, user, **connection):
    return http.post(
        "/api/v3/connected_accounts",
        json={"auth_config": {"id": config}, "connection": {"user_id": user, **connection}},
    )


@pytest.fixture
def connected(http, config, user):
    answer = begin(http, config(), user, callback_url="https://app.example/done")
    assert answer.status_code == 201, answer.text
    started = answer.json()
    end = support.Browser().go(started["redirect_url"])
    assert support.query_of(end)["status"] == "success", end
    return started["id"]


def run(http, tool, account, **arguments):
    answer = http.post(
        f"/api/v3/tools/execute/{tool}", json={"connected_account_id": account, "arguments": arguments}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_three_legs_and_the_signature_of_every_kind_of_request(http, vinyl, connected):
    account = http.get(f"/api/v3/connected_accounts/{connected}").json()
    assert account["status"] == "ACTIVE"
    assert account["state"]["val"]["collector"] == "DJ"
    token, (secret, _) = next(iter(vinyl.validator.accesses.items()))
    assert token not in str(account) and secret not in str(account)

    words = "a b+c&d=é/%~*'()!"
    done = run(http, "VINYL_LIST_RECORDS", connected, words=words, labels=["x y", "z"])
    assert done["successful"], done
    assert vinyl.calls[-1]["query"] == {"q": [words], "label": ["x y", "z"]}
    done = run(http, "VINYL_ADD_RECORD", connected, title=words, note="ü = 2")
    assert done["successful"], done
    done = run(http, "VINYL_RATE_RECORD", connected, id="a b:ü", stars=5)
    assert done["successful"], done
    assert vinyl.calls[-1]["path"].encode("latin-1").decode() == "/api/records/a b:ü"


def test_requests_of_the_proxy_are_signed(http, vinyl, connected):
    for body in (
        {"endpoint": "/records?q=1&q=2", "method": "GET", "parameters": [{"name": "a b", "value": "c d", "type": "query"}]},
        {"endpoint": "/records", "method": "POST", "body": {"title": "x"}},
        {
            "endpoint": "/records",
            "method": "POST",
            "body": {"title": "x y"},
            "parameters": [{"name": "Content-Type", "value": "application/x-www-form-urlencoded", "type": "header"}],
        },
    ):
        answer = http.post("/api/v3/tools/execute/proxy", json={"connected_account_id": connected, **body})
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == 200, (body, answer.text)


def test_a_token_that_the_provider_forgot_is_a_failed_call(http, vinyl, connected):
    vinyl.forget_tokens()
    done = run(http, "VINYL_LIST_RECORDS", connected, words="x")
    assert not done["successful"] and "signature" in done["error"], done


def test_saying_no_is_a_failed_connection(http, config, user):
    started = begin(http, config(), user, callback_url="https://app.example/done").json()
    end = support.Browser().go(started["redirect_url"], deny=True)
    assert support.query_of(end)["status"] == "failed", end
    account = http.get(f"/api/v3/connected_accounts/{started['id']}").json()
    assert account["status"] == "FAILED" and "denied" in account["status_reason"]


def test_a_wrong_consumer_is_refused_before_anything_is_stored(http, config, user):
    error_of(begin(http, config("unknown-key", "secret"), user), 400)
    error_of(begin(http, config("vinyl-key", "wrong"), user), 400)


def test_a_callback_is_good_for_its_own_request_and_once(http, env, vinyl, config, user):
    made = config()
    first, second = (begin(http, made, user).json() for _ in range(2))
    callbacks = []
    for started in (first, second):
        token = support.query_of(started["redirect_url"])["oauth_token"]
        answer = httpx.post(
            f"{os.environ['VINYL_URL']}/oauth/authorize", params={"oauth_token": token}, data={"action": "allow"}
        )
        assert answer.status_code == 302, answer.text
        callbacks.append(answer.headers["location"])
    # The second consent with the first one's state.
    mixed = support.query_of(callbacks[1]) | {"state": support.query_of(callbacks[0])["state"]}
    httpx.get(f"{env.base}/api/v3/toolkits/auth/callback", params=mixed)
    status = lambda started: http.get(f"/api/v3/connected_accounts/{started['id']}").json()["status"]  # noqa: E731
    assert status(first) == "FAILED"
    assert httpx.get(callbacks[1]).status_code == 200
    assert status(second) == "ACTIVE"
    error_of(httpx.get(callbacks[1]), 400)


def test_tokens_are_imported(http, vinyl, config, connected, user):
    token, (secret, _) = list(vinyl.validator.accesses.items())[-1]
    state = {"authScheme": "OAUTH1", "val": {"status": "ACTIVE", "oauth_token": token, "oauth_token_secret": secret}}
    made = begin(http, config(), user, state=state)
    assert made.status_code == 201 and made.json()["status"] == "ACTIVE", made.text
    assert run(http, "VINYL_LIST_RECORDS", made.json()["id"], words="x")["successful"]
