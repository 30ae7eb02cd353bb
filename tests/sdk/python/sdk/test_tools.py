"""Toolkits, tools, execution and the proxy through the SDK."""

import pytest
from composio import exceptions
from composio_client import BadRequestError, NotFoundError
from conftest import sdk

VERSION = "20250909_00"


def test_toolkits_are_listed_with_their_number_of_tools(composio):
    toolkits = composio.toolkits.get(query={"limit": 1000})
    tools = {toolkit.slug: toolkit.meta.tools_count for toolkit in toolkits}
    wanted = {"github", "gmail", "slack", "linear", "stripe", "hackernews", "acme"}
    assert wanted <= tools.keys()
    assert all(tools[slug] > 0 for slug in wanted)


def test_a_toolkit_tells_what_connecting_it_takes(composio):
    github = composio.toolkits.get("github")
    assert {"OAUTH2", "API_KEY"} <= {detail.mode for detail in github.auth_config_details}
    fields = composio.toolkits.get_connected_account_initiation_fields("acme", "BASIC")
    assert [field.name for field in fields] == ["username", "password"]
    wanted = composio.toolkits.get_auth_config_creation_fields("github", "OAUTH2", required_only=True)
    assert {"client_id", "client_secret"} <= {field.name for field in wanted}
    with pytest.raises(NotFoundError):
        composio.toolkits.get("nope")


def test_categories_have_an_id_and_a_name(composio):
    categories = composio.toolkits.list_categories()
    assert categories and all(category.id and category.name for category in categories)


def test_tools_come_in_the_shape_of_the_provider(composio, user):
    tools = composio.tools.get(user, toolkits=["hackernews"])
    names = [tool["function"]["name"] for tool in tools]
    assert "HACKERNEWS_GET_USER" in names and len(names) <= 20
    assert all(tool["type"] == "function" and tool["function"]["parameters"]["type"] == "object" for tool in tools)
    everything = composio.tools.get(user, toolkits=["github"], limit=9999)
    assert len(everything) > 40
    assert len(composio.tools.get(user, toolkits=["github"], limit=3)) == 3


def test_tools_are_found_by_words_and_by_scope(composio, user):
    found = composio.tools.get(user, search="create issue", toolkits=["github"])
    assert "GITHUB_CREATE_AN_ISSUE" in [tool["function"]["name"] for tool in found]
    # Among all toolkits, in other words than the tool's own, and with a typo.
    found = composio.tools.get(user, search="write an emial to somebody", limit=5)
    assert "GMAIL_SEND_EMAIL" in [tool["function"]["name"] for tool in found]
    raw = composio.tools.get_raw_composio_tools(toolkits=["acme"], scopes=["reports:read"])
    assert "ACME_WHO_AM_I" in [tool.slug for tool in raw]


def test_wrong_slugs_among_right_ones_are_left_out(composio, user):
    tools = composio.tools.get(user, tools=["HACKERNEWS_GET_USER", "NO_SUCH_TOOL", "ACME_ECHO"])
    assert {tool["function"]["name"] for tool in tools} == {"HACKERNEWS_GET_USER", "ACME_ECHO"}


def test_execution_without_a_version_is_refused_before_it_is_sent(composio, http, connect, user):
    account = connect(user)
    used = composio.connected_accounts.get(account)
    with pytest.raises(exceptions.ToolVersionRequiredError):
        composio.tools.execute("ACME_ECHO", {"message": f"never {user}"}, user_id=user)
    logs = http.post("/api/v3/internal/action_execution/logs", json={"limit": 100, "cursor": None}).text
    assert used.id not in logs


def test_a_pinned_version_executes(composio, user):
    result = composio.tools.execute(
        "HACKERNEWS_GET_USER", {"username": "pg"}, user_id=user, version=VERSION
    )
    assert result["successful"] is True and result["error"] is None
    assert result["data"]["username"] == "pg" and result["data"]["karma"] == 157316


def test_the_documented_argument_name_works_too(composio, user):
    result = composio.tools.execute(
        "HACKERNEWS_GET_USER", {"userId": "pg"}, user_id=user, dangerously_skip_version_check=True
    )
    assert result["data"]["username"] == "pg"


def test_versions_given_to_the_constructor_are_used(project, user):
    pinned = sdk(project["api_key"], toolkit_versions={"hackernews": VERSION})
    assert pinned.tools.execute("HACKERNEWS_GET_USER", {"username": "pg"}, user_id=user)["successful"] is True
    assert pinned.tools.get_raw_composio_tool_by_slug("HACKERNEWS_GET_USER").version == VERSION
    # Newer releases have a name of their own for a tool that is not there.
    with pytest.raises((NotFoundError, getattr(exceptions, "ToolNotFoundError", NotFoundError))):
        sdk(project["api_key"], toolkit_versions={"hackernews": "19990101_00"}).tools.execute(
            "HACKERNEWS_GET_USER", {"username": "pg"}, user_id=user
        )


def test_a_failure_of_the_provider_is_a_readable_result(composio, connect, user):
    connect(user)
    result = composio.tools.execute("ACME_STATUS", {"status": 422}, user_id=user, version=VERSION)
    assert result["successful"] is False and "You asked for 422" in result["error"]
    missing = composio.tools.execute("HACKERNEWS_GET_USER", {"username": "nobody"}, user_id=user, version=VERSION)
    assert missing["successful"] is False and "404" in missing["error"] or "Not Found" in missing["error"]


def test_a_missing_argument_is_a_400_with_every_problem(composio, connect, user):
    connect(user)
    with pytest.raises(BadRequestError) as caught:
        composio.tools.execute("ACME_ECHO", {"count": 99}, user_id=user, version=VERSION)
    assert len(caught.value.body["error"]["errors"]) >= 2


def test_credentials_can_come_with_the_call(composio, auth_config, connect, user):
    result = composio.tools.execute(
        "ACME_WHO_AM_I",
        {},
        version=VERSION,
        user_id=user,
        custom_auth_params={
            "parameters": [{"name": "X-Api-Key", "value": "acme-key-2", "in": "header"}],
        },
    )
    assert result["data"] == {"user": "key-2"}
    result = composio.tools.execute(
        "ACME_WHO_AM_I",
        {},
        version=VERSION,
        user_id=user,
        custom_connection_data={
            "auth_scheme": "API_KEY",
            "toolkit_slug": "acme",
            "val": {"generic_api_key": "acme-key-2"},
        },
    )
    assert result["data"] == {"user": "key-2"}


def test_a_wrong_key_at_the_provider_is_a_readable_result(composio, connect, user):
    connect(user, key="acme-key-wrong")
    result = composio.tools.execute("ACME_WHO_AM_I", {}, user_id=user, version=VERSION)
    assert result["successful"] is False and "Credentials" in result["error"]
    assert "acme-key-wrong" not in str(result)


def test_the_proxy_sends_credentials_headers_and_query(composio, connect, user):
    account = connect(user)
    read = composio.tools.proxy(
        endpoint="/echo",
        method="GET",
        connected_account_id=account,
        parameters=[
            {"name": "X-Note", "value": "hi", "type": "header"},
            {"name": "q", "value": "1", "type": "query"},
        ],
    )
    assert read.status == 200 and read.data["user"] == "key-1"
    assert read.data["headers"]["x-note"] == "hi" and read.data["query"] == {"q": "1"}
    written = composio.tools.proxy(
        endpoint="/echo", method="POST", connected_account_id=account, body={"hello": "world"}
    )
    assert written.data["method"] == "POST" and "world" in written.data["body"]
    picture = composio.tools.proxy(endpoint="/pixel", method="GET", connected_account_id=account)
    assert picture.binary_data.content_type == "image/png" and picture.binary_data.url


def test_an_agents_tool_call_is_executed(composio, connect, user):
    """As a model would call it: through the provider's own helper."""
    from openai.types.chat.chat_completion_message_tool_call import ChatCompletionMessageToolCall, Function

    connect(user)
    composio.tools.get(user, tools=["ACME_ECHO"])
    result = composio.provider.execute_tool_call(
        user_id=user,
        tool_call=ChatCompletionMessageToolCall(
            id="call_1", type="function", function=Function(name="ACME_ECHO", arguments='{"message": "from a model"}')
        ),
    )
    assert result["successful"] is True and "from a model" in result["data"]["body"]


def test_a_deprecated_tool_says_so_and_case_matters(composio):
    assert composio.client.tools.retrieve("ACME_OLD_ECHO").is_deprecated is True
    with pytest.raises(NotFoundError):
        composio.client.tools.retrieve("acme_echo")
