"""What no SDK can express, over plain HTTP."""

import base64
import time

import httpx
import pytest
import support
from test_projects import error_of


@pytest.fixture(scope="module")
def account(connect):
    connect("wire-user")
    return "wire-user"


def test_an_unfinished_connection_expires_with_a_reason(env):
    """On a second server that gives people two seconds instead of ten minutes."""
    with httpx.Client(base_url=env.short, headers={"x-api-key": env.project_key}, timeout=30) as client:
        config = client.post(
            "/api/v3/auth_configs",
            json={"toolkit": {"slug": "acme"}, "auth_config": {"type": "use_composio_managed_auth"}},
        ).json()["auth_config"]["id"]
        started = client.post(
            "/api/v3/connected_accounts",
            json={"auth_config": {"id": config}, "connection": {"user_id": "late"}},
        ).json()
        link = client.post(
            "/api/v3/connected_accounts/link", json={"auth_config_id": config, "user_id": "late"}
        ).json()

        def ended(id):
            body = client.get(f"/api/v3/connected_accounts/{id}").json()
            return body if body["status"] not in ("INITIATED", "INITIALIZING") else None

        for id in (started["id"], link["connected_account_id"]):
            body = support.until(lambda: ended(id), 90)
            assert body["status"] == "EXPIRED"
            assert body["status_reason"]
        assert support.Browser(login="late").http.get(link["redirect_url"]).status_code in (404, 410)


def test_list_filters_work_comma_joined_and_repeated(http, connect, auth_config, user):
    mine = {connect(user), connect(user + "-2")}
    connect(user + "-3")
    config = auth_config("acme", "API_KEY")

    def ids(params):
        answer = http.get("/api/v3/connected_accounts", params=params)
        assert answer.status_code == 200, answer.text
        return {item["id"] for item in answer.json()["items"]}

    joined = {
        "user_ids": f"{user},{user}-2",
        "statuses": "ACTIVE,FAILED",
        "toolkit_slugs": "acme,github",
        "auth_config_ids": f"{config},ac_other",
    }
    assert ids(joined) == mine
    assert ids([(k, v) for k, joined_v in joined.items() for v in joined_v.split(",")]) == mine
    assert ids({**joined, "statuses": "FAILED"}) == set()
    assert ids({**joined, "toolkit_slugs": "github"}) == set()


@pytest.mark.parametrize("prefix", ["/api/v3", "/api/v3.1"])
def test_the_enumeration_of_tools_is_a_bare_list(http, prefix):
    names = http.get(f"{prefix}/tools/enum").json()
    assert isinstance(names, list) and {"HACKERNEWS_GET_USER", "GITHUB_CREATE_AN_ISSUE"} <= set(names)


def test_execute_without_a_version_is_the_default_version(http, account):
    for version in (None, "00000000_00", "latest", "20250909_00"):
        body = {"user_id": account, "arguments": {}} | ({"version": version} if version else {})
        answer = http.post("/api/v3/tools/execute/ACME_WHO_AM_I", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["successful"] is True and answer.json()["error"] is None
        assert answer.json()["log_id"]
    error = error_of(
        http.post(
            "/api/v3/tools/execute/ACME_WHO_AM_I",
            json={"user_id": account, "arguments": {}, "version": "19990101_00"},
        ),
        404,
    )
    assert "20250909_00" in error["message"] + error.get("suggested_fix", "") + str(error.get("errors"))


def test_entity_id_stands_for_user_id(http, account):
    answer = http.post("/api/v3/tools/execute/ACME_WHO_AM_I", json={"entity_id": account, "arguments": {}})
    assert answer.json()["data"]["user"] == "key-1"


def test_every_problem_of_the_arguments_is_named(http, account):
    error = error_of(
        http.post(
            "/api/v3/tools/execute/ACME_ECHO",
            json={"user_id": account, "arguments": {"count": 11, "channel": {"not": "text"}}},
        ),
        400,
    )
    text = " ".join(error["errors"])
    assert len(error["errors"]) >= 3 and all(name in text for name in ("message", "count", "channel"))


@pytest.mark.parametrize("prefix", ["/api/v3", "/api/v3.1"])
def test_reads_take_versions_by_toolkit_and_refuse_unknown_ones(http, prefix):
    for versions in ({"toolkit_versions": "latest"}, {"toolkit_versions[acme]": "20250909_00"}):
        tool = http.get(f"{prefix}/tools/ACME_ECHO", params=versions)
        assert tool.status_code == 200, tool.text
        assert tool.json()["input_parameters"]["properties"]["message"]["type"] == "string"
    assert http.get(f"{prefix}/tools/ACME_ECHO", params={"toolkit_versions[acme]": "20250909_00"}).json()[
        "version"
    ] == "20250909_00"
    error_of(http.get(f"{prefix}/tools/ACME_ECHO", params={"version": "19990101_00"}), 404)
    error_of(http.get(f"{prefix}/tools/ACME_ECHO", params={"toolkit_versions[acme]": "19990101_00"}), 404)


def proxy(http, account, prefix="/api/v3", **body):
    answer = http.post(f"{prefix}/tools/execute/proxy", json={"connected_account_id": account, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("prefix", ["/api/v3", "/api/v3.1"])
def test_the_proxy_adds_credentials_headers_and_query(env, http, connect, user, prefix):
    account = connect(user)
    for endpoint in ("/echo/deep?own=1", f"{env.acme}/v1/echo/deep?own=1"):
        for place in ("type", "in"):
            answer = proxy(
                http,
                account,
                prefix,
                endpoint=endpoint,
                method="POST",
                body={"a": [1]},
                parameters=[
                    {"name": "X-Note", "value": "hi", place: "header"},
                    {"name": "q", "value": "a b&c", place: "query"},
                ],
            )
            assert answer["status"] == 200
            seen = answer["data"]
            assert seen["user"] == "key-1" and seen["headers"]["x-note"] == "hi"
            assert seen["path"] == "/echo/deep" and seen["query"] == {"own": "1", "q": "a b&c"}
            assert seen["body"].replace(" ", "") == '{"a":[1]}'


def test_the_proxy_passes_on_a_failure_of_the_provider(http, connect, user):
    assert proxy(http, connect(user), endpoint="/status/418", method="GET")["status"] == 418


def test_the_proxy_sends_credentials_to_the_toolkit_alone(env, http, connect, user):
    answer = http.post(
        "/api/v3/tools/execute/proxy",
        json={"connected_account_id": connect(user), "endpoint": f"{env.github}/user", "method": "GET"},
    )
    error_of(answer, 400)


def test_the_proxy_uploads_and_downloads_bytes(http, connect, user):
    account = connect(user)
    content = bytes(range(256))
    seen = proxy(
        http,
        account,
        endpoint="/echo",
        method="PUT",
        binary_body={"base64": base64.b64encode(content).decode(), "content_type": "image/png"},
    )["data"]
    assert base64.b64decode(seen["body_base64"]) == content
    assert seen["headers"]["content-type"] == "image/png"

    binary = proxy(http, account, endpoint="/pixel", method="GET")["binary_data"]
    assert binary["content_type"] == "image/png" and binary["expires_at"]
    fetched = httpx.get(binary["url"])
    assert fetched.status_code == 200 and fetched.content.startswith(b"\x89PNG")
    assert len(fetched.content) == binary["size"]
    # The link is signed: neither its signature nor its name can be changed.
    assert httpx.get(binary["url"][:-1] + ("0" if binary["url"][-1] != "0" else "1")).status_code in (403, 404)


def test_slugs_are_case_sensitive_and_aliases_work(http, account):
    error_of(http.get("/api/v3/tools/acme_echo"), 404)
    error_of(http.post("/api/v3/tools/execute/acme_echo", json={"user_id": account, "arguments": {}}), 404)
    body = http.post(
        "/api/v3/tools/execute/ACME_REPEAT",
        json={"user_id": account, "arguments": {"message": "m", "channelName": "c"}},
    ).json()
    assert body["data"]["query"] == {"channel": "c"}


def test_a_deprecated_tool_says_so(http):
    assert http.get("/api/v3/tools/ACME_OLD_ECHO").json()["is_deprecated"] is True
    assert http.get("/api/v3/tools/ACME_ECHO").json()["is_deprecated"] is False


def test_an_execution_is_found_in_the_logs_without_its_credentials(http, connect, user):
    connect(user)
    log_id = http.post(
        "/api/v3/tools/execute/ACME_ECHO", json={"user_id": user, "arguments": {"message": "for the record"}}
    ).json()["log_id"]

    def found():
        now = int(time.time() * 1000)
        answer = http.post(
            "/api/v3/internal/action_execution/logs",
            json={"cursor": None, "limit": 100, "from": now - 3_600_000, "to": now + 60_000, "case_sensitive": False},
        )
        assert answer.status_code == 200, answer.text
        return log_id in answer.text

    support.until(found, 10)
    detail = http.get(f"/api/v3/internal/action_execution/log/{log_id}")
    assert detail.status_code == 200, detail.text
    assert "for the record" in detail.text and "acme-key-1" not in detail.text


def test_answers_carry_the_rate_limit_and_the_request_id(http):
    answer = http.get("/api/v3/toolkits", headers={"x-request-id": "req-of-mine"})
    assert answer.headers["x-request-id"] == "req-of-mine"
    assert int(answer.headers["x-ratelimit"]) > int(answer.headers["x-ratelimit-remaining"]) >= 0
    assert answer.headers["x-ratelimit-window-size"] == "600s"
