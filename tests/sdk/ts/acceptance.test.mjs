import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { foreign } from './hosts.mjs';
import { VERSION, browse, core, env, issued, newProject, queryOf, sdk, someone, version } from './support.mjs';

let composio;
let project;
const configs = new Map();

before(async () => {
  project = await newProject();
  composio = sdk(project.api_key);
});

after(() => {
  assert.deepEqual(foreign, [], 'no host but loopback was contacted');
  console.log(`@composio/core ${version}: hosts contacted other than loopback: ${foreign.length}`);
});

const managed = { type: 'use_composio_managed_auth' };
const custom = (authScheme, credentials = {}) => ({ type: 'use_custom_auth', name: 'Tests', authScheme, credentials });

async function config(toolkit, scheme = 'managed', credentials = {}) {
  const key = `${toolkit} ${scheme}`;
  if (!configs.has(key)) {
    const options = scheme === 'managed' ? managed : custom(scheme, credentials);
    configs.set(key, (await composio.authConfigs.create(toolkit, options)).id);
  }
  return configs.get(key);
}

async function connect(user, key = 'acme-key-1', options = {}) {
  const request = await composio.connectedAccounts.initiate(user, await config('acme', 'API_KEY'), {
    config: core.AuthScheme.APIKey({ api_key: key }), ...options,
  });
  assert.equal(request.status, 'ACTIVE');
  return request.id;
}

async function connectOAuth(user, configId) {
  const request = await composio.connectedAccounts.link(user, configId ?? await config('acme'), { callbackUrl: env.callback });
  await browse(request.redirectUrl, { fill: { login: user } });
  assert.equal((await request.waitForConnection(5000)).status, 'ACTIVE');
  return request.id;
}

const execute = (slug, userId, args = {}, more = {}) => composio.tools.execute(slug, { userId, arguments: args, version: VERSION, ...more });
const whoAmI = async (user, more) => (await execute('ACME_WHO_AM_I', user, {}, more)).data;
// The HTTP answer behind an error, however deep the SDK has wrapped it.
function answerOf(error) {
  for (let e = error; e; e = e.cause) if (typeof e.status === 'number' && e.error) return e;
  return undefined;
}
async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it did not fail');
}

describe('auth configs', () => {
  test('managed GitHub auth is made', async () => {
    const made = await composio.authConfigs.create('github', managed);
    assert.match(made.id, /^ac_/);
    assert.equal(made.isComposioManaged, true);
    assert.equal(made.toolkit, 'github');
  });

  test('custom API key auth is made', async () => {
    const made = await composio.authConfigs.create('acme', custom('API_KEY'));
    assert.match(made.id, /^ac_/);
    assert.equal(made.authScheme, 'API_KEY');
    assert.equal(made.isComposioManaged, false);
  });

  test('the list is of one toolkit and pages to an end', async () => {
    const made = [];
    for (let i = 0; i < 3; i += 1) made.push((await composio.authConfigs.create('stripe', custom('API_KEY'))).id);
    const seen = [];
    let cursor;
    for (let pages = 0; pages < 50; pages += 1) {
      const page = await composio.authConfigs.list({ toolkit: 'stripe', limit: 2, ...(cursor && { cursor }) });
      assert.ok(page.items.every((item) => item.toolkit.slug === 'stripe'));
      seen.push(...page.items.map((item) => item.id));
      cursor = page.nextCursor;
      if (cursor === null) break;
    }
    assert.equal(cursor, null);
    assert.ok(made.every((id) => seen.includes(id)));
    assert.equal(new Set(seen).size, seen.length);
  });

  test('a config is read with its secrets masked', async () => {
    const { id } = await composio.authConfigs.create('acme', custom('OAUTH2', { client_id: 'my-client-id', client_secret: 'topsecret-value' }));
    const read = await composio.authConfigs.get(id);
    assert.equal(read.status, 'ENABLED');
    assert.equal(read.noOfConnections, 0);
    assert.equal(typeof read.createdAt, 'string');
    assert.equal(read.credentials.client_secret, 'tops...');
    assert.ok(!JSON.stringify(read).includes('topsecret-value'));
  });

  test('a disabled config connects nobody until it is enabled', async () => {
    const { id } = await composio.authConfigs.create('acme', managed);
    await composio.authConfigs.disable(id);
    assert.equal((await composio.authConfigs.get(id)).status, 'DISABLED');
    assert.equal(answerOf(await failure(composio.connectedAccounts.initiate(someone(), id))).status, 400);
    await failure(composio.connectedAccounts.link(someone(), id));
    await composio.authConfigs.enable(id);
    assert.equal((await composio.authConfigs.get(id)).status, 'ENABLED');
    assert.ok((await composio.connectedAccounts.link(someone(), id)).redirectUrl);
  });

  test('an update is visible and a deleted config is gone', async () => {
    const { id } = await composio.authConfigs.create('acme', custom('OAUTH2', { client_id: 'before', client_secret: 'before-secret' }));
    await composio.authConfigs.update(id, {
      type: 'custom', credentials: { client_id: 'after', client_secret: 'after-secret', scopes: 'openid' },
    });
    const { credentials } = await composio.authConfigs.get(id);
    assert.equal(credentials.client_secret, 'afte...');
    assert.match(String(credentials.scopes), /openid/);
    await composio.authConfigs.delete(id);
    assert.equal(answerOf(await failure(composio.authConfigs.get(id))).status, 404);
  });

  test('a wrong key is an authentication error with a request id', async () => {
    const answer = answerOf(await failure(sdk('ak_wrong').authConfigs.list()));
    assert.equal(answer.constructor.name, 'AuthenticationError');
    assert.equal(answer.error.error.status, 401);
    assert.ok(answer.error.error.request_id);
  });
});

describe('connected accounts', () => {
  test('an API key connects at once', async () => {
    const user = someone();
    const request = await composio.connectedAccounts.initiate(user, await config('acme', 'API_KEY'), {
      config: core.AuthScheme.APIKey({ api_key: 'acme-key-2' }),
    });
    assert.equal(request.status, 'ACTIVE');
    assert.ok(request.redirectUrl == null);
    assert.equal((await request.waitForConnection(2000)).id, request.id);
    assert.deepEqual(await whoAmI(user), { user: 'key-2' });
  });

  for (const [name, scheme, data, expected] of [
    ['a bearer token', 'BEARER_TOKEN', () => core.AuthScheme.BearerToken({ token: 'acme-bearer-1' }), 'bearer-1'],
    ['name and password', 'BASIC', () => core.AuthScheme.Basic({ username: 'acme', password: 'opensesame' }), 'basic-acme'],
    ['an API key by its generic name', 'API_KEY', () => core.AuthScheme.APIKey({ generic_api_key: 'acme-key-1' }), 'key-1'],
  ]) {
    test(`${name} reaches the provider`, async () => {
      const user = someone();
      const request = await composio.connectedAccounts.initiate(user, await config('acme', scheme), { config: data() });
      assert.equal(request.status, 'ACTIVE');
      assert.deepEqual(await whoAmI(user), { user: expected });
    });
  }

  test('secrets of an account are masked', async () => {
    const text = JSON.stringify(await composio.connectedAccounts.get(await connect(someone())));
    assert.ok(!text.includes('acme-key-1') && text.includes('acme...'));
  });

  test('initiated OAuth lands on the callback with its result', async () => {
    const user = someone();
    const request = await composio.connectedAccounts.initiate(user, await config('acme'), { callbackUrl: env.callback });
    assert.ok(['INITIATED', 'INITIALIZING'].includes(request.status));
    const { url, visited } = await browse(request.redirectUrl, { fill: { login: user } });
    assert.ok(visited.some((v) => v.includes('/api/v3/toolkits/auth/callback?')));
    assert.deepEqual(queryOf(url), { keep: '1', also: 'a b', status: 'success', connectedAccountId: request.id, appName: 'acme' });
    assert.equal((await request.waitForConnection(5000)).status, 'ACTIVE');
    assert.deepEqual(await whoAmI(user), { user });
  });

  // Write something, then read it back; MARK is another text each time.
  for (const [toolkit, person, ...calls] of [
    ['github', 'octocat',
      ['GITHUB_CREATE_AN_ISSUE', { owner: 'octocat', repo: 'hello-world', title: 'MARK' }],
      ['GITHUB_LIST_REPOSITORY_ISSUES', { owner: 'octocat', repo: 'hello-world' }]],
    ['gmail', 'ada@example.com',
      ['GMAIL_SEND_EMAIL', { recipient_email: 'grace@example.com', subject: 'MARK', body: 'It weaves.' }],
      ['GMAIL_FETCH_EMAILS', { max_results: 5 }]],
    ['googlecalendar', 'ada@example.com',
      ['GOOGLECALENDAR_CREATE_EVENT', { summary: 'MARK', start_datetime: '2026-12-01T10:00:00Z', end_datetime: '2026-12-01T11:00:00Z' }],
      ['GOOGLECALENDAR_EVENTS_LIST', {}]],
    ['slack', 'ada',
      ['SLACK_SEND_MESSAGE', { channel: 'general', text: 'MARK' }],
      ['SLACK_FETCH_CONVERSATION_HISTORY', { channel: 'C000000001' }]],
    // Its emulator knows a part of the schema, less than the list tools ask for.
    ['linear', 'ada@example.com',
      ['LINEAR_RUN_QUERY_OR_MUTATION', { query_or_mutation: '{ teams { nodes { name } } }', variables: {} }]],
  ]) {
    test(`OAuth at the emulator of ${toolkit} ends in executed tools`, async () => {
      const user = someone();
      const request = await composio.connectedAccounts.link(user, await config(toolkit), { callbackUrl: env.callback });
      const { url } = await browse(request.redirectUrl, { choose: person });
      assert.equal(queryOf(url).status, 'success');
      assert.equal((await request.waitForConnection(5000)).status, 'ACTIVE');
      let result;
      for (const [tool, args] of calls) {
        const marked = Object.fromEntries(Object.entries(args).map(([key, value]) => [key, value === 'MARK' ? user : value]));
        result = await execute(tool, user, marked);
        assert.equal(result.successful, true, JSON.stringify(result));
      }
      assert.ok(JSON.stringify(result.data).includes(toolkit === 'linear' ? 'Engineering' : user));
    });
  }

  test('an API key reads and writes at Stripe', async () => {
    const user = someone();
    await composio.connectedAccounts.initiate(user, await config('stripe', 'API_KEY'), {
      config: core.AuthScheme.APIKey({ api_key: 'sk_test_1' }),
    });
    const made = await execute('STRIPE_CREATE_CUSTOMER', user, { email: `${user}@example.com`, name: 'Grace' });
    assert.equal(made.successful, true, JSON.stringify(made));
    assert.equal(made.data.email, `${user}@example.com`);
  });

  test('a link is readable at once and good for one connection', async () => {
    const user = someone();
    const request = await composio.connectedAccounts.link(user, await config('acme'), { callbackUrl: env.callback });
    const account = await composio.connectedAccounts.get(request.id);
    assert.equal(account.status, 'INITIATED');
    assert.ok(account.state, 'the SDK understands the state');
    assert.ok((await fetch(request.redirectUrl, { redirect: 'manual' })).status < 400);
    const { url } = await browse(request.redirectUrl, { fill: { login: user } });
    assert.deepEqual(queryOf(url), { keep: '1', also: 'a b', status: 'success', connected_account_id: request.id });
    assert.equal((await request.waitForConnection(5000)).status, 'ACTIVE');
    assert.ok([404, 410].includes((await fetch(request.redirectUrl, { redirect: 'manual' })).status));
  });

  test('a link takes an API key from its page', async () => {
    const user = someone();
    const request = await composio.connectedAccounts.link(user, await config('acme', 'API_KEY'), { callbackUrl: env.callback });
    const { url } = await browse(request.redirectUrl, { fill: { generic_api_key: 'acme-key-1', api_key: 'acme-key-1' } });
    assert.equal(queryOf(url).status, 'success');
    assert.deepEqual(await whoAmI(user), { user: 'key-1' });
  });

  test('a second account needs allowMultiple', async () => {
    const user = someone();
    await connect(user);
    assert.equal((await failure(connect(user))).name, 'ComposioMultipleConnectedAccountsError');
    await connect(user, 'acme-key-2', { allowMultiple: true });
    assert.deepEqual(await whoAmI(user), { user: 'key-2' });
    assert.equal((await composio.connectedAccounts.list({ userIds: [user], statuses: ['ACTIVE'] })).items.length, 2);
  });

  test('denied consent fails the connection with a reason', async () => {
    const user = someone();
    const request = await composio.connectedAccounts.link(user, await config('acme'), { callbackUrl: env.callback });
    const { url } = await browse(request.redirectUrl, { fill: { login: user }, deny: true });
    assert.equal(queryOf(url).status, 'failed');
    const account = await composio.connectedAccounts.get(request.id);
    assert.equal(account.status, 'FAILED');
    assert.ok(account.statusReason);
    assert.equal((await failure(request.waitForConnection(3000))).name, 'ConnectionRequestFailedError');
  });

  test('a wrong code fails the connection', async () => {
    const request = await composio.connectedAccounts.initiate(someone(), await config('acme'), { callbackUrl: env.callback });
    const hop = await fetch(request.redirectUrl, { redirect: 'manual' });
    const location = hop.headers.get('location');
    const { state } = queryOf(location?.includes('state=') ? location : request.redirectUrl);
    await fetch(`${env.base}/api/v3/toolkits/auth/callback?${new URLSearchParams({ state, code: 'no-such-code' })}`, { redirect: 'manual' });
    assert.equal((await composio.connectedAccounts.get(request.id)).status, 'FAILED');
    assert.equal((await failure(request.waitForConnection(3000))).name, 'ConnectionRequestFailedError');
  });

  test('lists filter by user, status, toolkit and auth config', async () => {
    const user = someone();
    const ids = [await connect(user), await connect(`${user}-2`)];
    await connect(`${user}-3`);
    const page = await composio.connectedAccounts.list({
      userIds: [user, `${user}-2`], statuses: ['ACTIVE', 'FAILED'], toolkitSlugs: ['acme', 'github'],
      authConfigIds: [await config('acme', 'API_KEY'), 'ac_other'],
    });
    assert.deepEqual(page.items.map((item) => item.id).sort(), ids.sort());
  });

  test('a disabled account is not used until it is enabled', async () => {
    const user = someone();
    const id = await connect(user);
    await composio.connectedAccounts.disable(id);
    assert.equal((await composio.connectedAccounts.get(id)).isDisabled, true);
    const answer = answerOf(await failure(whoAmI(user, { connectedAccountId: id })));
    assert.ok(answer.status >= 400 && answer.status < 500);
    await composio.connectedAccounts.enable(id);
    assert.equal((await composio.connectedAccounts.get(id)).isDisabled, false);
    assert.deepEqual(await whoAmI(user, { connectedAccountId: id }), { user: 'key-1' });
  });

  test('a refresh rotates the tokens at the provider', async () => {
    const user = someone();
    const id = await connectOAuth(user);
    const first = await issued(user);
    await composio.connectedAccounts.refresh(id);
    const second = await issued(user);
    assert.equal(second.access.length, first.access.length + 1);
    assert.equal(second.refresh.length, first.refresh.length + 1);
    assert.equal((await composio.connectedAccounts.get(id)).status, 'ACTIVE');
    assert.deepEqual(await whoAmI(user), { user });
  });

  test('an expired access token is refreshed before use', async () => {
    const user = someone();
    await connectOAuth(user, await config('acme', 'OAUTH2', { client_id: 'acme-short', client_secret: 'acme-short-secret' }));
    await new Promise((done) => { setTimeout(done, 3000); });
    assert.deepEqual(await whoAmI(user), { user });
  });

  test("a revoked access token is refreshed after the provider's 401", async () => {
    const user = someone();
    await connectOAuth(user);
    const first = await issued(user);
    await fetch(`${env.acme}/test/drop-access?user=${user}`);
    assert.deepEqual(await whoAmI(user), { user });
    assert.equal((await issued(user)).access.length, first.access.length + 1);
  });

  test('after a deletion there is no account', async () => {
    const user = someone();
    const id = await connect(user);
    assert.deepEqual(await whoAmI(user), { user: 'key-1' });
    await composio.connectedAccounts.delete(id);
    const error = await failure(whoAmI(user));
    assert.equal(error.name, 'ComposioConnectedAccountNotFoundError');
    assert.equal(answerOf(await failure(composio.connectedAccounts.get(id))).status, 404);
  });

  test('a toolkit is authorized by name', async () => {
    const fresh = sdk((await newProject()).api_key);
    const request = await fresh.toolkits.authorize(someone(), 'github');
    const { url } = await browse(request.redirectUrl);
    assert.ok(url.startsWith(env.base));
    assert.equal((await request.waitForConnection(5000)).status, 'ACTIVE');
  });
});

describe('toolkits and tools', () => {
  test('toolkits are listed with their number of tools', async () => {
    const toolkits = await composio.toolkits.get({ limit: 1000 });
    for (const slug of ['github', 'gmail', 'slack', 'linear', 'stripe', 'hackernews', 'acme']) {
      assert.ok(toolkits.find((toolkit) => toolkit.slug === slug)?.meta.toolsCount > 0, slug);
    }
  });

  test('a toolkit tells what connecting it takes', async () => {
    const github = await composio.toolkits.get('github');
    assert.ok(github.authConfigDetails.some((detail) => detail.mode === 'OAUTH2' && detail.fields));
    const fields = await composio.toolkits.getConnectedAccountInitiationFields('acme', 'BASIC');
    assert.deepEqual(fields.map((field) => field.name), ['username', 'password']);
    // Released versions compare with another package's error class, so they call it a fetch error.
    const error = await failure(composio.toolkits.get('nope'));
    assert.match(error.name, /^ComposioToolkit(NotFound|Fetch)Error$/);
    assert.equal(answerOf(error).status, 404);
  });

  test('categories have an id and a name', async () => {
    const { items } = await composio.toolkits.listCategories();
    assert.ok(items.length > 0 && items.every((item) => item.id && item.name));
  });

  test('tools come in the shape of the provider', async () => {
    const tools = await composio.tools.get('someone', { toolkits: ['hackernews'] });
    assert.ok(tools.some((tool) => tool.function.name === 'HACKERNEWS_GET_USER'));
    assert.ok(tools.every((tool) => tool.type === 'function' && tool.function.parameters.type === 'object'));
    assert.ok((await composio.tools.get('someone', { toolkits: ['github'], limit: 9999 })).length > 40);
    assert.equal((await composio.tools.get('someone', { toolkits: ['github'], limit: 3 })).length, 3);
  });

  test('tools are found by words and by tag', async () => {
    const found = await composio.tools.get('someone', { toolkits: ['github'], search: 'create issue' });
    assert.ok(found.some((tool) => tool.function.name === 'GITHUB_CREATE_AN_ISSUE'));
    // Among all toolkits, in other words than the tool's own, and with a typo.
    const all = await composio.tools.get('someone', { search: 'write an emial to somebody', limit: 5 });
    assert.ok(all.some((tool) => tool.function.name === 'GMAIL_SEND_EMAIL'));
    const tagged = await composio.tools.getRawComposioTools({ toolkits: ['acme'], tags: ['people'] });
    assert.deepEqual(tagged.map((tool) => tool.slug), ['ACME_WHO_AM_I']);
  });

  test('wrong slugs among right ones are left out', async () => {
    const tools = await composio.tools.get('someone', { tools: ['HACKERNEWS_GET_USER', 'NO_SUCH_TOOL', 'ACME_ECHO'] });
    assert.deepEqual(tools.map((tool) => tool.function.name).sort(), ['ACME_ECHO', 'HACKERNEWS_GET_USER']);
    assert.equal((await failure(composio.tools.getRawComposioToolBySlug('acme_echo'))).name, 'ComposioToolNotFoundError');
  });

  test('the enumeration of tools is a list', async () => {
    assert.ok([...await composio.tools.getToolsEnum()].join('').includes('HACKERNEWS_GET_USER'));
  });

  test('execution without a version is refused before it is sent', async () => {
    const user = someone();
    const id = await connect(user);
    const error = await failure(composio.tools.execute('ACME_ECHO', { userId: user, arguments: { message: 'never' } }));
    assert.match(error.message, /version not specified/i); // 0.6.4 gives it a plain name
    const logs = await fetch(`${env.base}/api/v3/internal/action_execution/logs`, {
      method: 'POST',
      headers: { 'x-api-key': project.api_key, 'content-type': 'application/json' },
      body: JSON.stringify({ limit: 100, cursor: null }),
    });
    assert.ok(!(await logs.text()).includes(id));
  });

  test('a pinned version executes', async () => {
    const result = await execute('HACKERNEWS_GET_USER', 'someone', { username: 'pg' });
    assert.equal(result.successful, true);
    assert.equal(result.error, null);
    assert.ok(result.logId);
    assert.equal(result.data.karma, 157316);
  });

  test('the latest version executes when the check is skipped', async () => {
    const result = await composio.tools.execute('HACKERNEWS_GET_USER', {
      userId: 'someone', arguments: { userId: 'pg' }, dangerouslySkipVersionCheck: true,
    });
    assert.equal(result.data.username, 'pg');
  });

  test('versions given to the constructor are used', async () => {
    const pinned = sdk(project.api_key, { toolkitVersions: { hackernews: VERSION } });
    const result = await pinned.tools.execute('HACKERNEWS_GET_USER', { userId: 'someone', arguments: { username: 'pg' } });
    assert.equal(result.successful, true);
    assert.equal((await pinned.tools.getRawComposioToolBySlug('HACKERNEWS_GET_USER')).version, VERSION);
    await failure(sdk(project.api_key, { toolkitVersions: { hackernews: '19990101_00' } })
      .tools.getRawComposioToolBySlug('HACKERNEWS_GET_USER'));
  });

  test('a failure of the provider is a readable result', async () => {
    const user = someone();
    await connect(user);
    const result = await execute('ACME_STATUS', user, { status: 422 });
    assert.equal(result.successful, false);
    assert.match(result.error, /You asked for 422/);
  });

  test('a missing argument is a 400 that lists every problem', async () => {
    const user = someone();
    await connect(user);
    const answer = answerOf(await failure(execute('ACME_ECHO', user, { count: 99 })));
    assert.equal(answer.status, 400);
    assert.ok(answer.error.error.errors.length >= 2);
  });

  test('credentials can come with the call', async () => {
    const user = someone();
    assert.deepEqual(await whoAmI(user, {
      customAuthParams: { parameters: [{ name: 'X-Api-Key', value: 'acme-key-2', in: 'header' }] },
    }), { user: 'key-2' });
    assert.deepEqual(await whoAmI(user, {
      customConnectionData: { authScheme: 'API_KEY', toolkitSlug: 'acme', val: { generic_api_key: 'acme-key-2' } },
    }), { user: 'key-2' });
  });

  test('the proxy sends credentials, headers and query', async () => {
    const connectedAccountId = await connect(someone());
    const read = await composio.tools.proxyExecute({
      endpoint: '/echo', method: 'GET', connectedAccountId,
      parameters: [{ name: 'X-Note', value: 'hi', in: 'header' }, { name: 'q', value: 1, in: 'query' }],
    });
    assert.equal(read.status, 200);
    assert.equal(read.data.user, 'key-1');
    assert.equal(read.data.headers['x-note'], 'hi');
    assert.deepEqual(read.data.query, { q: '1' });
    const written = await composio.tools.proxyExecute({ endpoint: '/echo', method: 'POST', connectedAccountId, body: { hello: 'world' } });
    assert.match(written.data.body, /world/);
    const picture = await composio.tools.proxyExecute({ endpoint: '/pixel', method: 'GET', connectedAccountId });
    assert.equal(picture.binary_data.content_type, 'image/png');
  });

  test("an agent's tool call is executed", async () => {
    const user = someone();
    await connect(user);
    await composio.tools.get(user, { tools: ['ACME_ECHO'] });
    const output = await composio.provider.executeToolCall(user, {
      id: 'call_1', type: 'function', function: { name: 'ACME_ECHO', arguments: '{"message": "from a model"}' },
    });
    assert.match(output, /from a model/);
  });

  test('a deprecated tool says so', async () => {
    assert.equal((await composio.tools.getRawComposioToolBySlug('ACME_OLD_ECHO')).isDeprecated, true);
    assert.equal((await composio.tools.getRawComposioToolBySlug('ACME_ECHO')).isDeprecated, false);
  });
});
