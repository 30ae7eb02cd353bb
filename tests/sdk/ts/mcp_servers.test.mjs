// MCP servers through the SDK, and by their URLs through the protocol.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import './hosts.mjs';
import { env, newProject, sdk, someone } from './support.mjs';

const TOOLS = ['HACKERNEWS_GET_USER', 'TEXT_TO_PDF_CONVERT_TEXT_TO_PDF'];
const name = () => `ts-${randomBytes(6).toString('hex')}`;
let composio;
let project;

before(async () => {
  project = await newProject();
  composio = sdk(project.api_key);
});

const post = (url, key, method, params = {}) => fetch(url, {
  method: 'POST',
  headers: {
    'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18',
    ...(key ? { 'x-api-key': key } : {}),
  },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
});

describe('MCP servers', () => {
  test('are made, listed, read, changed and deleted', async () => {
    const server = await composio.mcp.create(name(), { toolkits: ['hackernews', 'text_to_pdf'], allowedTools: TOOLS });
    assert.deepEqual(server.allowedTools, TOOLS);
    assert.equal(server.MCPUrl, `${env.base}/v3/mcp/${server.id}`);
    const listed = await composio.mcp.list({ name: server.name, limit: 5, page: 1, toolkits: ['hackernews'], authConfigs: [] });
    assert.deepEqual(listed.items.map((item) => item.id), [server.id]);
    assert.equal(listed.totalPages, 1);
    assert.deepEqual((await composio.mcp.get(server.id)).toolkits, ['hackernews', 'text_to_pdf']);
    const renamed = name();
    assert.equal((await composio.mcp.update(server.id, { name: renamed })).name, renamed);
    const narrowed = await composio.mcp.update(server.id, { toolkits: ['hackernews'], allowedTools: TOOLS.slice(0, 1) });
    assert.deepEqual([narrowed.toolkits, narrowed.allowedTools], [['hackernews'], TOOLS.slice(0, 1)]);
    assert.equal((await composio.mcp.delete(server.id)).deleted, true);
    await assert.rejects(composio.mcp.get(server.id));
    await assert.rejects(composio.mcp.create('abc', { toolkits: ['hackernews'] }));
  });

  test('list and call their tools by a URL, for the key of their project', async () => {
    const server = await composio.mcp.create(name(), {
      toolkits: ['hackernews', 'text_to_pdf'], allowedTools: TOOLS, manuallyManageConnections: true,
    });
    const user = someone();
    const instance = await server.generate(user);
    assert.equal(instance.url, `${env.base}/v3/mcp/${server.id}?user_id=${user}`);
    const list = await post(instance.url, project.api_key, 'tools/list');
    assert.equal(list.status, 200);
    assert.deepEqual((await list.json()).result.tools.map((tool) => tool.name).sort(), [...TOOLS].sort());
    const call = await post(instance.url, project.api_key, 'tools/call', {
      name: TOOLS[1], arguments: { text: 'Hello', file_type: 'txt' },
    });
    assert.ok(!(await call.json()).result.isError);
    assert.equal((await post(instance.url, undefined, 'tools/list')).status, 401);
    assert.equal((await post(instance.url, (await newProject()).api_key, 'tools/list')).status, 401);
    assert.equal((await post(server.MCPUrl, project.api_key, 'tools/list')).status, 400);
  });
});
