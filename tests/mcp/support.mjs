// What the tests of MCP clients share.

export const base = process.env.BASE_URL;
export const key = process.env.PROJECT_API_KEY;
export const PDF = "TEXT_TO_PDF_CONVERT_TEXT_TO_PDF";

export async function api(path, body, method = "POST") {
  const answer = await fetch(base + path, {
    method,
    headers: { "x-api-key": key, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const json = await answer.json();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${JSON.stringify(json)}`);
  return json;
}

// A session with one tool beside the meta tools, and a server with that tool.
export async function endpoints(user) {
  const session = await api("/api/v3.1/tool_router/session", {
    user_id: user,
    preload: { tools: [PDF] },
  });
  const server = await api("/api/v3/mcp/servers/custom", {
    name: `${user} ${Math.random().toString(36).slice(2, 8)}`,
    toolkits: ["text_to_pdf"],
    auth_config_ids: [],
    allowed_tools: [PDF],
  });
  return [session.mcp.url, `${base}/v3/mcp/${server.id}?user_id=${user}`];
}
