// What the conformance suite needs around the server.
//
// The suite calls tools of fixed lower-case names and cannot send a key. So there is a toolkit with
// these tools, a provider that answers them, and a relay in front of one session's endpoint that adds
// the key and translates the names of the tools. It changes nothing else.

import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Name in the suite, and what the provider answers.
const TOOLS = {
  test_simple_text: async () => [200, { text: "This is a simple text response for testing." }],
  test_logging_tool: async () => [200, { done: true }],
  test_streaming_elicitation: async () => [200, { done: true }],
  test_error_handling: async () => [500, { error: "This tool intentionally fails" }],
  // Long enough for three notifications.
  test_tool_with_progress: async () => {
    await wait(5500);
    return [200, { done: true }];
  },
};

const slug = (name) => `CONFORMANCE_${name.toUpperCase()}`;
export const slugs = Object.keys(TOOLS).map(slug);

const listen = (server, port = 0) =>
  new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server.address().port)));

// Answers the tools; gives its port.
export async function provider(port) {
  const server = createServer(async (asked, answer) => {
    const [status, body] = await TOOLS[asked.url.slice(1)]();
    answer.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await listen(server, port);
  return server;
}

// Writes the toolkit for a provider at a port.
export function toolkit(folder, port) {
  const dir = `${folder}/conformance`;
  mkdirSync(`${dir}/tools`, { recursive: true });
  writeFileSync(
    `${dir}/toolkit.yaml`,
    `spec: 1
slug: conformance
name: Conformance
description: Tools that the MCP conformance suite calls.
versions: ["20260101_00"]
base_url: http://127.0.0.1:${port}
auth:
  - scheme: NO_AUTH
`,
  );
  const tools = Object.keys(TOOLS).map(
    (name) => `  - slug: ${slug(name)}
    name: ${name}
    description: A tool of the MCP conformance suite.
    hints: {read_only: true}
    request: {method: GET, path: /${name}}
`,
  );
  writeFileSync(`${dir}/tools/all.yaml`, `tools:\n${tools.join("")}`);
}

const inwards = (text) =>
  text.replaceAll(/"name"\s*:\s*"(test_[a-z_]+)"/g, (_, name) => `"name":"${slug(name)}"`);
const outwards = (text) =>
  text.replaceAll(/"name":"CONFORMANCE_([A-Z_]+)"/g, (_, name) => `"name":"${name.toLowerCase()}"`);

// Passes requests on to an endpoint; gives the server and its URL.
export async function relay(target, key) {
  const to = new URL(target);
  const server = createServer(async (asked, answer) => {
    const chunks = [];
    for await (const chunk of asked) chunks.push(chunk);
    const body = Buffer.from(inwards(Buffer.concat(chunks).toString()));
    const headers = { ...asked.headers, "x-api-key": key };
    delete headers["transfer-encoding"];
    if (headers["mcp-name"]?.startsWith("test_")) headers["mcp-name"] = slug(headers["mcp-name"]);
    if (asked.method === "POST") headers["content-length"] = body.length;
    const options = { host: to.hostname, port: to.port, path: to.pathname + to.search };
    const onward = request({ ...options, method: asked.method, headers }, (got) => {
      const kept = { ...got.headers };
      delete kept["content-length"];
      answer.writeHead(got.statusCode, kept);
      answer.flushHeaders();
      got.setEncoding("utf8");
      if (kept["content-type"]?.startsWith("text/event-stream")) {
        got.on("data", (text) => answer.write(outwards(text)));
        got.on("end", () => answer.end());
      } else {
        let text = "";
        got.on("data", (more) => (text += more));
        got.on("end", () => answer.end(outwards(text)));
      }
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    onward.end(body);
  });
  const port = await listen(server);
  return { server, url: `http://127.0.0.1:${port}/mcp` };
}
