"""The official Python MCP client signs a person in by itself: it is given the URL of an endpoint and
nothing else. The person's browser is played over plain HTTP."""

import json
import os
import re
import secrets
import unittest
import urllib.parse
import urllib.request

import httpx2
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

BASE = os.environ["BASE_URL"]
REDIRECT = "http://localhost:3030/callback"


def post(path, body, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers["content-type"] = "application/json"
    request = urllib.request.Request(BASE + path, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def new_project():
    body = {"name": f"mcp-{secrets.token_hex(6)}", "should_create_api_key": True}
    made = post("/api/v3/org/owner/project/new", body, x_org_api_key=os.environ["ORG_API_KEY"])
    return made["api_key"]


class Person:
    """Keeps what the client gives it to keep, and answers the page."""

    def __init__(self, key):
        self.key = key
        self.kept = {}
        self.times = 0

    async def get_tokens(self):
        return self.kept.get("tokens")

    async def set_tokens(self, tokens):
        self.kept["tokens"] = tokens

    async def get_client_info(self):
        return self.kept.get("client")

    async def set_client_info(self, client):
        self.kept["client"] = client

    async def open(self, url):
        self.times += 1
        async with httpx2.AsyncClient(timeout=30) as browser:
            shown = await browser.get(url)
            assert shown.status_code == 200, shown.text
            proof = re.search(r'name="proof" value="([0-9a-f]+)"', shown.text).group(1)
            form = {"proof": proof, "api_key": self.key, "action": "allow"}
            sent = await browser.post(url, data=form)
            assert sent.status_code == 303, sent.text
            self.back = sent.headers["location"]

    async def came_back(self):
        assert self.back.startswith(REDIRECT), self.back
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.back).query))
        return AuthorizationCodeResult(code=query["code"], state=query["state"], iss=query["iss"])

    def provider(self, url):
        metadata = OAuthClientMetadata(client_name="Python tests", redirect_uris=[REDIRECT])
        return OAuthClientProvider(
            server_url=url,
            client_metadata=metadata,
            storage=self,
            redirect_handler=self.open,
            callback_handler=self.came_back,
        )


class SignIn(unittest.IsolatedAsyncioTestCase):
    async def tools(self, url, person):
        async with httpx2.AsyncClient(auth=person.provider(url), timeout=30) as http:
            async with Client(streamable_http_client(url, http_client=http)) as client:
                return [tool.name for tool in (await client.list_tools()).tools]

    async def test_to_a_session_and_a_server_once_each(self):
        key = new_project()
        session = post("/api/v3.1/tool_router/session", {"user_id": "ann"}, x_api_key=key)
        body = {"name": "Python sign in", "toolkits": ["hackernews"]}
        server = post("/api/v3/mcp/servers/custom", body, x_api_key=key)
        for url, tool in (
            (session["mcp"]["url"], "COMPOSIO_GET_TOOL_SCHEMAS"),
            (f"{server['mcp_url']}?user_id=ann", "HACKERNEWS_GET_USER"),
        ):
            with self.subTest(url=url):
                person = Person(key)
                self.assertIn(tool, await self.tools(url, person))
                self.assertIn(tool, await self.tools(url, person))
                self.assertEqual(person.times, 1, "the person was asked again")


if __name__ == "__main__":
    unittest.main()
