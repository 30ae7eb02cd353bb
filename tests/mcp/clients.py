"""The official Python client lists and calls, on a session and on an MCP server."""

import json
import os
import secrets
import unittest
import urllib.request

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

BASE = os.environ["BASE_URL"]
KEY = os.environ["PROJECT_API_KEY"]
PDF = "TEXT_TO_PDF_CONVERT_TEXT_TO_PDF"


def api(path, body):
    request = urllib.request.Request(
        BASE + path,
        data=json.dumps(body).encode(),
        headers={"x-api-key": KEY, "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def endpoints():
    session = api(
        "/api/v3.1/tool_router/session",
        {"user_id": "python", "preload": {"tools": [PDF]}},
    )
    server = api(
        "/api/v3/mcp/servers/custom",
        {"name": f"Python {secrets.token_hex(4)}", "toolkits": ["text_to_pdf"], "auth_config_ids": [], "allowed_tools": [PDF]},
    )
    return [session["mcp"]["url"], f"{BASE}/v3/mcp/{server['id']}/mcp?user_id=python"]


class Clients(unittest.IsolatedAsyncioTestCase):
    async def use(self, url, headers, mode):
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                tools = await client.list_tools()
                self.assertIn(PDF, [tool.name for tool in tools.tools])
                done = await client.call_tool(PDF, {"text": "Hello"})
                self.assertFalse(done.is_error, done)
                self.assertTrue(done.structured_content["successful"])
                self.assertEqual(json.loads(done.content[0].text), done.structured_content)
                wrong = await client.call_tool(PDF, {})
                self.assertTrue(wrong.is_error)
                self.assertIn("text", wrong.content[0].text)
                return client.protocol_version

    async def test_both_lifecycles_by_either_header(self):
        for url in endpoints():
            for headers in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}):
                for mode, version in (("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28")):
                    with self.subTest(url=url, headers=list(headers), mode=mode):
                        self.assertEqual(await self.use(url, headers, mode), version)

    async def test_without_a_key_nothing_opens(self):
        for url in endpoints():
            with self.subTest(url=url), self.assertRaises(BaseException):
                await self.use(url, {}, "legacy")


if __name__ == "__main__":
    unittest.main()
