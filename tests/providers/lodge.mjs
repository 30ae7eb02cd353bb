// Lodge, a provider that is entered by every kind of key but a plain one: signed assertions, logins
// with a user name, sessions, managed users, and OAuth 1.0a. Signatures are checked by the libraries
// jose and oauth-1.0a. Every token that it gave can be made void, so that the next call has to get a
// new one.
import { createServer } from 'node:http';
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import { jwtVerify } from 'jose';
import OAuth from 'oauth-1.0a';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });

// What tests connect with.
export const LODGE_SECRETS = {
  basic_with_jwt: { username: 'ada', password: 'opensesame' },
  service_account: { application_id: 'app-7', installation_id: '42', private_key: pem },
  google_service_account: {
    credentials_json: JSON.stringify({
      type: 'service_account', client_email: 'robot@lodge.example', private_key: pem, private_key_id: 'key-1',
    }),
  },
  billcom_auth: { devKey: 'dev-1', username: 'bill', password: 'payday', organizationId: 'org-1' },
  oauth1: { consumer_key: 'consumer-1', consumer_secret: 'consumer-secret' },
  calcom_auth: { client_id: 'cal-1', client_secret: 'cal-secret', email: 'cal@lodge.example' },
};

export async function startLodge() {
  const tokens = new Map();
  const logins = new Map();
  const old = { tokens: new Map(), nonces: new Set() };
  const { consumer_key: key, consumer_secret: secret } = LODGE_SECRETS.oauth1;
  const oauth1 = new OAuth({
    consumer: { key, secret },
    signature_method: 'HMAC-SHA1',
    hash_function: (text, by) => createHmac('sha1', by).update(text).digest('base64'),
  });
  const give = (user) => {
    const token = randomBytes(18).toString('hex');
    tokens.set(token, user);
    logins.set(user, (logins.get(user) ?? 0) + 1);
    return token;
  };
  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
  const wrong = (message) => [401, { message, error_description: message }];

  async function signed(token, claims) {
    return (await jwtVerify(token, publicKey, { algorithms: ['RS256'], requiredClaims: ['iat', 'exp'], ...claims })).payload;
  }

  // The token of a signed request; throws when the signature, or anything about it, is not right.
  function checked(request, url, body) {
    const header = request.headers.authorization ?? '';
    const given = Object.fromEntries([...header.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, k, v]) => [k, decodeURIComponent(v)]));
    const { oauth_signature: signature, realm: _, ...signed } = given;
    const form = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')
      ? Object.fromEntries(new URLSearchParams(body)) : {};
    const token = old.tokens.get(signed.oauth_token);
    const late = Math.abs(Date.now() / 1000 - Number(signed.oauth_timestamp)) > 300;
    if (signed.oauth_consumer_key !== key || late || old.nonces.has(signed.oauth_nonce)) throw new Error('not a fresh request');
    if (signed.oauth_token && !token) throw new Error('an unknown token');
    const right = oauth1.getSignature({ url: url.href, method: request.method, data: form }, token?.secret, signed);
    if (signature !== right) throw new Error('a wrong signature');
    old.nonces.add(signed.oauth_nonce);
    return { token, signed };
  }

  function newToken(more) {
    const [token, tokenSecret] = [0, 0].map(() => randomBytes(12).toString('hex'));
    old.tokens.set(token, { secret: tokenSecret, ...more });
    return new URLSearchParams({ oauth_token: token, oauth_token_secret: tokenSecret, oauth_callback_confirmed: 'true' }).toString();
  }

  function oldWay(request, url, body) {
    if (url.pathname === '/oauth1/request_token') {
      return [200, newToken({ callback: checked(request, url, body).signed.oauth_callback })];
    }
    if (url.pathname === '/oauth1/authorize') {
      const name = url.searchParams.get('oauth_token');
      const token = old.tokens.get(name);
      if (request.method === 'GET') {
        return [200, `<!doctype html><title>Lodge</title><form method="post"><label>Login <input name="login"></label>
          <button name="action" value="continue">Continue</button></form>`, { 'content-type': 'text/html' }];
      }
      token.user = new URLSearchParams(body).get('login');
      token.verifier = randomBytes(8).toString('hex');
      const back = new URL(token.callback);
      back.searchParams.set('oauth_token', name);
      back.searchParams.set('oauth_verifier', token.verifier);
      return [302, '', { location: back.href }];
    }
    const { token, signed } = checked(request, url, body);
    if (!token.verifier || token.verifier !== signed.oauth_verifier) throw new Error('a wrong verifier');
    old.tokens.delete(signed.oauth_token);
    return [200, newToken({ user: token.user, isGood: true })];
  }

  async function answer(request, url, body) {
    const { headers } = request;
    const json = () => JSON.parse(body || '{}');
    if (url.pathname === '/login') {
      const { user, pass } = json();
      const { username, password } = LODGE_SECRETS.basic_with_jwt;
      if (user !== username || pass !== password) return wrong('No such user, or another password');
      return [200, { jwt: give('basic-with-jwt'), until: inAnHour() }];
    }
    const [, installation] = url.pathname.match(/^\/installations\/(\d+)\/access_tokens$/) ?? [];
    if (installation) {
      await signed(headers.authorization.slice('Bearer '.length), { issuer: 'app-7' });
      if (installation !== '42') return wrong('Unknown installation');
      return [201, { token: give('service-account'), expires_at: inAnHour() }];
    }
    if (url.pathname === '/google/token') {
      const form = new URLSearchParams(body);
      await signed(form.get('assertion'), { issuer: 'robot@lodge.example', audience: 'https://lodge.example/token' });
      return [200, { access_token: give('google-service-account'), token_type: 'Bearer', expires_in: 3600 }];
    }
    if (url.pathname === '/v3/login') {
      const given = json();
      const right = Object.entries(LODGE_SECRETS.billcom_auth).every(([name, value]) => given[name] === value);
      if (!right) return [401, [{ code: 'BDC_1109', message: 'Username, password, or organization is wrong' }]];
      return [200, { sessionId: give('billcom'), organizationId: 'org-1', userId: 'u-1' }];
    }
    if (url.pathname.startsWith('/v2/oauth-clients/cal-1/users')) {
      if (headers['x-cal-secret-key'] !== 'cal-secret') return [401, { error: { message: 'Invalid client' } }];
      if (request.method === 'GET') {
        const known = url.searchParams.get('emails') === LODGE_SECRETS.calcom_auth.email;
        return [200, { data: known ? [{ id: 9 }] : [] }];
      }
      return [200, { data: { accessToken: give('calcom'), accessTokenExpiresAt: Date.now() + 3_600_000 } }];
    }
    if (url.pathname.startsWith('/oauth1/')) return oldWay(request, url, body);
    if (url.pathname === '/me' && headers.authorization?.startsWith('OAuth ')) {
      const { token } = checked(request, url, body);
      return token?.isGood ? [200, { user: token.user }] : wrong('Not an access token');
    }
    if (url.pathname === '/me') {
      const token = headers.sessionid ?? headers.authorization?.split(' ')[1];
      if (headers.sessionid && headers.devkey !== 'dev-1') return wrong('The developer key is missing');
      return tokens.has(token) ? [200, { user: tokens.get(token) }] : wrong('Not a token of ours');
    }
    if (url.pathname === '/test/logins') return [200, Object.fromEntries(logins)];
    if (url.pathname === '/test/drop') {
      for (const [token, user] of tokens) if (user === url.searchParams.get('user')) tokens.delete(token);
      return [200, {}];
    }
    return [404, { message: `Lodge has no ${url.pathname}` }];
  }

  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    let result;
    try {
      result = await answer(request, new URL(request.url, `http://${request.headers.host}`), Buffer.concat(chunks).toString());
    } catch (error) {
      result = wrong(`The signature is not good: ${error.code ?? error.message}`);
    }
    const [status, data, more] = result;
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    const type = typeof data === 'string' ? 'application/x-www-form-urlencoded' : 'application/json';
    response.writeHead(status, { 'content-type': type, ...more }).end(text);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${server.address().port}`;
}
