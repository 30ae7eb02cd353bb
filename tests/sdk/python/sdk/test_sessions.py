"""Sessions through the SDK: what each release has of them."""

import urllib.parse

import pytest
from composio import exceptions
from composio.core.provider import AgenticProvider
from composio_client import APIStatusError, NotFoundError
from conftest import SDK_VERSION, sdk
from support import Browser

# Releases from 0.13 on; the older ones have `tools`, `authorize` and `toolkits` alone.
NEWER = tuple(int(part) for part in SDK_VERSION.split(".")[:2]) >= (0, 13)
newer = pytest.mark.skipif(not NEWER, reason="this release has no such method")


class Plain(AgenticProvider, name="plain"):
    """The smallest provider: tools by their slugs, each a function of its arguments."""

    def wrap_tool(self, tool, execute_tool):
        return lambda **arguments: execute_tool(slug=tool.slug, arguments=arguments)

    def wrap_tools(self, tools, execute_tool):
        return {tool.slug: self.wrap_tool(tool, execute_tool) for tool in tools}


@pytest.fixture(scope="module")
def plain(project):
    return sdk(project["api_key"], provider=Plain())


def acme(session):
    listed = session.toolkits(toolkits=["acme"])
    assert [toolkit.slug for toolkit in listed.items] == ["acme"]
    assert type(listed.total_pages) is int
    return listed.items[0]


def test_a_session_is_made_and_used_again(composio, env, project, user):
    session = composio.create(user_id=user)
    assert session.session_id.startswith("trs_")
    origin = urllib.parse.urlsplit(session.mcp.url)
    assert f"{origin.scheme}://{origin.netloc}" == env.base
    assert session.mcp.headers == {"x-api-key": project["api_key"]}
    again = composio.use(session.session_id)
    assert again.session_id == session.session_id
    assert again.mcp.url == session.mcp.url
    with pytest.raises(NotFoundError):
        composio.use("trs_never")


def test_every_part_of_a_configuration_is_taken(composio, auth_config, connect, user):
    account = connect(user)
    session = composio.create(
        user_id=user,
        toolkits=["acme", "github", "gmail"],
        tools={
            "github": {"disable": ["GITHUB_CREATE_AN_ISSUE"]},
            "gmail": {"tags": {"enable": ["readOnlyHint"], "disable": ["destructiveHint"]}},
            "acme": ["ACME_WHO_AM_I"],
        },
        tags=["readOnlyHint", "idempotentHint"],
        manage_connections={
            "enable": True,
            "callback_url": "https://app.example/landing",
            "wait_for_connections": True,
        },
        auth_configs={"acme": auth_config("acme", "API_KEY")},
        connected_accounts={"acme": account},
        workbench={"enable_proxy_execution": False, "auto_offload_threshold": 300},
        experimental={"assistive_prompt": {"user_timezone": "Europe/Berlin"}},
    )
    assert "Europe/Berlin" in session.experimental.assistive_prompt
    assert acme(session).connection.connected_account.id == account
    with pytest.raises(APIStatusError) as refused:
        composio.create(user_id=user, toolkits=["nope"], tags=["nopeHint"])
    assert refused.value.status_code == 400
    errors = refused.value.body["error"]["errors"]
    assert len(errors) == 2 and "nope" in errors[0] and "nopeHint" in errors[1]


def test_a_sessions_tools_are_wrapped_and_executed(plain, connect, user):
    connect(user)
    session = plain.create(user_id=user, toolkits=["acme", "text_to_pdf"])
    tools = session.tools()
    assert {"COMPOSIO_SEARCH_TOOLS", "COMPOSIO_MANAGE_CONNECTIONS"} <= set(tools)
    schemas = tools["COMPOSIO_GET_TOOL_SCHEMAS"](tool_slugs=["ACME_WHO_AM_I"])
    assert schemas["successful"] is True and schemas["error"] is None
    assert schemas["data"]["tool_schemas"]["ACME_WHO_AM_I"]["input_schema"]["type"] == "object"
    done = tools["COMPOSIO_MULTI_EXECUTE_TOOL"](
        tools=[{"tool_slug": "ACME_WHO_AM_I", "arguments": {}}]
    )
    assert done["error"] is None and "key-1" in str(done["data"])
    excluded = tools["COMPOSIO_MULTI_EXECUTE_TOOL"](
        tools=[{"tool_slug": "HACKERNEWS_GET_USER", "arguments": {"username": "pg"}}]
    )
    assert "does not allow" in str(excluded)
    hidden = plain.create(user_id=user, manage_connections=False).tools()
    assert "COMPOSIO_MANAGE_CONNECTIONS" not in hidden


def test_toolkits_show_the_connection_once_the_person_approved(composio, env, auth_config, user):
    session = composio.create(user_id=user, auth_configs={"acme": auth_config("acme")})
    assert acme(session).connection.is_active is False
    request = session.authorize("acme", callback_url=env.callback)
    assert request.id.startswith("ca_") and request.redirect_url
    assert Browser(login=user).go(request.redirect_url).startswith("https://app.example/landing?")
    assert request.wait_for_connection(timeout=5).status == "ACTIVE"
    connection = acme(session).connection
    assert connection.is_active is True
    assert connection.connected_account.id == request.id
    assert connection.auth_config.id == auth_config("acme")
    assert connection.auth_config.mode == "OAUTH2" and connection.auth_config.is_composio_managed
    connected = session.toolkits(is_connected=True)
    assert [toolkit.slug for toolkit in connected.items] == ["acme"]
    assert acme(composio.create(user_id=f"{user}-2")).connection.is_active is False


def test_toolkits_page_to_an_end_and_are_searched(composio, user):
    session = composio.create(user_id=user, toolkits={"disable": ["github"]})
    seen, cursor = [], None
    while True:
        page = session.toolkits(limit=50, next_cursor=cursor)
        seen += [toolkit.slug for toolkit in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) > 100 and "github" not in seen
    found = session.toolkits(search="hacker")
    assert found.items[0].slug == "hackernews"
    assert found.items[0].is_no_auth is True and found.items[0].connection is None
    assert len(session.toolkits().items) == 20


@newer
def test_a_session_searches_executes_and_sends_requests(composio, connect, env, user):
    connect(user)
    session = composio.create(user_id=user, toolkits=["acme"])
    found = session.search(query="find out who I am at acme")
    assert found.success is True and found.error is None
    assert "ACME_WHO_AM_I" in found.tool_schemas
    status = {item.toolkit: item for item in found.toolkit_connection_statuses}
    assert status["acme"].has_active_connection is True
    done = session.execute("ACME_WHO_AM_I", arguments={})
    assert done.data == {"user": "key-1"} and done.error is None and done.log_id.startswith("log_")
    with pytest.raises(APIStatusError) as refused:
        session.execute("HACKERNEWS_GET_USER", arguments={"username": "pg"})
    assert refused.value.status_code == 403
    answer = session.proxy_execute(toolkit="acme", endpoint="/me", method="GET")
    assert (answer["status"] if isinstance(answer, dict) else answer.status) == 200


@newer
def test_an_update_is_versioned_and_a_deleted_session_is_gone(composio, user):
    session = composio.create(user_id=user, toolkits=["acme"])
    assert session.config_version == 1
    session.update(toolkits={"enable": ["acme", "github"]}, expected_config_version=1)
    assert session.config_version == 2
    assert session.config.toolkits.enabled == ["acme", "github"]
    with pytest.raises(exceptions.SessionConfigConflictError):
        session.update(toolkits={"enable": []}, expected_config_version=1)
    assert session.config_version == 2
    session.update(toolkits=None, manage_connections={"callback_url": None})
    assert session.config.toolkits is None
    history = session.list_config_history()
    assert [item.version for item in history.items] == [3, 2, 1]
    assert [item.is_current for item in history.items] == [True, False, False]
    assert history.items[2].config.toolkits.enabled == ["acme"]
    assert session.delete() == {"session_id": session.session_id, "deleted": True}
    for gone in (lambda: composio.use(session.session_id), lambda: session.execute("ACME_WHO_AM_I")):
        with pytest.raises(NotFoundError):
            gone()


@newer
def test_tools_of_the_callers_own_are_attached_and_not_kept(plain, connect, user):
    from pydantic import BaseModel

    connect(user)

    class Text(BaseModel):
        text: str

    @plain.experimental.tool()
    def shout(input: Text, ctx):
        """Writes a text in capitals."""
        return {"shouted": input.text.upper()}

    @plain.experimental.tool(extends_toolkit="acme")
    def greet(input: Text, ctx):
        """Greets whom Acme knows."""
        return {"greeting": f"{input.text} {ctx.execute('ACME_WHO_AM_I', {}).data['user']}"}

    mine = plain.experimental.Toolkit(slug="DESK", name="Desk", description="On the desk")

    @mine.tool(preload=True)
    def stamp(input: Text, ctx):
        """Stamps a text."""
        return {"stamped": input.text}

    made = plain.create(
        user_id=user, experimental={"custom_tools": [shout, greet], "custom_toolkits": [mine]}
    )
    attached = plain.use(made.session_id, custom_tools=[shout, greet], custom_toolkits=[mine])
    for session in (made, attached):
        slugs = {tool.slug for tool in session.custom_tools()}
        assert slugs == {"LOCAL_SHOUT", "LOCAL_ACME_GREET", "LOCAL_DESK_STAMP"}
        assert session.execute("LOCAL_SHOUT", arguments={"text": "a"}).data == {"shouted": "A"}
        greeted = session.execute("GREET", arguments={"text": "Hello"})
        assert greeted.data == {"greeting": "Hello key-1"}
        tools = session.tools()
        assert tools["LOCAL_DESK_STAMP"](text="x")["data"] == {"stamped": "x"}
        found = session.search(query="write a text in capitals")
        assert "LOCAL_SHOUT" in str(found)
    plainly = plain.use(made.session_id)
    assert plainly.custom_tools() == []
    with pytest.raises(APIStatusError) as refused:
        plainly.execute("LOCAL_SHOUT", arguments={"text": "a"})
    assert refused.value.status_code == 400


@newer
def test_a_session_takes_over_a_named_configuration(composio, http, user):
    made = http.post(
        "/api/v3.1/session_configs", json={"name": user, "config": {"toolkits": ["acme"]}}
    ).json()
    client = composio.client
    listed = client.session_configs.list(search=user[:20])
    assert [item.id for item in listed.items] == [made["id"]]
    read = client.session_configs.retrieve(made["id"])
    assert read.config.toolkits.enable == ["acme"] and read.archived is False
    session = composio.create(user_id=user)
    session.update(experimental={"session_config_id": made["id"]})
    assert session.config.toolkits.enabled == ["acme"]


@pytest.mark.skipif(NEWER, reason="newer clients do not have it any more")
def test_the_oldest_way_to_a_session_gives_an_mcp_address(composio, env, auth_config, user):
    made = composio.client.tool_router.create_session(
        user_id=user,
        config={
            "toolkits": [{"toolkit": "acme", "auth_config_id": auth_config("acme", "API_KEY")}],
            "manually_manage_connections": True,
        },
    )
    assert made.session_id.startswith("trs_")
    assert made.chat_session_mcp_url.startswith(f"{env.base}/")
    assert made.tool_router_instance_mcp_url == made.chat_session_mcp_url


@newer
def test_files_are_kept_with_a_session(composio, monkeypatch, user, tmp_path):
    from composio.exceptions import BlockedInternalUrlError, RemoteFileDownloadError
    from composio.utils import url_safety

    files = composio.create(user_id=user).experimental.files
    # The SDK goes to public addresses only, and no setting of it changes that.
    with pytest.raises(BlockedInternalUrlError):
        files.upload(b"x", remote_path="x.txt")
    blocked = url_safety.is_blocked_ip
    monkeypatch.setattr(url_safety, "is_blocked_ip", lambda ip: ip != "127.0.0.1" and blocked(ip))
    assert files.list().items == []
    uploaded = files.upload(b"a,b\n1,2\n", remote_path="data/report 1.csv", mimetype="text/csv")
    assert uploaded.filename == "report 1.csv"
    assert uploaded.mount_relative_path == "data/report 1.csv"
    assert uploaded.sandbox_mount_prefix == "/mnt/files"
    assert uploaded.text() == "a,b\n1,2\n"
    local = tmp_path / "notes.txt"
    local.write_text("notes")
    files.upload(local)
    page = files.list()
    sizes = [(item.mount_relative_path, item.size) for item in page.items]
    assert sizes == [("data/report 1.csv", 8), ("notes.txt", 5)]
    assert "next_cursor" not in page.model_dump(exclude_unset=True)
    assert [item.size for item in files.list(path="/data").items] == [8]
    first = files.list(limit=1)
    assert [item.size for item in first.items] == [8]
    assert [item.size for item in files.list(limit=1, cursor=first.next_cursor).items] == [5]
    saved = files.download("/notes.txt").save(tmp_path / "saved.txt")
    assert (tmp_path / "saved.txt").read_text() == "notes" and saved.endswith("saved.txt")
    last = files.download("notes.txt")
    assert files.delete("notes.txt").mount_relative_path == "notes.txt"
    with pytest.raises(RemoteFileDownloadError) as gone:
        last.buffer()
    assert gone.value.status_code == 404
    for act in (files.download, files.delete):
        with pytest.raises(NotFoundError):
            act("notes.txt")
    with pytest.raises(APIStatusError) as refused:
        files.upload(b"x", remote_path="../x.txt")
    assert refused.value.status_code == 400
    assert composio.create(user_id=user).experimental.files.list().items == []
