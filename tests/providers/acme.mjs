// Acme, a provider that takes its security seriously: OAuth 2.0 by oidc-provider with login and
// consent pages, PKCE, short or revoked access tokens and rotating refresh tokens; and an API that
// checks every credential. Bearer tokens are checked by introspection, on each request.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { importSPKI, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';

const API_KEYS = new Map([['acme-key-1', 'key-1'], ['acme-key-2', 'key-2']]);
const BEARERS = new Map([['acme-bearer-1', 'bearer-1']]);
const BASIC = new Map([['acme:opensesame', 'basic-acme']]);
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=', 'base64');
const SHORT_LIFE_S = 2;
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ROBOT = 'robot@acme.example';

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const page = (title, body) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<link rel="icon" href="data:,"></head><body><h1>${title}</h1>${body}</body></html>`;

function client(client_id, callback) {
  return {
    client_id,
    client_secret: `${client_id}-secret`,
    redirect_uris: [callback],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  };
}

// Clients that show who they are in each of the ways there are; tests are given their keys.
export const KEYS = {
  rs256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  es256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};

function waysToAuthenticate(callback) {
  const itself = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] };
  const byKey = (alg) => ({
    client_id: `acme-${alg}`,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg.toUpperCase(),
    jwks: { keys: [{ ...KEYS[alg].publicKey.export({ format: 'jwk' }), kid: `${alg}-1`, use: 'sig' }] },
  });
  const { client_secret: _, ...open } = client('acme-public', callback);
  const { client_secret: __, ...keyed } = client('acme-es256', callback);
  return [
    { ...client('acme-post', callback), token_endpoint_auth_method: 'client_secret_post' },
    { ...open, token_endpoint_auth_method: 'none', application_type: 'native' },
    { ...keyed, ...byKey('es256') },
    { ...itself, ...byKey('rs256') },
    // A secret with everything that a basic header has to escape.
    { ...itself, client_id: 'acme-itself', client_secret: 'it: self+/ %&=~secret' },
  ];
}

function openid(issuer, callback) {
  const provider = new Provider(issuer, {
    clients: [
      client('acme-managed', callback),
      client('acme-short', callback),
      {
        client_id: 'acme-robot', token_endpoint_auth_method: 'none', redirect_uris: [], response_types: [],
        grant_types: [JWT_BEARER],
      },
      ...waysToAuthenticate(callback),
      { client_id: 'acme-api', client_secret: 'acme-api-secret', redirect_uris: [], response_types: [], grant_types: [] },
    ],
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    scopes: ['openid', 'offline_access', 'reports:read', 'reports:write'],
    routes: {
      authorization: '/oauth/auth',
      token: '/oauth/token',
      revocation: '/oauth/token/revocation',
      introspection: '/oauth/token/introspection',
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
    },
    // One client is of the time before PKCE.
    pkce: { required: (_, { clientId }) => clientId !== 'acme-post' },
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
    cookies: { keys: ['only for tests'] },
    ttl: {
      AccessToken: (_, __, { clientId }) => (clientId === 'acme-short' ? SHORT_LIFE_S : 3600),
      AuthorizationCode: 60,
      Grant: 86400,
      IdToken: 3600,
      Interaction: 3600,
      RefreshToken: 86400,
      ClientCredentials: 3600,
      Session: 86400,
    },
  });
  provider.proxy = false;
  return provider;
}

async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// RFC 7523: an assertion that jose finds right is good for a token. `keys` are the robot's, by algorithm.
function acceptAssertions(provider, keys) {
  provider.registerGrantType(JWT_BEARER, async (ctx) => {
    const { client, params } = ctx.oidc;
    let claims;
    try {
      const { payload } = await jwtVerify(params.assertion, async ({ alg }) => importSPKI(keys[alg], alg), {
        issuer: ROBOT, audience: 'https://acme.example/oauth/token', algorithms: Object.keys(keys),
        requiredClaims: ['iat', 'exp'], maxTokenAge: '1h', clockTolerance: 5,
      });
      claims = payload;
    } catch (error) {
      throw new errors.InvalidGrant(`the assertion is not right: ${error.code}`);
    }
    const accountId = claims.sub ?? claims.iss;
    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    grant.addOIDCScope(claims.scope ?? 'openid');
    const token = new provider.AccessToken({
      accountId, client, grantId: await grant.save(), gty: 'jwt_bearer', scope: claims.scope ?? 'openid',
    });
    ctx.oidc.entity('AccessToken', token);
    ctx.body = { access_token: await token.save(), expires_in: token.expiration, token_type: 'Bearer' };
  }, ['assertion']);
}

// Login first, then consent, each a page with a form; Cancel is access_denied.
export async function interaction(provider, request, response) {
  const details = await provider.interactionDetails(request, response);
  const { uid, prompt, params } = details;
  if (request.method === 'POST') {
    const form = new URLSearchParams((await readBody(request)).toString());
    if (form.get('action') === 'cancel') {
      return provider.interactionFinished(request, response,
        { error: 'access_denied', error_description: 'The person said no' }, { mergeWithLastSubmission: false });
    }
    if (prompt.name === 'login') {
      return provider.interactionFinished(request, response,
        { login: { accountId: form.get('login') || 'nobody' } }, { mergeWithLastSubmission: false });
    }
    const grant = details.grantId
      ? await provider.Grant.find(details.grantId)
      : new provider.Grant({ accountId: details.session.accountId, clientId: params.client_id });
    if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
    for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
      grant.addResourceScope(resource, scopes.join(' '));
    }
    return provider.interactionFinished(request, response,
      { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
  }
  const fields = prompt.name === 'login'
    ? '<label>Login <input name="login" autofocus required></label>'
    : `<p>${escape(params.client_id)} asks for: ${escape(params.scope ?? 'nothing')}</p>`;
  const title = prompt.name === 'login' ? 'Sign in to Acme' : 'Allow access to Acme';
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(title,
    `<form method="post" action="/login/${uid}">${fields}
     <button name="action" value="continue">Continue</button>
     <button name="action" value="cancel" formnovalidate>Cancel</button></form>`));
}

export async function startAcme(callback, logFile, keys) {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = openid(issuer, callback);
  acceptAssertions(provider, keys);
  const oauth = provider.callback();

  // What was issued, by person: tests count it, and revoke it at the revocation endpoint.
  const issued = new Map();
  const note = (kind) => (token) => {
    const all = issued.get(token.accountId) ?? { access: [], refresh: [] };
    all[kind].push(token.jti);
    issued.set(token.accountId, all);
  };
  provider.on('access_token.saved', note('access'));
  provider.on('refresh_token.saved', note('refresh'));
  provider.on('server_error', (_, error) => appendFileSync(logFile, `server_error ${error.stack}\n`));
  for (const event of ['grant.error', 'revocation.error', 'introspection.error', 'authorization.error']) {
    provider.on(event, (_, error) => appendFileSync(logFile, `${event} ${error.message} ${error.error_description ?? ''}\n`));
  }
  let refreshes = 0;
  provider.on('grant.success', ({ oidc }) => {
    if (oidc.params.grant_type === 'refresh_token') refreshes += 1;
  });

  async function identify(headers) {
    const [kind, value] = (headers.authorization ?? '').split(/ (.*)/s);
    if (headers['x-api-key']) return API_KEYS.get(headers['x-api-key']);
    if (kind === 'Basic') return BASIC.get(Buffer.from(value, 'base64').toString());
    if (kind !== 'Bearer') return undefined;
    if (BEARERS.has(value)) return BEARERS.get(value);
    const answer = await fetch(`${issuer}/oauth/token/introspection`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from('acme-api:acme-api-secret').toString('base64')}` },
      body: new URLSearchParams({ token: value }),
    });
    const token = await answer.json();
    return token.active && token.token_type !== undefined ? token.sub ?? token.client_id : undefined;
  }

  async function api(request, response, url) {
    const send = (status, body, headers = {}) => response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(body === undefined ? '' : JSON.stringify(body));
    const who = await identify(request.headers);
    if (!who) return send(401, { message: 'Credentials are missing, unknown, expired or revoked' });
    const path = url.pathname.slice('/v1'.length);
    const [, status] = path.match(/^\/status\/(\d{3})$/) ?? [];
    if (status) return send(Number(status), Number(status) === 204 ? undefined : { message: `You asked for ${status}` });
    if (path === '/me') return send(200, { user: who });
    if (path === '/pixel') {
      return response.writeHead(200, { 'content-type': 'image/png', 'content-length': PIXEL.length }).end(PIXEL);
    }
    if (path.startsWith('/echo')) {
      const body = await readBody(request);
      return send(200, {
        user: who,
        method: request.method,
        path,
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        body: body.toString('utf8'),
        body_base64: body.toString('base64'),
      }, { 'x-acme': 'echo' });
    }
    return send(404, { message: `Acme has no ${path}` });
  }

  server.on('request', async (request, response) => {
    const url = new URL(request.url, issuer);
    appendFileSync(logFile, `${request.method} ${url.pathname}\n`);
    try {
      if (url.pathname.startsWith('/v1/')) await api(request, response, url);
      else if (url.pathname.startsWith('/login/')) await interaction(provider, request, response);
      else if (url.pathname === '/test/issued') {
        response.writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ ...(issued.get(url.searchParams.get('user')) ?? { access: [], refresh: [] }), refreshes }));
      } else if (url.pathname === '/test/drop-access') {
        // As when a provider ends a session: the access tokens are dead, the grant lives on.
        const { access } = issued.get(url.searchParams.get('user'));
        for (const jti of access) await (await provider.AccessToken.find(jti))?.destroy();
        response.writeHead(204).end();
      } else oauth(request, response);
    } catch (error) {
      appendFileSync(logFile, `${error.stack}\n`);
      if (!response.headersSent) response.writeHead(400, { 'content-type': 'text/plain' });
      response.end(String(error.message));
    }
  });
  return issuer;
}
