"""Triggers and webhooks through the SDK. The provider is GitHub's emulator, which delivers signed
webhooks of its own."""

import json
import uuid

import httpx
import pytest
from composio import exceptions
from composio_client import APIStatusError, NotFoundError
from conftest import SDK_VERSION, sdk
from support import Browser, Receiver, query_of, until

NEWER = tuple(int(part) for part in SDK_VERSION.split(".")[:2]) >= (0, 18)
newer = pytest.mark.skipif(not NEWER, reason="this release has no such method")

REPO = {"owner": "octocat", "repo": "hello-world"}


@pytest.fixture
def place(new_project):
    """A project that nobody else uses: there is one subscription per project."""
    made = new_project()
    composio = sdk(made["api_key"])
    composio.key = made["api_key"]
    return composio


@pytest.fixture
def octocat(env, place, user):
    config = place.auth_configs.create("github", {"type": "use_composio_managed_auth"}).id
    request = place.connected_accounts.link(user, config, callback_url=env.callback)
    landed = Browser(choose="octocat").go(request.redirect_url)
    assert query_of(landed)["status"] == "success", landed
    return request.id


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def raw(env, place):
    with httpx.Client(base_url=f"{env.base}/api/v3", headers={"x-api-key": place.key}, timeout=30) as client:
        yield client


@pytest.fixture
def subscribe(raw, receiver):
    def create(events=("composio.trigger.message",), **more):
        answer = raw.post(
            "/webhook_subscriptions",
            json={"webhook_url": receiver.url, "enabled_events": list(events), **more},
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    return create


@pytest.fixture
def happens(env):
    """Somebody opens an issue at GitHub; gives its title."""

    def open_issue() -> str:
        title = f"issue {uuid.uuid4().hex}"
        answer = httpx.post(
            f"{env.github}/repos/octocat/hello-world/issues",
            headers={"authorization": "Bearer github-token-octocat"},
            json={"title": title, "body": "It happened."},
        )
        assert answer.status_code == 201, answer.text
        return title

    return open_issue


def verify(composio, request, signed_with, **changes):
    headers = {name.lower(): value for name, value in request["headers"].items()}
    given = {
        "id": headers["webhook-id"],
        "payload": request["body"],
        "signature": headers["webhook-signature"],
        "timestamp": headers["webhook-timestamp"],
        "secret": signed_with,
    }
    return composio.triggers.verify_webhook(**{**given, **changes})


def test_trigger_types_say_what_they_need_and_what_they_tell(composio):
    enum = composio.triggers.list_enum()
    assert {"GITHUB_COMMIT_EVENT", "GMAIL_NEW_GMAIL_MESSAGE"} <= set(enum)
    assert len(enum) >= 40
    types = composio.triggers.list(toolkit_slugs=["github"], limit=1000)
    assert {"GITHUB_COMMIT_EVENT", "GITHUB_FOLLOWER_EVENT"} <= {kind.slug for kind in types.items}
    assert {kind.toolkit.slug for kind in types.items} == {"github"}
    first = composio.triggers.list(limit=2)
    second = composio.triggers.list(limit=2, cursor=first.next_cursor)
    assert not {kind.slug for kind in first.items} & {kind.slug for kind in second.items}
    commit = composio.triggers.get_type("GITHUB_COMMIT_EVENT")
    assert commit.type == "webhook" and commit.instructions
    assert set(commit.config["required"]) == {"owner", "repo"}
    assert {"author", "id", "message", "timestamp", "url"} <= set(commit.payload["properties"])
    mail = composio.triggers.get_type("GMAIL_NEW_GMAIL_MESSAGE")
    assert mail.type == "poll" and mail.config["properties"]["interval"]["default"] == 1
    with pytest.raises(NotFoundError):
        composio.triggers.get_type("GITHUB_NOTHING_EVENT")


def test_the_same_config_is_the_same_trigger(place, octocat, user):
    created = place.triggers.create(
        "GITHUB_ISSUE_ADDED_EVENT", connected_account_id=octocat, trigger_config=REPO
    )
    assert created.trigger_id.startswith("ti_")
    again = place.triggers.create("GITHUB_ISSUE_ADDED_EVENT", user_id=user, trigger_config=REPO)
    assert again.trigger_id == created.trigger_id
    other = place.triggers.create("GITHUB_COMMIT_EVENT", user_id=user, trigger_config=REPO)
    assert other.trigger_id != created.trigger_id
    with pytest.raises((exceptions.ComposioError, APIStatusError)):
        place.triggers.create("GITHUB_COMMIT_EVENT", user_id="nobody-at-all", trigger_config=REPO)
    with pytest.raises(APIStatusError) as refused:
        place.triggers.create(
            "GITHUB_COMMIT_EVENT", connected_account_id=octocat, trigger_config={"owner": "octocat"}
        )
    assert refused.value.status_code == 400


def test_triggers_are_listed_switched_off_and_on_and_deleted(place, octocat, user):
    one = place.triggers.create("GITHUB_COMMIT_EVENT", user_id=user, trigger_config=REPO).trigger_id
    two = place.triggers.create("GITHUB_ISSUE_ADDED_EVENT", user_id=user, trigger_config=REPO).trigger_id

    def ids(**filters):
        return {item.id for item in place.triggers.list_active(**filters).items}

    assert ids() == {one, two}
    assert ids(trigger_names=["GITHUB_COMMIT_EVENT"]) == {one}
    assert ids(trigger_ids=[two]) == {two}
    assert ids(connected_account_ids=[octocat]) == {one, two}
    assert ids(connected_account_ids=["ca_nobody"]) == set()
    item = next(item for item in place.triggers.list_active().items if item.id == one)
    assert item.trigger_name == "GITHUB_COMMIT_EVENT" and item.trigger_config == REPO
    assert item.connected_account_id == octocat and item.user_id == user and item.disabled_at is None
    page = place.triggers.list_active(limit=1)
    rest = place.triggers.list_active(limit=1, cursor=page.next_cursor)
    assert {page.items[0].id, rest.items[0].id} == {one, two} and rest.next_cursor is None

    assert place.triggers.disable(trigger_id=one).status == "success"
    assert ids() == {two} and ids(show_disabled=True) == {one, two}
    assert place.triggers.enable(trigger_id=one).status == "success"
    assert ids() == {one, two}
    assert place.triggers.delete(trigger_id=one).trigger_id == one
    with pytest.raises(APIStatusError) as gone:
        place.triggers.delete(trigger_id=one)
    assert gone.value.status_code in (404, 410)
    assert ids(show_disabled=True) == {two}


def test_what_happens_at_the_provider_arrives_signed(place, octocat, user, receiver, subscribe, happens):
    secret = subscribe()["secret"]
    trigger = place.triggers.create("GITHUB_ISSUE_ADDED_EVENT", user_id=user, trigger_config=REPO).trigger_id
    title = happens()
    [request] = receiver.wait_for(title)
    result = verify(place, request, secret)
    assert str(getattr(result["version"], "value", result["version"])) == "V3"
    event = result["payload"]
    assert event["trigger_slug"] == "GITHUB_ISSUE_ADDED_EVENT"
    assert event["payload"]["title"] == title
    body = json.loads(request["body"])
    assert body["metadata"]["trigger_id"] == trigger
    assert body["metadata"]["connected_account_id"] == octocat
    assert body["metadata"]["user_id"] == user
    for changes in (
        {"payload": request["body"].replace("It happened", "It did not")},
        {"secret": "another"},
        {"timestamp": "1700000000"},
    ):
        with pytest.raises(exceptions.ComposioError):
            verify(place, request, secret, **changes)

    place.triggers.disable(trigger_id=trigger)
    unheard = happens()
    place.triggers.enable(trigger_id=trigger)
    heard = happens()
    receiver.wait_for(heard)
    assert receiver.about(unheard) == []


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_older_versions_are_known_as_such(place, octocat, user, receiver, subscribe, happens, version):
    secret = subscribe(version=version)["secret"]
    place.triggers.create("GITHUB_ISSUE_ADDED_EVENT", user_id=user, trigger_config=REPO)
    title = happens()
    result = verify(place, receiver.wait_for(title)[0], secret)
    assert str(getattr(result["version"], "value", result["version"])) == version
    assert result["payload"]["trigger_slug"].upper() == "GITHUB_ISSUE_ADDED_EVENT"
    assert result["payload"]["payload"]["title"] == title


def test_a_failed_delivery_comes_again_and_a_new_secret_signs(
    place, octocat, user, raw, receiver, subscribe, happens
):
    made = subscribe()
    place.triggers.create("GITHUB_ISSUE_ADDED_EVENT", user_id=user, trigger_config=REPO)
    receiver.answers = [500]
    title = happens()
    first, second = receiver.wait_for(title, 2)
    ids = {request["headers"][name] for request in (first, second) for name in request["headers"]
           if name.lower() == "webhook-id"}
    assert len(ids) == 1 and first["body"] == second["body"]
    verify(place, second, made["secret"])

    rotated = raw.post(f"/webhook_subscriptions/{made['id']}/rotate_secret").json()
    assert rotated["secret"] != made["secret"]
    [request] = receiver.wait_for(happens())
    verify(place, request, rotated["secret"])
    with pytest.raises(exceptions.ComposioError):
        verify(place, request, made["secret"])


def test_the_secret_is_shown_once(raw, subscribe):
    made = subscribe()
    got = raw.get(f"/webhook_subscriptions/{made['id']}").json()
    assert got["secret"] != made["secret"] and made["secret"] not in json.dumps(got)
    types = raw.get("/webhook_subscriptions/event_types").json()
    known = {kind["event_type"] for kind in types["items"]}
    assert {"composio.trigger.message", "composio.connected_account.expired"} <= known
    assert raw.delete(f"/webhook_subscriptions/{made['id']}").status_code == 200
    assert raw.get(f"/webhook_subscriptions/{made['id']}").status_code == 404


@newer
def test_setting_it_twice_leaves_one_subscription(place, receiver):
    one = place.triggers.set_webhook_subscription(webhook_url=receiver.url)
    two = place.triggers.set_webhook_subscription(
        webhook_url=receiver.url + "?2",
        enabled_events=["composio.trigger.message", "composio.connected_account.expired"],
    )
    assert one["id"] == two["id"]
    webhooks = place.webhooks.subscriptions
    [listed] = webhooks.list().items
    assert listed.webhook_url == receiver.url + "?2" and len(listed.enabled_events) == 2
    assert webhooks.rotate_secret(one["id"]).secret
    assert webhooks.list_event_types().items
    webhooks.delete(one["id"])
    assert webhooks.list().items == []


def test_the_end_of_an_account_is_told(env, place, user, raw, receiver, subscribe):
    secret = subscribe(["composio.connected_account.expired"])["secret"]
    config = place.auth_configs.create("acme", {"type": "use_composio_managed_auth"}).id
    request = place.connected_accounts.link(user, config, callback_url=env.callback)
    Browser(login=user).go(request.redirect_url)
    raw.post(f"/connected_accounts/{request.id}/refresh", json={})
    tokens = httpx.get(f"{env.acme}/test/issued", params={"user": user}).json()
    # A refresh token that comes twice ends the grant at the provider.
    httpx.post(
        f"{env.acme}/oauth/token",
        auth=("acme-managed", "acme-managed-secret"),
        data={"grant_type": "refresh_token", "refresh_token": tokens["refresh"][0]},
    )
    raw.post(f"/connected_accounts/{request.id}/refresh", json={})
    assert until(lambda: place.connected_accounts.get(request.id).status == "EXPIRED")
    [told] = receiver.wait_for(request.id)
    verify(place, told, secret)
    body = json.loads(told["body"])
    assert body["type"] == "composio.connected_account.expired"
    assert body["data"]["id"] == request.id and body["data"]["status"] == "EXPIRED"
