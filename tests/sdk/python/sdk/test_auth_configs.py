"""Auth configs through the SDK."""

import pytest
from composio_client import AuthenticationError, BadRequestError, NotFoundError
from conftest import sdk


def test_managed_github_auth_is_made(composio):
    created = composio.auth_configs.create("github", {"type": "use_composio_managed_auth"})
    assert created.id.startswith("ac_")
    assert created.is_composio_managed is True and created.auth_scheme == "OAUTH2"


def test_managed_auth_without_an_operator_client_is_refused_with_a_fix(composio):
    with pytest.raises(BadRequestError) as caught:
        composio.auth_configs.create("notion", {"type": "use_composio_managed_auth"})
    assert caught.value.body["error"]["suggested_fix"]


def test_custom_api_key_auth_is_made(composio):
    created = composio.auth_configs.create("acme", {"type": "use_custom_auth", "auth_scheme": "API_KEY"})
    assert created.id.startswith("ac_")
    assert created.auth_scheme == "API_KEY" and created.is_composio_managed is False


def test_the_list_is_of_one_toolkit_and_pages_to_an_end(composio):
    made = {
        composio.auth_configs.create("stripe", {"type": "use_custom_auth", "auth_scheme": "API_KEY"}).id
        for _ in range(3)
    }
    seen, cursor, pages = [], None, 0
    while True:
        page = composio.auth_configs.list(
            toolkit_slug="stripe", limit=2, **({"cursor": cursor} if cursor else {})
        )
        assert all(item.toolkit.slug == "stripe" for item in page.items)
        seen += [item.id for item in page.items]
        pages += 1
        assert "next_cursor" in page.model_fields_set
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        assert pages < 50
    assert made <= set(seen) and len(seen) == len(set(seen)) and pages >= 2


def test_a_config_is_read_with_its_secrets_masked(composio):
    id = composio.auth_configs.create(
        "acme",
        {
            "type": "use_custom_auth",
            "auth_scheme": "OAUTH2",
            "name": "Mine",
            "credentials": {"client_id": "my-client-id", "client_secret": "topsecret-value"},
        },
    ).id
    config = composio.auth_configs.get(id)
    assert config.name == "Mine" and config.status == "ENABLED"
    assert config.no_of_connections == 0 and isinstance(config.created_at, str)
    assert config.credentials["client_secret"] == "tops..."
    assert "topsecret-value" not in config.model_dump_json()


def test_a_disabled_config_connects_nobody_until_enabled(composio, user):
    id = composio.auth_configs.create("acme", {"type": "use_composio_managed_auth"}).id
    composio.auth_configs.disable(id)
    assert composio.auth_configs.get(id).status == "DISABLED"
    for attempt in (composio.connected_accounts.initiate, composio.connected_accounts.link):
        with pytest.raises(BadRequestError):
            attempt(user_id=user, auth_config_id=id)
    composio.auth_configs.enable(id)
    assert composio.auth_configs.get(id).status == "ENABLED"
    assert composio.connected_accounts.link(user_id=user, auth_config_id=id).redirect_url


def test_an_update_is_visible_and_a_deleted_config_is_gone(composio):
    id = composio.auth_configs.create(
        "acme",
        {
            "type": "use_custom_auth",
            "auth_scheme": "OAUTH2",
            "credentials": {"client_id": "before", "client_secret": "before-secret"},
        },
    ).id
    composio.auth_configs.update(
        id,
        options={
            "type": "custom",
            "credentials": {"client_id": "after-client", "client_secret": "after-secret", "scopes": "openid"},
        },
    )
    credentials = composio.auth_configs.get(id).credentials
    assert credentials["client_secret"] == "afte..."
    assert "openid" in str(credentials["scopes"])
    composio.auth_configs.delete(id)
    with pytest.raises(NotFoundError):
        composio.auth_configs.get(id)


def test_a_wrong_key_is_an_authentication_error_with_a_request_id():
    with pytest.raises(AuthenticationError) as caught:
        sdk("ak_wrong").auth_configs.list()
    error = caught.value.body["error"]
    assert error["status"] == 401 and error["request_id"]
    if hasattr(caught.value, "request_id"):  # newer releases read it themselves
        assert caught.value.request_id == error["request_id"]
