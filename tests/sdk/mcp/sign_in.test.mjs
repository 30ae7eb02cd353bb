// The official TypeScript MCP client signs a person in by itself: it is given the URL of an endpoint and
// nothing else. The person's browser is played over plain HTTP.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { auth } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';

const base = process.env.BASE_URL;
const json = { 'content-type': 'application/json' };

async function newProject() {
  const response = await fetch(`${base}/api/v3/org/owner/project/new`, {
    method: 'POST',
    headers: { ...json, 'x-org-api-key': process.env.ORG_API_KEY },
    body: JSON.stringify({ name: `mcp-${randomBytes(6).toString('hex')}`, should_create_api_key: true }),
  });
  assert.equal(response.status, 200);
  return (await response.json()).api_key;
}

async function post(key, path, body) {
  const response = await fetch(`${base}${path}`, { method: 'POST', headers: { ...json, 'x-api-key': key }, body: JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, text);
  return JSON.parse(text);
}

// What an application keeps for the client: it forgets nothing, and notes where the browser is sent.
class Keeper {
  redirectUrl = 'http://127.0.0.1:33418/callback';
  clientMetadata = {
    client_name: 'Acceptance tests', redirect_uris: [this.redirectUrl], grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'], token_endpoint_auth_method: 'client_secret_post',
  };
  state() { return 'state-1'; }
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  redirectToAuthorization(url) { this.sentTo = url; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
}

async function person(url, fields) {
  const shown = await fetch(url);
  assert.equal(shown.status, 200);
  const html = await shown.text();
  assert.match(html, /Acceptance tests/);
  const proof = html.match(/name="proof" value="([0-9a-f]+)"/)[1];
  const cookie = shown.headers.getSetCookie()[0].split(';')[0];
  const sent = await fetch(url, {
    method: 'POST', redirect: 'manual', headers: { cookie }, body: new URLSearchParams({ proof, ...fields }),
  });
  assert.equal(sent.status, 303, await sent.text());
  return new URL(sent.headers.get('location'));
}

async function signIn(serverUrl, key) {
  const keeper = new Keeper();
  assert.equal(await auth(keeper, { serverUrl }), 'REDIRECT');
  const back = await person(keeper.sentTo, { api_key: key, action: 'allow' });
  assert.equal(`${back.origin}${back.pathname}`, keeper.redirectUrl);
  assert.equal(back.searchParams.get('state'), 'state-1');
  assert.equal(back.searchParams.get('iss'), base);
  assert.equal(await auth(keeper, { serverUrl, authorizationCode: back.searchParams.get('code') }), 'AUTHORIZED');
  return keeper;
}

async function connect(url, authProvider) {
  const client = new Client({ name: 'tests', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider }));
  return client;
}

describe('the MCP client signs in', () => {
  test('to a session, lists its tools, and renews its token', async () => {
    const key = await newProject();
    const session = await post(key, '/api/v3.1/tool_router/session', { user_id: 'ann' });
    const other = await post(key, '/api/v3.1/tool_router/session', { user_id: 'bob' });
    const url = session.mcp.url;
    const keeper = await signIn(url, key);
    const client = await connect(url, keeper);
    assert.ok((await client.listTools()).tools.length > 0);
    await client.close();
    const before = keeper.saved;
    assert.equal(await auth(keeper, { serverUrl: url }), 'AUTHORIZED');
    assert.notEqual(keeper.saved.access_token, before.access_token);
    assert.notEqual(keeper.saved.refresh_token, before.refresh_token);
    await (await connect(url, keeper)).close();
    // The token is for this session alone.
    const bearer = { authorization: `Bearer ${keeper.saved.access_token}`, accept: 'application/json, text/event-stream', ...json };
    const foreign = await fetch(other.mcp.url, {
      method: 'POST', headers: bearer, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
    });
    assert.equal(foreign.status, 401);
    assert.match(foreign.headers.get('www-authenticate'), /resource_metadata=/);
  });

  test('to an MCP server when a 401 asks it to', async () => {
    const key = await newProject();
    const server = await post(key, '/api/v3/mcp/servers/custom', { name: 'Signed in', toolkits: ['hackernews'] });
    const url = `${server.mcp_url}?user_id=ann`;
    const keeper = new Keeper();
    await assert.rejects(connect(url, keeper), UnauthorizedError);
    const back = await person(keeper.sentTo, { api_key: key, action: 'allow' });
    const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: keeper });
    await transport.finishAuth(back.searchParams.get('code'));
    const client = await connect(url, keeper);
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    assert.ok(names.includes('HACKERNEWS_GET_USER'), String(names));
    await client.close();
  });

  test('and hears a no', async () => {
    const key = await newProject();
    const session = await post(key, '/api/v3.1/tool_router/session', { user_id: 'ann' });
    const keeper = new Keeper();
    assert.equal(await auth(keeper, { serverUrl: session.mcp.url }), 'REDIRECT');
    const back = await person(keeper.sentTo, { action: 'deny' });
    assert.equal(back.searchParams.get('error'), 'access_denied');
    assert.equal(back.searchParams.get('code'), null);
  });
});
