"""Assertions that a provider of others' making exchanges: oidc-provider, which verifies them by jose."""

import json
import os
import pathlib

import httpx
import pytest
from test_projects import error_of


def key(name):
    return pathlib.Path(os.environ[name]).read_text()


def google_key(**more):
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "robot@acme.example",
            "private_key_id": "k1",
            "private_key": key("ROBOT_RSA_KEY"),
            "token_uri": "http://127.0.0.1:9/elsewhere",
            **more,
        },
        indent=2,
    )


@pytest.fixture
def connect_robot(http, user):
    def connect(scheme, val, **credentials):
        config = http.post(
            "/api/v3/auth_configs",
            json={
                "toolkit": {"slug": "acme"},
                "auth_config": {"type": "use_custom_auth", "authScheme": scheme, "credentials": credentials},
            },
        ).json()["auth_config"]["id"]
        return http.post(
            "/api/v3/connected_accounts",
            json={
                "auth_config": {"id": config},
                "connection": {"user_id": user, "state": {"authScheme": scheme, "val": val}},
            },
        )

    return connect


def who(http, account):
    answer = http.post(
        "/api/v3/tools/execute/ACME_WHO_AM_I", json={"connected_account_id": account, "arguments": {}}
    ).json()
    assert answer["successful"], answer
    return answer["data"]


def test_a_service_account_key_is_exchanged_and_acts_for_whom_it_says(http, connect_robot):
    made = connect_robot("GOOGLE_SERVICE_ACCOUNT", {"credentials_json": google_key()})
    assert made.status_code == 201, made.text
    assert made.json()["status"] == "ACTIVE"
    assert "robot@acme.example" in str(who(http, made.json()["id"]))
    made = connect_robot(
        "GOOGLE_SERVICE_ACCOUNT", {"credentials_json": google_key(), "subject": "boss"}, scopes="openid,reports:read"
    )
    assert "boss" in str(who(http, made.json()["id"]))


def test_an_ec_key_signs_for_a_service_account(http, connect_robot):
    pem = key("ROBOT_EC_KEY")
    for text in (pem, pem.replace("\n", "\\n")):
        val = {"application_id": "robot@acme.example", "installation_id": "i-1", "private_key": text}
        made = connect_robot("SERVICE_ACCOUNT", val)
        assert made.status_code == 201, made.text
        assert "i-1" in str(who(http, made.json()["id"]))


def test_what_jose_refuses_is_refused_at_connect(connect_robot):
    wrong = connect_robot("GOOGLE_SERVICE_ACCOUNT", {"credentials_json": google_key(client_email="else@acme.example")})
    assert "Acme did not accept the credentials: grant request is invalid" in error_of(wrong, 400)["message"]
    val = {"application_id": "robot@acme.example", "installation_id": "i", "private_key": key("ROBOT_RSA_KEY")}
    error_of(connect_robot("SERVICE_ACCOUNT", val), 400)


def test_a_revoked_token_is_made_anew(http, env, connect_robot):
    val = {"application_id": "robot@acme.example", "installation_id": "i-2", "private_key": key("ROBOT_EC_KEY")}
    account = connect_robot("SERVICE_ACCOUNT", val).json()["id"]
    issued = lambda: httpx.get(f"{env.acme}/test/issued", params={"user": "i-2"}).json()["access"]  # noqa: E731
    before = len(issued())
    assert httpx.post(f"{env.acme}/test/drop-access", params={"user": "i-2"}).is_success
    assert "i-2" in str(who(http, account))
    assert len(issued()) == before + 1
