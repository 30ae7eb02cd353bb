// Sessions through the SDK: what each release has of them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { foreign } from './hosts.mjs';
import { asPublic, browse, core, env, newProject, sdk, someone, version } from './support.mjs';

const newer = !version.startsWith('0.6.');
const only = { skip: newer ? false : 'this release has no such method' };

// The smallest provider: tools by their slugs, each a function of its arguments.
class Plain extends core.BaseAgenticProvider {
  name = 'plain';

  wrapTool(tool, executeTool) {
    return (args) => executeTool(tool.slug, args);
  }

  wrapTools(tools, executeTool) {
    return Object.fromEntries(tools.map((tool) => [tool.slug, this.wrapTool(tool, executeTool)]));
  }
}

let project;
let composio;
let managed;
let keyed;

before(async () => {
  project = await newProject();
  composio = sdk(project.api_key, { provider: new Plain() });
  managed = (await composio.authConfigs.create('acme', { type: 'use_composio_managed_auth' })).id;
  keyed = (await composio.authConfigs.create('acme', { type: 'use_custom_auth', name: 'Tests', authScheme: 'API_KEY', credentials: {} })).id;
});

after(() => assert.deepEqual(foreign, [], 'no host but loopback was contacted'));

async function connect(user) {
  const request = await composio.connectedAccounts.initiate(user, keyed, { config: core.AuthScheme.APIKey({ api_key: 'acme-key-1' }) });
  assert.equal(request.status, 'ACTIVE');
  return request.id;
}

async function acme(session) {
  const { items, totalPages } = await session.toolkits({ toolkits: ['acme'] });
  assert.deepEqual(items.map((toolkit) => toolkit.slug), ['acme']);
  assert.equal(typeof totalPages, 'number');
  return items[0];
}

// The HTTP answer behind an error, however deep the SDK has wrapped it.
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    for (let e = error; e; e = e.cause) if (typeof e.status === 'number') return e;
    throw error;
  }
  return assert.fail('it did not fail');
}

async function api(method, path, body) {
  const response = await fetch(`${env.base}${path}`, {
    method, headers: { 'x-api-key': project.api_key, 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  return response.json();
}

describe('sessions', () => {
  test('a session is made and used again', async () => {
    const session = await composio.create(someone());
    assert.match(session.sessionId, /^trs_/);
    assert.equal(new URL(session.mcp.url).origin, env.base);
    assert.equal(session.mcp.headers['x-api-key'], project.api_key);
    const again = await composio.use(session.sessionId);
    assert.equal(again.sessionId, session.sessionId);
    assert.equal(again.mcp.url, session.mcp.url);
    assert.equal((await refusal(composio.use('trs_never'))).status, 404);
  });

  test('every part of a configuration is taken', async () => {
    const user = someone();
    const account = await connect(user);
    const session = await composio.create(user, {
      toolkits: ['acme', 'github', 'gmail'],
      tools: {
        github: { disable: ['GITHUB_CREATE_AN_ISSUE'] },
        gmail: { tags: { enable: ['readOnlyHint'], disable: ['destructiveHint'] } },
        acme: ['acme_who_am_i'],
      },
      tags: ['readOnlyHint', 'idempotentHint'],
      manageConnections: { enable: true, callbackUrl: 'https://app.example/landing', waitForConnections: true },
      authConfigs: { acme: keyed },
      connectedAccounts: { acme: account },
      workbench: { enableProxyExecution: false, autoOffloadThreshold: 300 },
      experimental: { assistivePrompt: { userTimezone: 'Europe/Berlin' } },
    });
    assert.match(session.experimental.assistivePrompt, /Europe\/Berlin/);
    assert.equal((await acme(session)).connection.connectedAccount.id, account);
    assert.equal((await refusal(composio.create(user, { toolkits: ['nope'] }))).status, 400);
  });

  test("a session's tools are wrapped and executed", async () => {
    const user = someone();
    await connect(user);
    const session = await composio.create(user, { toolkits: ['acme', 'text_to_pdf'] });
    const tools = await session.tools();
    assert.ok(tools.COMPOSIO_SEARCH_TOOLS && tools.COMPOSIO_MANAGE_CONNECTIONS);
    const schemas = await tools.COMPOSIO_GET_TOOL_SCHEMAS({ tool_slugs: ['ACME_WHO_AM_I'] });
    assert.equal(schemas.successful, true);
    assert.equal(schemas.data.tool_schemas.ACME_WHO_AM_I.input_schema.type, 'object');
    const done = await tools.COMPOSIO_MULTI_EXECUTE_TOOL({ tools: [{ tool_slug: 'ACME_WHO_AM_I', arguments: {} }] });
    assert.equal(done.error, null);
    assert.match(JSON.stringify(done.data), /key-1/);
    const excluded = await tools.COMPOSIO_MULTI_EXECUTE_TOOL({ tools: [{ tool_slug: 'HACKERNEWS_GET_USER', arguments: { username: 'pg' } }] });
    assert.match(JSON.stringify(excluded), /does not allow/);
    const hidden = await (await composio.create(user, { manageConnections: false })).tools();
    assert.equal(hidden.COMPOSIO_MANAGE_CONNECTIONS, undefined);
  });

  test('toolkits show the connection once the person approved', async () => {
    const user = someone();
    const session = await composio.create(user, { authConfigs: { acme: managed } });
    assert.equal((await acme(session)).connection.isActive, false);
    const request = await session.authorize('acme', { callbackUrl: env.callback });
    assert.match(request.id, /^ca_/);
    await browse(request.redirectUrl, { fill: { login: user } });
    assert.equal((await request.waitForConnection(5000)).status, 'ACTIVE');
    const { connection } = await acme(session);
    assert.equal(connection.isActive, true);
    assert.equal(connection.connectedAccount.id, request.id);
    assert.deepEqual(connection.authConfig, { id: managed, mode: 'OAUTH2', isComposioManaged: true });
    const connected = await session.toolkits({ isConnected: true });
    assert.deepEqual(connected.items.map((toolkit) => toolkit.slug), ['acme']);
  });

  test('toolkits page to an end and are searched', async () => {
    const session = await composio.create(someone(), { toolkits: { disable: ['github'] } });
    const seen = [];
    let cursor;
    do {
      const page = await session.toolkits({ limit: 50, ...(cursor && { nextCursor: cursor, cursor }) });
      seen.push(...page.items.map((toolkit) => toolkit.slug));
      cursor = page.nextCursor ?? page.cursor;
    } while (cursor);
    assert.ok(seen.length > 100 && !seen.includes('github'));
    assert.equal(new Set(seen).size, seen.length);
    const [found] = (await session.toolkits({ search: 'hacker' })).items;
    assert.equal(found.slug, 'hackernews');
    assert.equal(found.isNoAuth, true);
    assert.equal(found.connection, undefined);
    assert.equal((await session.toolkits()).items.length, 20);
  });

  test('a session searches, executes and sends requests', only, async () => {
    const user = someone();
    await connect(user);
    const session = await composio.create(user, { toolkits: ['acme'] });
    const found = await session.search({ query: 'find out who I am at acme' });
    assert.equal(found.success, true);
    assert.ok(found.toolSchemas.ACME_WHO_AM_I);
    assert.equal(found.toolkitConnectionStatuses.find(({ toolkit }) => toolkit === 'acme').hasActiveConnection, true);
    const done = await session.execute('ACME_WHO_AM_I', {});
    assert.deepEqual(done.data, { user: 'key-1' });
    assert.equal(done.error, null);
    assert.match(done.logId, /^log_/);
    assert.equal((await refusal(session.execute('HACKERNEWS_GET_USER', { username: 'pg' }))).status, 403);
    const answer = await session.proxyExecute({ toolkit: 'acme', endpoint: '/me', method: 'GET' });
    assert.equal(answer.status, 200);
  });

  test('an update is versioned and a deleted session is gone', only, async () => {
    const session = await composio.create(someone(), { toolkits: ['acme'] });
    assert.equal(session.configVersion, 1);
    await session.update({ toolkits: { enable: ['acme', 'github'] } });
    assert.equal(session.configVersion, 2);
    await session.update({ manageConnections: null, preload: { tools: ['ACME_WHO_AM_I'] } });
    assert.deepEqual(session.preload, { tools: ['ACME_WHO_AM_I'] });
    assert.ok((await session.tools()).ACME_WHO_AM_I);
    const history = await composio.getClient().toolRouter.session.configHistory(session.sessionId);
    assert.deepEqual(history.items.map((item) => item.version), [3, 2, 1]);
    assert.deepEqual(history.items.map((item) => item.is_current), [true, false, false]);
    const stale = await fetch(`${env.base}/api/v3.1/tool_router/session/${session.sessionId}`, {
      method: 'PATCH',
      headers: { 'x-api-key': project.api_key, 'content-type': 'application/json' },
      body: JSON.stringify({ expected_config_version: 2, tags: null }),
    });
    assert.equal(stale.status, 409);
    assert.deepEqual(await session.delete(), { sessionId: session.sessionId, deleted: true });
    assert.equal((await refusal(composio.use(session.sessionId))).status, 404);
    assert.equal((await refusal(session.execute('ACME_WHO_AM_I', {}))).status, 404);
  });

  test("tools of the caller's own are attached and not kept", only, async () => {
    const { z } = await import('zod');
    const user = someone();
    await connect(user);
    const inputParams = z.object({ text: z.string() });
    const shout = core.experimental_createTool('SHOUT', {
      name: 'Shout', description: 'Writes a text in capitals', inputParams,
      execute: async ({ text }) => ({ shouted: text.toUpperCase() }),
    });
    const greet = core.experimental_createTool('GREET', {
      name: 'Greet', description: 'Greets whom Acme knows', extendsToolkit: 'acme', inputParams,
      execute: async ({ text }, context) => ({ greeting: `${text} ${(await context.execute('ACME_WHO_AM_I', {})).data.user}` }),
    });
    const stamp = core.experimental_createTool('STAMP', {
      name: 'Stamp', description: 'Stamps a text', inputParams, preload: true, execute: async ({ text }) => ({ stamped: text }),
    });
    const desk = core.experimental_createToolkit('DESK', { name: 'Desk', description: 'On the desk', tools: [stamp] });
    const made = await composio.create(user, { experimental: { customTools: [shout, greet], customToolkits: [desk] } });
    const attached = await composio.use(made.sessionId, { customTools: [shout, greet], customToolkits: [desk] });
    for (const session of [made, attached]) {
      const slugs = session.customTools().map((tool) => tool.slug).sort();
      assert.deepEqual(slugs, ['LOCAL_ACME_GREET', 'LOCAL_DESK_STAMP', 'LOCAL_SHOUT']);
      assert.deepEqual((await session.execute('LOCAL_SHOUT', { text: 'a' })).data, { shouted: 'A' });
      assert.deepEqual((await session.execute('GREET', { text: 'Hello' })).data, { greeting: 'Hello key-1' });
      const tools = await session.tools();
      assert.deepEqual((await tools.LOCAL_DESK_STAMP({ text: 'x' })).data, { stamped: 'x' });
      assert.match(JSON.stringify(await session.search({ query: 'write a text in capitals' })), /LOCAL_SHOUT/);
    }
    const plainly = await composio.use(made.sessionId);
    assert.deepEqual(plainly.customTools(), []);
    assert.equal((await refusal(plainly.execute('LOCAL_SHOUT', { text: 'a' }))).status, 400);
  });

  test('a named configuration is taken over', async () => {
    const user = someone();
    const named = await api('POST', '/api/v3.1/session_configs', { name: user, config: { toolkits: ['acme'] } });
    const made = await api('POST', '/api/v3.1/tool_router/session', { user_id: user, experimental: { session_config_id: named.id } });
    const session = await composio.use(made.session_id);
    assert.deepEqual((await session.toolkits()).items.map((toolkit) => toolkit.slug), ['acme']);
  });

  test('files are kept with a session', only, async () => {
    const { files } = (await composio.create(someone())).experimental;
    // The SDK goes to public addresses only, and no setting of it changes that.
    await assert.rejects(files.upload(Buffer.from('x'), { remotePath: 'x.txt' }), /private, loopback/);
    await asPublic(async () => {
      assert.deepEqual(await files.list(), { items: [], nextCursor: undefined });
      const uploaded = await files.upload(Buffer.from('a,b\n1,2\n'), { remotePath: 'data/report 1.csv', mimetype: 'text/csv' });
      assert.equal(uploaded.filename, 'report 1.csv');
      assert.equal(uploaded.mountRelativePath, 'data/report 1.csv');
      assert.equal(uploaded.sandboxMountPrefix, '/mnt/files');
      assert.equal(await uploaded.text(), 'a,b\n1,2\n');
      assert.equal((await uploaded.blob()).type, 'text/csv');
      await files.upload(new File(['notes'], 'notes.txt', { type: 'text/plain' }));
      const sizes = (page) => page.items.map((item) => [item.mountRelativePath, item.size]);
      assert.deepEqual(sizes(await files.list({ path: '/' })), [['data/report 1.csv', 8], ['notes.txt', 5]]);
      assert.deepEqual(sizes(await files.list({ path: '/data' })), [['data/report 1.csv', 8]]);
      const first = await files.list({ limit: 1 });
      const second = await files.list({ limit: 1, cursor: first.nextCursor });
      assert.deepEqual([...sizes(first), ...sizes(second)], [['data/report 1.csv', 8], ['notes.txt', 5]]);
      assert.equal(second.nextCursor, undefined);
      const last = await files.download('/notes.txt');
      assert.equal(await last.text(), 'notes');
      assert.equal((await files.delete('notes.txt')).mountRelativePath, 'notes.txt');
      await assert.rejects(last.text(), /404/);
    });
    assert.equal((await refusal(files.download('notes.txt'))).status, 404);
    assert.equal((await refusal(files.delete('notes.txt'))).status, 404);
    assert.equal((await refusal(files.upload(Buffer.from('x'), { remotePath: '../x.txt' }))).status, 400);
    assert.deepEqual((await (await composio.create(someone())).experimental.files.list()).items, []);
  });
});
