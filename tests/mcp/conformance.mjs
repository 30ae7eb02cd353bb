// The conformance suite of the protocol, at the revisions that it has requirements for:
//
//     node conformance.mjs REVISION...
//
// What fails must be listed in conformance-REVISION.yaml, with the reason; what is listed must fail.

import { spawn } from "node:child_process";

import { provider, relay, slugs } from "./fixtures.mjs";
import { api, key } from "./support.mjs";

const fixtures = await provider(Number(process.env.MCP_PROVIDER_PORT));
const session = await api("/api/v3.1/tool_router/session", {
  user_id: "conformance",
  preload: { tools: slugs },
});
const { server, url } = await relay(session.mcp.url, key);

let failed = 0;
for (const revision of process.argv.slice(2)) {
  console.log(`\n===== ${revision} =====`);
  const args = [
    "node_modules/@modelcontextprotocol/conformance/dist/index.js",
    ...["server", "--url", url, "--requirements", revision],
    ...["--expected-failures", `conformance-${revision}.yaml`],
    ...["--output-dir", `results-${revision}`],
  ];
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) failed = 1;
}
server.close();
server.closeAllConnections();
fixtures.close();
fixtures.closeAllConnections();
process.exitCode = failed;
