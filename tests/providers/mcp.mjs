// Two remote MCP servers that connect by OAuth with clients that register themselves.
//
// Tidepool is the SDK's own authorization server and MCP server in one place, as most of them are.
// Harbour keeps them apart: the MCP server names an authorization server elsewhere, at an issuer
// with a path: oidc-provider, with resource indicators, short-lived registrations that can be
// managed, and its name in every answer.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { randomBytes, randomUUID } from 'node:crypto';
import express from 'express';
import Provider from 'oidc-provider';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidGrantError, InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { interaction } from './acme.mjs';

const seconds = () => Math.floor(Date.now() / 1000);

async function listening(handler) {
  const server = createServer(handler);
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return [server, `http://127.0.0.1:${server.address().port}`];
}

// A server whose one tool says who calls.
function mcp(app, auth) {
  app.all('/mcp', auth, express.json(), async (request, response) => {
    const server = new McpServer({ name: 'test', version: '1.0.0' });
    server.registerTool('whoami', { description: 'Says who calls' }, () => ({
      content: [{ type: 'text', text: request.auth.extra.user }],
    }));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
    response.on('close', () => transport.close());
    await server.connect(transport);
    await transport.handleRequest(request, response, request.body);
  });
}

// Tokens in memory; a refresh token works once.
class TidepoolAuth {
  clients = new Map();
  codes = new Map();
  access = new Map();
  refresh = new Map();
  counts = { registrations: 0, refreshes: 0 };

  clientsStore = {
    getClient: (id) => this.clients.get(id),
    registerClient: (client) => {
      this.counts.registrations += 1;
      this.clients.set(client.client_id, client);
      return client;
    },
  };

  async authorize(client, params, response) {
    const id = randomUUID();
    this.codes.set(id, { ...params, client: client.client_id });
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>Tidepool</title><form method="post" action="/consent">
      <input type="hidden" name="id" value="${id}"><label>Login <input name="login"></label>
      <button name="action" value="continue">Continue</button></form>`);
  }

  consent(id, user) {
    const asked = this.codes.get(id);
    const code = randomBytes(16).toString('hex');
    this.codes.delete(id);
    this.codes.set(code, { ...asked, user });
    const to = new URL(asked.redirectUri);
    to.searchParams.set('code', code);
    if (asked.state) to.searchParams.set('state', asked.state);
    return to.href;
  }

  async challengeForAuthorizationCode(_client, code) {
    const asked = this.codes.get(code);
    if (!asked) throw new InvalidGrantError('Unknown code');
    return asked.codeChallenge;
  }

  issue(grant) {
    const [access, refresh] = [0, 0].map(() => randomBytes(24).toString('hex'));
    this.access.set(access, { ...grant, expiresAt: seconds() + 3600 });
    this.refresh.set(refresh, grant);
    return {
      access_token: access, refresh_token: refresh, token_type: 'bearer', expires_in: 3600, scope: grant.scopes.join(' '),
    };
  }

  async exchangeAuthorizationCode(client, code, _verifier, redirectUri, resource) {
    const asked = this.codes.get(code);
    this.codes.delete(code);
    if (!asked?.user || asked.client !== client.client_id || asked.redirectUri !== redirectUri) {
      throw new InvalidGrantError('Unknown code');
    }
    if (!resource || resource.href !== asked.resource?.href) throw new InvalidGrantError('Wrong resource');
    const { user, scopes } = asked;
    return this.issue({ user, scopes: scopes ?? [], client: client.client_id, resource });
  }

  async exchangeRefreshToken(client, token, _scopes, resource) {
    const grant = this.refresh.get(token);
    this.refresh.delete(token);
    if (grant?.client !== client.client_id) throw new InvalidGrantError('Unknown refresh token');
    if (resource?.href !== grant.resource.href) throw new InvalidGrantError('Wrong resource');
    this.counts.refreshes += 1;
    return this.issue(grant);
  }

  async verifyAccessToken(token) {
    const grant = this.access.get(token);
    if (!grant) throw new InvalidTokenError('Unknown token');
    return {
      token, clientId: grant.client, scopes: grant.scopes, expiresAt: grant.expiresAt, resource: grant.resource,
      extra: { user: grant.user },
    };
  }

  async revokeToken(_client, { token }) {
    this.access.delete(token);
    this.refresh.delete(token);
  }
}

export async function startTidepool() {
  const app = express();
  const [, origin] = await listening(app);
  const auth = new TidepoolAuth();
  app.use(mcpAuthRouter({
    provider: auth,
    issuerUrl: new URL(origin),
    resourceServerUrl: new URL('/mcp', origin),
    scopesSupported: ['tools'],
    clientRegistrationOptions: { rateLimit: false },
    authorizationOptions: { rateLimit: false },
    tokenOptions: { rateLimit: false },
    revocationOptions: { rateLimit: false },
  }));
  mcp(app, requireBearerAuth({
    verifier: auth,
    requiredScopes: ['tools'],
    resourceMetadataUrl: `${origin}/.well-known/oauth-protected-resource/mcp`,
    expectedResource: `${origin}/mcp`,
  }));
  app.post('/consent', express.urlencoded({ extended: false }), (request, response) => {
    response.redirect(auth.consent(request.body.id, request.body.login || 'nobody'));
  });
  app.get('/test/counts', (_, response) => response.json(auth.counts));
  app.get('/test/forget-clients', (_, response) => {
    auth.clients.clear();
    response.sendStatus(204);
  });
  app.get('/test/drop-access', (_, response) => {
    auth.access.clear();
    response.sendStatus(204);
  });
  return origin;
}

export async function startHarbour(logFile) {
  let oauth;
  let provider;
  const [server, origin] = await listening((request, response) => oauth(request, response));
  const app = express();
  const [, elsewhere] = await listening(app);
  const resource = `${elsewhere}/mcp`;
  const issuer = `${origin}/tenant`;
  provider = new Provider(issuer, {
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    scopes: ['openid', 'offline_access'],
    clients: [{ client_id: 'harbour-mcp', client_secret: 'harbour-mcp-secret', redirect_uris: [], response_types: [], grant_types: [] }],
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      registrationManagement: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, indicator) => {
          if (indicator !== resource) throw new Error('another resource');
          return { scope: 'tools:read tools:call', audience: resource, accessTokenTTL: 3600, accessTokenFormat: 'opaque' };
        },
        useGrantedResource: () => false,
      },
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    interactions: { url: (_, { uid }) => `/login/${uid}` },
    cookies: { keys: ['only for tests'], long: { path: '/' }, short: { path: '/' } },
    ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 86400, IdToken: 3600, Interaction: 3600, RefreshToken: 86400, Session: 86400 },
  });
  const counts = { registrations: 0, refreshes: 0 };
  provider.on('registration_create.success', () => { counts.registrations += 1; });
  provider.on('grant.success', ({ oidc }) => {
    if (oidc.params.grant_type === 'refresh_token') counts.refreshes += 1;
  });
  for (const event of ['grant.error', 'registration_create.error', 'authorization.error', 'server_error']) {
    provider.on(event, (_, error) => appendFileSync(logFile, `${event} ${error.message} ${error.error_description ?? ''}\n`));
  }
  const handler = provider.callback();
  oauth = async (request, response) => {
    const url = new URL(request.url, origin);
    appendFileSync(logFile, `${request.method} ${url.pathname}\n`);
    try {
      if (url.pathname.startsWith('/login/')) return await interaction(provider, request, response);
    } catch (error) {
      appendFileSync(logFile, `${error.stack}\n`);
      return response.writeHead(400).end(String(error.message));
    }
    // The issuer's path is not the provider's own.
    const below = request.url.match(/^\/tenant(\/.*)$/)?.[1];
    if (!below) return response.writeHead(404).end();
    request.originalUrl = request.url;
    request.url = below;
    return handler(request, response);
  };
  server.on('error', (error) => appendFileSync(logFile, `${error.stack}\n`));

  const place = '/.well-known/oauth-protected-resource/mcp';
  app.get(place, (_, response) => response.json({
    resource, authorization_servers: [issuer], scopes_supported: ['tools:read', 'tools:call'],
  }));
  mcp(app, requireBearerAuth({
    requiredScopes: ['tools:read'],
    resourceMetadataUrl: `${elsewhere}${place}`,
    expectedResource: resource,
    verifier: {
      async verifyAccessToken(token) {
        const answer = await fetch(`${issuer}/token/introspection`, {
          method: 'POST',
          headers: { authorization: `Basic ${Buffer.from('harbour-mcp:harbour-mcp-secret').toString('base64')}` },
          body: new URLSearchParams({ token }),
        });
        const found = await answer.json();
        if (!found.active) throw new InvalidTokenError('Not an active token');
        return {
          token, clientId: found.client_id, scopes: (found.scope ?? '').split(' '), expiresAt: found.exp,
          resource: new URL([found.aud].flat()[0]), extra: { user: found.sub },
        };
      },
    },
  }));
  app.get('/test/counts', (_, response) => response.json(counts));
  return elsewhere;
}
