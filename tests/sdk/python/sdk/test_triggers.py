"""Trigger instances through the SDK, with a GitHub that really calls."""

import time

import pytest
from composio import exceptions
from composio_client import APIStatusError

ISSUE = "GITHUB_ISSUE_ADDED_EVENT"
REPO = {"owner": "octocat", "repo": "hello-world"}


@pytest.fixture(scope="module")
def octocat(composio, auth_config):
    """An account of GitHub's octocat; its user."""
    from composio.core.models.connected_accounts import auth_scheme

    request = composio.connected_accounts.initiate(
        user_id="octocats-user",
        auth_config_id=auth_config("github", "API_KEY"),
        config=auth_scheme.api_key({"generic_api_key": "github-token-octocat"}),
    )
    assert request.status == "ACTIVE"
    return "octocats-user", request.id


def instance(composio, trigger_id):
    items = composio.triggers.list_active(trigger_ids=[trigger_id], show_disabled=True).items
    assert [item.id for item in items] == [trigger_id]
    return items[0]


def test_triggers_are_set_up_listed_switched_and_deleted(composio, octocat):
    user, account = octocat
    made = composio.triggers.create(slug=ISSUE, user_id=user, trigger_config=REPO)
    again = composio.triggers.create(slug=ISSUE, connected_account_id=account, trigger_config=REPO)
    assert made.trigger_id == again.trigger_id and made.trigger_id.startswith("ti_")
    shown = instance(composio, made.trigger_id)
    assert (shown.trigger_name, shown.connected_account_id, shown.user_id) == (ISSUE, account, user)
    assert shown.trigger_config == REPO and shown.disabled_at is None
    for filters in (
        {"trigger_names": [ISSUE]},
        {"connected_account_ids": [account]},
        {"auth_config_ids": [composio.connected_accounts.get(account).auth_config.id]},
    ):
        assert made.trigger_id in [item.id for item in composio.triggers.list_active(**filters).items]
    composio.triggers.disable(made.trigger_id)
    assert made.trigger_id not in [item.id for item in composio.triggers.list_active().items]
    assert instance(composio, made.trigger_id).disabled_at
    composio.triggers.enable(made.trigger_id)
    assert instance(composio, made.trigger_id).disabled_at is None
    assert composio.triggers.delete(made.trigger_id).trigger_id == made.trigger_id
    with pytest.raises(APIStatusError) as gone:
        composio.triggers.delete(made.trigger_id)
    assert gone.value.status_code in (404, 410)


def test_what_cannot_be_set_up_says_why(composio, octocat, user):
    with pytest.raises(Exception, match="(?i)trigger"):
        composio.triggers.create(slug="GITHUB_NO_SUCH_EVENT", user_id=octocat[0], trigger_config={})
    with pytest.raises(APIStatusError, match="Invalid trigger_config") as refused:
        composio.triggers.create(slug=ISSUE, user_id=octocat[0], trigger_config={"owner": "octocat"})
    assert "repo" in refused.value.response.text
    # Older releases look for the account by themselves.
    with pytest.raises((APIStatusError, exceptions.NoItemsFound)):
        composio.triggers.create(slug=ISSUE, user_id=user, trigger_config=REPO)


def test_an_issue_that_is_opened_at_github_arrives_signed(composio, http, octocat):
    user, _ = octocat
    made = composio.triggers.create(slug=ISSUE, user_id=user, trigger_config=REPO)
    path = f"/api/v3/trigger_instances/manage/{made.trigger_id}"
    assert http.get(path).json()["state"]["registration"] == "registered"
    opened = composio.tools.execute(
        "GITHUB_CREATE_AN_ISSUE",
        {**REPO, "title": "Found a bug", "body": "It crawls."},
        user_id=user,
        dangerously_skip_version_check=True,
    )
    assert opened["successful"], opened
    deadline = time.monotonic() + 10
    while not (state := http.get(path).json()["state"])["last_event_at"]:
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    assert state["last_error"] is None and state["consecutive_failures"] == 0
    composio.triggers.delete(made.trigger_id)
