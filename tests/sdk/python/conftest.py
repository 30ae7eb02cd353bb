"""Fixtures of the acceptance tests. scripts/test gives the addresses in the environment."""

import os
import uuid

import httpx
import pytest
import support

support.watch_hosts()

from importlib.metadata import version  # noqa: E402

from composio import Composio  # noqa: E402  (after the audit has begun)

SDK_VERSION = version("composio")


class Env:
    base = os.environ["BASE_URL"]
    short = os.environ["SHORT_URL"]
    org_key = os.environ["ORG_API_KEY"]
    project_key = os.environ["PROJECT_API_KEY"]
    acme = os.environ["ACME_URL"]
    github = os.environ["GITHUB_URL"]
    callback = "https://app.example/landing?keep=1&also=a%20b"


@pytest.fixture(scope="session")
def env():
    return Env


@pytest.fixture(scope="session")
def org():
    """Raw HTTP with the organization's key."""
    with httpx.Client(base_url=Env.base, headers={"x-org-api-key": Env.org_key}, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def new_project(org):
    def create(**extra):
        answer = org.post(
            "/api/v3/org/owner/project/new",
            json={"name": f"python-{uuid.uuid4().hex[:12]}", "should_create_api_key": True, **extra},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    return create


@pytest.fixture(scope="session")
def project(new_project):
    """A project of this run's own."""
    return new_project()


@pytest.fixture(scope="session")
def http(project):
    """Raw HTTP with the project's key."""
    with httpx.Client(base_url=Env.base, headers={"x-api-key": project["api_key"]}, timeout=60) as client:
        yield client


def sdk(key: str, **options):
    # Older releases ignore COMPOSIO_BASE_URL, so the address is always given here.
    return Composio(api_key=key, base_url=Env.base, allow_tracking=False, **options)


@pytest.fixture(scope="session")
def composio(project, tmp_path_factory):
    return sdk(project["api_key"], file_download_dir=str(tmp_path_factory.mktemp("files")))


@pytest.fixture
def user():
    """A user nobody has used before."""
    return f"user-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def auth_config(composio):
    """Ids of auth configs by toolkit and scheme, made when first asked for."""
    known = {}

    def get(toolkit: str, scheme: str = "managed", fresh: bool = False, **credentials):
        if fresh or (toolkit, scheme) not in known:
            if scheme == "managed":
                options = {"type": "use_composio_managed_auth"}
            else:
                options = {"type": "use_custom_auth", "auth_scheme": scheme, "credentials": credentials}
            created = composio.auth_configs.create(toolkit, options).id
            if fresh:
                return created
            known[toolkit, scheme] = created
        return known[toolkit, scheme]

    return get


@pytest.fixture(scope="session")
def connect(composio, auth_config):
    """Connects a user to Acme with an API key and returns the account's id."""
    from composio.core.models.connected_accounts import auth_scheme

    def with_key(user_id: str, key: str = "acme-key-1", **options) -> str:
        request = composio.connected_accounts.initiate(
            user_id=user_id,
            auth_config_id=auth_config("acme", "API_KEY"),
            config=auth_scheme.api_key({"api_key": key}),
            **options,
        )
        assert request.status == "ACTIVE"
        return request.id

    return with_key


@pytest.fixture(scope="session")
def connect_oauth(composio, auth_config):
    """Connects a user to Acme by OAuth, all the way through its login and consent pages."""

    def walk(user_id: str, config_id: str | None = None) -> str:
        request = composio.connected_accounts.link(
            user_id, config_id or auth_config("acme"), callback_url=Env.callback
        )
        landed = support.Browser(login=user_id).go(request.redirect_url)
        assert landed.startswith("https://app.example/landing?"), landed
        assert composio.connected_accounts.wait_for_connection(request.id, timeout=5).status == "ACTIVE"
        return request.id

    return walk


@pytest.fixture(scope="session", autouse=True)
def no_other_host():
    yield
    assert support.foreign == []


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(
        f"composio {SDK_VERSION}: hosts contacted other than loopback: {len(support.foreign)}"
    )
