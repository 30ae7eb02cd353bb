// The official TypeScript clients and the inspector list and call, on a session and on an MCP
// server.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";

import * as newer from "@modelcontextprotocol/client";
import { Client as OlderClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OlderTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { PDF, base, endpoints, key } from "./support.mjs";

const run = promisify(execFile);
const who = { name: "test", version: "1.0.0" };
const options = () => ({ requestInit: { headers: { "x-api-key": key } } });

async function use(client) {
  const { tools } = await client.listTools();
  const tool = tools.find((tool) => tool.name === PDF);
  assert.ok(tool, "the tool is listed");
  assert.equal(tool.annotations.destructiveHint, false);
  // The client holds results against the output schema.
  const done = await client.callTool({ name: PDF, arguments: { text: "Hello" } });
  assert.ok(!done.isError, JSON.stringify(done));
  assert.equal(done.structuredContent.successful, true);
  const wrong = await client.callTool({ name: PDF, arguments: {} });
  assert.equal(wrong.isError, true);
  await assert.rejects(client.callTool({ name: "NOPE", arguments: {} }), /Unknown tool/);
}

test("the client of the first generation", async () => {
  for (const url of await endpoints("older")) {
    const client = new OlderClient(who);
    await client.connect(new OlderTransport(new URL(url), options()));
    assert.equal(client.getServerVersion().name, "patchbay");
    await client.ping();
    await use(client);
    await client.transport.terminateSession();
    await client.close();
  }
});

test("the client of the second generation, by either lifecycle", async () => {
  for (const url of await endpoints("newer")) {
    for (const mode of ["legacy", "auto"]) {
      const client = new newer.Client(who, { versionNegotiation: { mode } });
      const transport = new newer.StreamableHTTPClientTransport(new URL(url), options());
      await client.connect(transport);
      const version = client.getNegotiatedProtocolVersion();
      assert.equal(version, mode === "auto" ? "2026-07-28" : "2025-11-25");
      await use(client);
      await client.close();
    }
  }
});

test("a client hears that the list of tools changed", async () => {
  const [url] = await endpoints("listener");
  const client = new OlderClient(who);
  const heard = new Promise((resolve) => {
    client.fallbackNotificationHandler = (note) => resolve(note.method);
  });
  await client.connect(new OlderTransport(new URL(url), options()));
  const id = url.split("/").at(-2);
  // The stream is opened behind the handshake; a change before that would go unheard.
  const timer = setInterval(
    () =>
      fetch(`${base}/api/v3.1/tool_router/session/${id}`, {
        method: "PATCH",
        headers: { "x-api-key": key, "content-type": "application/json" },
        body: JSON.stringify({ tags: ["readOnlyHint"] }),
      }),
    300,
  );
  assert.equal(await heard, "notifications/tools/list_changed");
  clearInterval(timer);
  await client.close();
});

test("the inspector's command line", async () => {
  const inspector = "node_modules/@modelcontextprotocol/inspector";
  const { bin } = JSON.parse(readFileSync(`${inspector}/package.json`, "utf8"));
  const env = { ...process.env, MCP_CATALOG_PATH: `${process.cwd()}/inspector.json` };
  const cli = async (url, ...args) => {
    const { stdout } = await run(
      process.execPath,
      [`${inspector}/${bin.inspector}`, "--cli", url, "--transport", "http", "--header", `x-api-key: ${key}`, ...args],
      { env, maxBuffer: 64 << 20 },
    );
    return JSON.parse(stdout);
  };
  for (const url of await endpoints("inspector")) {
    const listed = await cli(url, "--method", "tools/list");
    assert.ok(listed.tools.some((tool) => tool.name === PDF));
    const called = ["--method", "tools/call", "--tool-name", PDF, "--tool-arg", "text=Hello"];
    const done = await cli(url, ...called);
    assert.equal(done.structuredContent.successful, true, JSON.stringify(done));
  }
});
