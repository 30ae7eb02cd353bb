"""A remote MCP server is added, executed, listed again and taken away by the newest client as it is.

    BASE_URL=... PROJECT_API_KEY=... python custom.py <addresses.json>
"""

import json
import os
import sys

from composio_client import Composio, ProjectAuth

with open(sys.argv[1], encoding="utf-8") as file:
    server = json.load(file)["mcp"]
auth = ProjectAuth(os.environ["PROJECT_API_KEY"])
client = Composio(auth=auth, base_url=os.environ["BASE_URL"])

made = client.custom.upsert(
    slug="Every thing",
    toolkit_config={
        "name": "Everything",
        "app_url": server,
        "auth_schemes": [{"mode": "NO_AUTH"}],
    },
)
assert made.slug == "custom_every_thing", made
toolkit = client.toolkits.retrieve(made.slug)
assert toolkit.name == "Everything", toolkit

done = client.tools.execute(
    "CUSTOM_EVERY_THING_GET_SUM", arguments={"a": 2, "b": 40}, user_id="ada", version="latest"
)
assert done.successful and "42" in done.data["text"], done

synced = client.custom.sync(slug=made.slug)
assert synced.slug == made.slug and synced.synced_count > 5, synced
again = client.custom.sync(slug=made.slug)
assert again.version == synced.version, (synced, again)

gone = client.custom.delete_toolkit(made.slug)
assert gone.slug == made.slug and gone.deleted, gone
try:
    client.custom.sync(slug=made.slug)
except Exception as error:
    assert getattr(error, "status_code", None) == 404, error
else:
    raise AssertionError("it is still there")
print("ok: a remote MCP server was added, executed, listed again and taken away")
