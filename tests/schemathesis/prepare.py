"""Makes a project with something in it, and prints it as shell variables for the hooks."""

import os
import uuid

import requests

base = os.environ["BASE_URL"]


def post(path, body, **headers):
    answer = requests.post(base + path, json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()


project = post(
    "/api/v3/org/owner/project/new",
    {"name": f"schemathesis-{uuid.uuid4().hex[:12]}", "should_create_api_key": True},
    **{"x-org-api-key": os.environ["ORG_API_KEY"]},
)
key = {"x-api-key": project["api_key"]}
config = post(
    "/api/v3/auth_configs",
    {"toolkit": {"slug": "acme"}, "auth_config": {"type": "use_custom_auth", "authScheme": "API_KEY"}},
    **key,
)["auth_config"]["id"]
account = post(
    "/api/v3/connected_accounts",
    {
        "auth_config": {"id": config},
        "connection": {
            "user_id": "someone",
            "state": {"authScheme": "API_KEY", "val": {"status": "ACTIVE", "api_key": "acme-key-1"}},
        },
    },
    **key,
)["id"]
log = post(
    "/api/v3/tools/execute/ACME_WHO_AM_I", {"user_id": "someone", "arguments": {}}, **key
)["log_id"]
server = post(
    "/api/v3/mcp/servers/custom", {"name": "Schemathesis", "toolkits": ["acme"]}, **key
)["id"]
session = post(
    "/api/v3.1/tool_router/session", {"user_id": "someone", "toolkits": ["acme"]}, **key
)["session_id"]
mount = f"/api/v3.1/tool_router/session/{session}/mounts/files"
upload = post(f"{mount}/upload_url", {"mount_relative_path": "data/a.txt"}, **key)["upload_url"]
requests.put(upload, data=b"hello", timeout=30).raise_for_status()
for name, value in {
    "ST_PROJECT_API_KEY": project["api_key"],
    "ST_PROJECT": project["id"],
    "ST_AUTH_CONFIG": config,
    "ST_ACCOUNT": account,
    "ST_LOG": log,
    "ST_MCP_SERVER": server,
    "ST_SESSION": session,
}.items():
    print(f"export {name}={value}")
