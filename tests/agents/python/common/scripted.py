"""What the agents of this folder share: the session, the addresses, and how they end.

Telemetry is off in every way that a framework names, and the interpreter itself records and
refuses every host but loopback."""

import json
import os

for variable in (
    "CREWAI_DISABLE_TELEMETRY",
    "CREWAI_DISABLE_TRACKING",
    "OTEL_SDK_DISABLED",
    "OPENAI_AGENTS_DISABLE_TRACING",
    "CREWAI_DISABLE_VERSION_CHECK",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "DO_NOT_TRACK",
):
    os.environ[variable] = "true"
os.environ["CREWAI_TRACING_ENABLED"] = "false"
os.environ["LANGSMITH_TRACING"] = "false"

import support  # noqa: E402

support.watch_hosts()

from composio import Composio  # noqa: E402  (after the audit has begun)

PROMPT = os.environ["PROMPT"]
MODEL_URL = os.environ["MODEL_URL"]
MODEL_KEY = os.environ["MODEL_KEY"]
API = os.environ["API"]
STREAM = "STREAM" in os.environ
STRICT = "STRICT" in os.environ
MCP = "MCP" in os.environ
FOR_USER = "FOR_USER" in os.environ
USER = os.environ["AGENT_USER"]
OPENAI_URL = f"{MODEL_URL}/v1"


def start(provider=None):
    """The SDK with this provider, and a session of the user."""
    options = {"provider": provider} if provider else {}
    composio = Composio(
        api_key=os.environ["API_KEY"], base_url=os.environ["BASE_URL"], allow_tracking=False, **options
    )
    manage = {"callback_url": os.environ["CALLBACK"]}
    if "WAIT" in os.environ:
        manage["wait_for_connections"] = True
    return composio, composio.create(user_id=USER, manage_connections=manage, mcp=MCP)


def finish(answer) -> None:
    """The last line that the harness reads."""
    print("\nRESULT " + json.dumps({"answer": str(answer), "foreign": support.foreign}), flush=True)
