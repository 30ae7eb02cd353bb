// Items 16 to 25 again, by every scheme: connecting, calling, renewing.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { foreign } from './hosts.mjs';
import { VERSION, browse, core, env, newProject, queryOf, sdk, someone } from './support.mjs';

const lodge = process.env.LODGE_URL;
const secrets = JSON.parse(readFileSync(process.env.LODGE_SECRETS, 'utf8'));

let composio;
const configs = new Map();

before(async () => {
  composio = sdk((await newProject()).api_key);
});
after(() => assert.deepEqual(foreign, [], 'no host but loopback was contacted'));

async function config(toolkit, scheme, credentials = {}) {
  const key = `${toolkit} ${scheme}`;
  if (!configs.has(key)) {
    const options = scheme === 'managed'
      ? { type: 'use_composio_managed_auth' }
      : { type: 'use_custom_auth', name: 'Tests', authScheme: scheme, credentials };
    configs.set(key, (await composio.authConfigs.create(toolkit, options)).id);
  }
  return configs.get(key);
}

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    for (let e = error; e; e = e.cause) if (typeof e.status === 'number') return e;
    throw error;
  }
  return assert.fail('it did not fail');
}

const json = async (url) => (await fetch(url)).json();
const whoAmI = async (userId, more = {}) => (await composio.tools.execute('LODGE_WHO_AM_I', {
  userId, arguments: {}, version: VERSION, ...more,
})).data;

// Scheme, how the SDK writes it, who the provider says we are, and a value to spoil.
const state = (authScheme) => (val) => ({ authScheme, val: { status: 'ACTIVE', ...val } });
const LOGINS = [
  ['BASIC_WITH_JWT', (val) => core.AuthScheme.BasicWithJWT(val), 'basic-with-jwt', 'password'],
  ['GOOGLE_SERVICE_ACCOUNT', (val) => core.AuthScheme.GoogleServiceAccount(val), 'google-service-account', 'credentials_json'],
  ['SERVICE_ACCOUNT', state('SERVICE_ACCOUNT'), 'service-account', 'installation_id'],
  ['BILLCOM_AUTH', (val) => core.AuthScheme.BillcomAuth(val), 'billcom', 'password'],
  ['CALCOM_AUTH', (val) => core.AuthScheme.CalcomAuth(val), 'calcom', 'client_secret'],
];

describe('logins', () => {
  for (const [scheme, make, name, spoiled] of LOGINS) {
    const given = () => ({ ...secrets[scheme.toLowerCase()] });

    test(`${scheme} connects, calls and logs in again`, async () => {
      const user = someone();
      const request = await composio.connectedAccounts.initiate(user, await config('lodge', scheme), { config: make(given()) });
      assert.equal(request.status, 'ACTIVE');
      assert.equal((await request.waitForConnection(2000)).id, request.id);
      assert.deepEqual(await whoAmI(user), { user: name });
      const shown = JSON.stringify(await composio.connectedAccounts.get(request.id));
      assert.ok(scheme === 'SERVICE_ACCOUNT' || !shown.includes(given()[spoiled]));
      assert.ok(!shown.includes('PRIVATE KEY'));
      const logins = (await json(`${lodge}/test/logins`))[name];
      await fetch(`${lodge}/test/drop?user=${name}`);
      assert.deepEqual(await whoAmI(user), { user: name });
      assert.equal((await json(`${lodge}/test/logins`))[name], logins + 1);
      await composio.connectedAccounts.refresh(request.id);
      assert.equal((await composio.connectedAccounts.get(request.id)).status, 'ACTIVE');
      await composio.connectedAccounts.disable(request.id);
      assert.equal((await failure(whoAmI(user, { connectedAccountId: request.id }))).status, 400);
      await composio.connectedAccounts.enable(request.id);
      assert.deepEqual(await whoAmI(user), { user: name });
      await composio.connectedAccounts.delete(request.id);
      await assert.rejects(whoAmI(user), { name: 'ComposioConnectedAccountNotFoundError' });
    });

    test(`${scheme} refuses wrong credentials when connecting`, async () => {
      const user = someone();
      const wrong = given();
      wrong[spoiled] = wrong[spoiled].includes('BEGIN') ? wrong[spoiled].replace('BEGIN', 'BIGIN') : '13';
      const attempt = composio.connectedAccounts.initiate(user, await config('lodge', scheme), { config: make(wrong) });
      const answer = await failure(attempt);
      assert.equal(answer.status, 400);
      assert.ok(answer.error.error.suggested_fix);
      assert.deepEqual((await composio.connectedAccounts.list({ userIds: [user] })).items, []);
    });
  }
});

describe('other schemes', () => {
  test('OAUTH1 walks its three legs and signs every request', async () => {
    const user = someone();
    const id = await config('lodge', 'OAUTH1', secrets.oauth1);
    const request = await composio.connectedAccounts.link(user, id, { callbackUrl: env.callback });
    const landed = await browse(request.redirectUrl, { fill: { login: user } });
    assert.equal(queryOf(landed.url).status, 'success', landed.html);
    assert.equal((await request.waitForConnection(5000)).status, 'ACTIVE');
    for (let i = 0; i < 2; i += 1) assert.deepEqual(await whoAmI(user), { user });
    assert.ok(!JSON.stringify(await composio.connectedAccounts.get(request.id)).includes('consumer-secret'));
  });

  test('NO_AUTH needs nothing', async () => {
    const request = await composio.connectedAccounts.initiate(someone(), await config('hackernews', 'NO_AUTH'), { config: core.AuthScheme.NoAuth() });
    assert.equal(request.status, 'ACTIVE');
  });

  test('SAML is answered with what it is', async () => {
    const answer = await failure(config('acme', 'SAML'));
    assert.equal(answer.status, 501);
    assert.ok(answer.error.error.suggested_fix);
  });
});

describe('remote MCP servers', () => {
  const callMcp = async (connectedAccountId) => {
    const answer = await composio.tools.proxyExecute({
      endpoint: '/', method: 'POST', connectedAccountId,
      body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } },
    });
    return answer.data.result.content[0].text;
  };

  for (const [toolkit, url] of [['linear_mcp', process.env.TIDEPOOL_URL], ['notion_mcp', process.env.HARBOUR_URL]]) {
    test(`${toolkit} is found, registered with and called`, async () => {
      const user = someone();
      const counts = () => json(`${url}/test/counts`);
      const before = await counts();
      const request = await composio.connectedAccounts.link(user, await config(toolkit, 'managed'), { callbackUrl: env.callback });
      const landed = await browse(request.redirectUrl, { fill: { login: user } });
      assert.equal(queryOf(landed.url).status, 'success', landed.html);
      assert.equal((await request.waitForConnection(5000)).status, 'ACTIVE');
      assert.equal(await callMcp(request.id), user);
      const { state: shown } = await composio.connectedAccounts.get(request.id);
      assert.equal(shown.authScheme, 'DCR_OAUTH');
      assert.ok(shown.val.client_id && shown.val.access_token);
      const registered = await counts();
      const second = await composio.connectedAccounts.initiate(`${user}-2`, await config(toolkit, 'managed'), { callbackUrl: env.callback });
      await browse(second.redirectUrl, { fill: { login: `${user}-2` } });
      assert.equal((await second.waitForConnection(5000)).status, 'ACTIVE');
      await composio.connectedAccounts.refresh(request.id);
      const after = await counts();
      assert.equal(after.refreshes, before.refreshes + 1);
      assert.equal(after.registrations, registered.registrations, 'a second person needs no other client');
      assert.equal(await callMcp(request.id), user);
      await composio.connectedAccounts.delete(request.id);
    });
  }
});

describe('fields', () => {
  for (const [toolkit, scheme, creation, initiation] of [
    ['acme', 'OAUTH2', ['client_id', 'client_secret'], []],
    ['acme', 'API_KEY', [], ['generic_api_key']],
    ['acme', 'BASIC', [], ['password', 'username']],
    ['lodge', 'BASIC_WITH_JWT', [], ['password', 'username']],
    ['lodge', 'GOOGLE_SERVICE_ACCOUNT', [], ['credentials_json']],
    ['lodge', 'BILLCOM_AUTH', [], ['devKey', 'organizationId', 'password', 'username']],
    ['notion_mcp', 'DCR_OAUTH', [], []],
    ['mcp', 'DCR_OAUTH', [], ['server']],
  ]) {
    test(`${toolkit} lists the fields of ${scheme} that are needed`, async () => {
      const required = { requiredOnly: true };
      const names = (fields) => fields.map(({ name }) => name).sort();
      assert.deepEqual(names(await composio.toolkits.getAuthConfigCreationFields(toolkit, scheme, required)), creation);
      assert.deepEqual(names(await composio.toolkits.getConnectedAccountInitiationFields(toolkit, scheme, required)), initiation);
    });
  }
});
