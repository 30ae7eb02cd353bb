"""Gmail is polled while the servers that do it are killed: every mail becomes one event.

Two servers of this test's own share a database. One after the other is killed without a warning and
started again, while 1,000 mails arrive: 50 of them in one second, some in the wrong order.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time
import uuid

import httpx
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
GOOGLE = os.environ["GOOGLE_URL"]
# The emulator gives each token 5,000 requests an hour: one for the mails that come, one for the polls.
TOKEN, SENDER = "google-token-mailbox", "google-token-sender"
KEY, ORG_KEY = "ak_of_the_polling_test_alone", "oak_of_the_polling_test_alone"
MAILS, SAME_SECOND, KILLS = 1000, 50, 10
SERVERS = 2


def psql(url: str, statement: str) -> list[list[str]]:
    done = subprocess.run(
        [os.environ["PSQL"], "-qXAt", "-F", "\t", url, "-c", statement], capture_output=True, text=True, check=True
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


class Server:
    """A server in a process of its own."""

    def __init__(self, folder: pathlib.Path, database: str, name: str):
        providers = folder / "providers.yaml"
        providers.write_text(json.dumps({"gmail": {"base_url": GOOGLE}}))
        env = {
            "PATH": os.environ["PATH"],
            "PATCHBAY_LISTEN": "127.0.0.1:0",
            "PATCHBAY_DATA_DIR": str(folder / name),
            "PATCHBAY_DATABASE_URL": database,
            "PATCHBAY_ENCRYPTION_KEY": "07" * 32,
            "PATCHBAY_PROJECT_API_KEY": KEY,
            "PATCHBAY_ORG_API_KEY": ORG_KEY,
            "PATCHBAY_PROVIDERS_FILE": str(providers),
            "PATCHBAY_EGRESS_ALLOW": "127.0.0.0/8",
            "PATCHBAY_RATE_LIMIT": "0",
            "PATCHBAY_POLL_CLAIM_S": "3",
        }
        self.log = open(folder / f"{name}.log", "a")
        self.process = subprocess.Popen(
            [ROOT / "target/debug/patchbay"], env=env, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        ready = "Patchbay is ready on "
        for line in self.process.stdout:
            if line.startswith(ready):
                self.url = line.removeprefix(ready).strip()
                return
        raise AssertionError(f"the server did not start: {(folder / f'{name}.log').read_text()[-2000:]}")

    def kill(self):
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


@pytest.fixture
def database():
    admin, name = os.environ["TEST_DATABASE_URL"], f"polling_{uuid.uuid4().hex[:12]}"
    psql(admin, f"create database {name}")
    yield admin.replace("/postgres?", f"/{name}?")
    psql(admin, f"drop database {name} with (force)")


@pytest.fixture
def servers():
    started = []
    yield started
    for server in started:
        server.kill()


class Mailbox(threading.Thread):
    """Mails that arrive, in a thread."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ids, self.problem = [], None
        self.http = httpx.Client(base_url=GOOGLE, headers={"authorization": f"Bearer {SENDER}"}, timeout=30)

    def receive(self, number: int, at: float):
        body = {
            "from": "grace@example.com",
            "to": "mailbox@example.com",
            "subject": f"Mail {number}",
            "text": f"This is mail {number}.",
            "internalDate": str(int(at * 1000)),
            "labelIds": ["INBOX", "UNREAD"],
        }
        answer = self.http.post("/gmail/v1/users/me/messages", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["internalDate"] == body["internalDate"]
        return answer.json()["id"]

    def run(self):
        try:
            same = int(time.time()) + 0.5
            crowded = set(random.sample(range(100, MAILS - 100), SAME_SECOND))
            for number in range(MAILS):
                # The clock of the mailbox goes on, but for some mails that were a while on their way, and
                # those that all carry one second, which is over when most of them appear.
                late = random.uniform(0, 240) if number % 10 == 0 else 0
                at = same if number in crowded else time.time() - late
                self.ids.append(self.receive(number, at))
                time.sleep(0.03)
        except Exception as problem:  # told by the test, which waits
            self.problem = problem


def test_every_mail_becomes_one_event_while_servers_are_killed(tmp_path, database, servers):
    mailbox = Mailbox()
    old = [mailbox.receive(-n, time.time() - 60 * n) for n in range(1, 31)]
    for n in range(SERVERS):
        servers.append(Server(tmp_path, database, f"s{n}"))
    api = httpx.Client(base_url=servers[0].url, headers={"x-api-key": KEY}, timeout=60)
    config = {"type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": {"client_id": "a", "client_secret": "b"}}
    made = api.post("/api/v3/auth_configs", json={"toolkit": {"slug": "gmail"}, "auth_config": config})
    assert made.status_code == 201, made.text
    state = {"authScheme": "OAUTH2", "val": {"status": "ACTIVE", "access_token": TOKEN}}
    account = api.post(
        "/api/v3/connected_accounts",
        json={"auth_config": {"id": made.json()["auth_config"]["id"]}, "connection": {"user_id": "ada", "state": state}},
    )
    assert account.status_code == 201, account.text
    trigger = api.post(
        "/api/v3/trigger_instances/GMAIL_NEW_GMAIL_MESSAGE/upsert",
        json={"connected_account_id": account.json()["id"], "trigger_config": {"interval": 1}},
    )
    assert trigger.status_code in (200, 201), trigger.text

    def wait(what: str, statement: str, wanted: str, seconds: float):
        until = time.monotonic() + seconds
        while (found := psql(database, statement)[0][0]) != wanted:
            assert time.monotonic() < until, f"{what}: {found} instead of {wanted}"
            time.sleep(0.2)
        return found

    wait("baseline", "select cursor ->> 'ready' from trigger_poll", "true", 60)
    assert psql(database, "select count(*) from event") == [["0"]]
    mailbox.start()
    kills = polled = 0
    # As if the minutes between the polls passed quickly; a poll that is claimed is left alone.
    soon = "update trigger_poll set next_at = now() where claim is null"
    claimed = "select count(*) from trigger_poll where claim is not null"
    while mailbox.is_alive() or kills < KILLS:
        until = time.monotonic() + random.uniform(0.2, 3)
        while time.monotonic() < until:
            psql(database, soon)
            time.sleep(0.1)
        # Half of the time, when somebody is seen polling: one of the two is then hit in the middle of it.
        until = time.monotonic() + 4 * random.randrange(2)
        busy = False
        while not busy and time.monotonic() < until:
            busy = psql(database, f"{soon}; {claimed}")[-1] == ["1"]
        victim = random.randrange(SERVERS)
        polled += busy
        servers[victim].kill()
        kills += 1
        servers[victim] = Server(tmp_path, database, f"s{victim}")
    assert mailbox.problem is None, mailbox.problem
    assert len(set(mailbox.ids)) == MAILS
    until = time.monotonic() + 120
    while int(psql(database, "select count(*) from event")[0][0]) < MAILS and time.monotonic() < until:
        psql(database, soon)
        time.sleep(0.5)
    # Nothing more comes of further polls.
    for _ in range(3):
        before = psql(database, "select last_ok_at from trigger_poll")
        psql(database, soon)
        until = time.monotonic() + 30
        while psql(database, "select last_ok_at from trigger_poll") == before and time.monotonic() < until:
            time.sleep(0.2)
    events = psql(
        database,
        "select dedupe_key, payload #>> '{data,message_id}', payload #>> '{data,subject}', payload #>> '{data,message_text}' from event",
    )
    keys = [event[0] for event in events]
    print(f"{len(keys)} events of {MAILS} mails; {kills} kills, {polled} of them when somebody polled")
    assert not set(keys) & set(old), "a mail of the baseline was told"
    assert sorted(keys) == sorted(mailbox.ids)
    assert len(set(keys)) == len(keys)
    number = {mail: n for n, mail in enumerate(mailbox.ids)}
    for key, message, subject, text in events:
        assert (message, subject, text.strip()) == (key, f"Mail {number[key]}", f"This is mail {number[key]}.")
