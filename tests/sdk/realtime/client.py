"""Listens with triggers.subscribe of the unmodified SDK, and prints what its callback is given."""

import json
import os
import sys

from composio import Composio

composio = Composio(
    api_key=os.environ["COMPOSIO_API_KEY"], base_url=os.environ["BASE_URL"], allow_tracking=False
)
subscription = composio.triggers.subscribe()


@subscription.handle(trigger_slug=os.environ["TRIGGER_SLUG"])
def received(data):
    print(json.dumps(data), flush=True)


# The SDK is connected when `subscribe` returns, and has asked for its channel.
print(json.dumps("ready"), flush=True)
sys.stdin.read()
os._exit(0)
