// Starts every provider that the acceptance tests use, on free loopback ports. Ends by a signal, or
// when the process that started it is gone.
//
//   node start.mjs --callback <redirect URI of the server under test> --out <folder> --catalogue <toolkits>
//
// Writes to the folder: providers.yaml (PATCHBAY_PROVIDERS_FILE), toolkits (PATCHBAY_TOOLKITS_DIR),
// lodge.json (credentials), env (shell variables with the
// addresses) and logs; prints "ready" when all of them answer.
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KEYS, startAcme } from './acme.mjs';
import { startHackerNews } from './hackernews.mjs';
import { LODGE_SECRETS, startLodge } from './lodge.mjs';
import { startHarbour, startTidepool } from './mcp.mjs';

const { values: options } = parseArgs({
  options: { callback: { type: 'string' }, out: { type: 'string' }, catalogue: { type: 'string' } },
});
const here = import.meta.dirname;
mkdirSync(options.out, { recursive: true });

// Ports in a row, as the emulators want them. They are free now; nothing else here asks for them.
async function freeRow(count) {
  for (;;) {
    const first = 20000 + Math.floor(Math.random() * 20000);
    const held = [];
    try {
      for (let port = first; port < first + count; port += 1) {
        held.push(await new Promise((resolve, reject) => {
          const server = createServer().once('error', reject);
          server.listen(port, '127.0.0.1', () => resolve(server));
        }));
      }
      return first;
    } catch {
      // taken: another row
    } finally {
      await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
    }
  }
}

const services = ['github', 'google', 'slack', 'linear', 'stripe'];
// The last one is for vinyl, which the Python tests start by themselves.
const first = await freeRow(services.length + 1);
const vinyl = `http://127.0.0.1:${first + services.length}`;
const at = Object.fromEntries(services.map((name, i) => [name, `http://127.0.0.1:${first + i}`]));

const seed = readFileSync(join(here, 'emulate.yaml'), 'utf8').replaceAll('{callback}', options.callback);
writeFileSync(join(options.out, 'emulate.yaml'), seed);
const log = createWriteStream(join(options.out, 'emulate.log'));
const emulate = spawn(process.execPath, [
  join(here, 'node_modules/emulate/dist/index.js'), 'start', '--port', String(first),
  '--service', services.join(','), '--seed', join(options.out, 'emulate.yaml'),
], { stdio: ['ignore', 'pipe', 'pipe'] });
emulate.stdout.pipe(log);
emulate.stderr.pipe(log);

let ending = false;
function end(code) {
  if (ending) return;
  ending = true;
  emulate.kill();
  process.exit(code);
}
emulate.on('exit', (code) => {
  if (!ending) console.error(`emulate ended with ${code}: see ${join(options.out, 'emulate.log')}`);
  end(1);
});
process.on('SIGTERM', () => end(0));
process.on('SIGINT', () => end(0));
const parent = process.ppid;
setInterval(() => process.ppid === parent || end(0), 1000).unref();

// Keys of an account that is no person, one of each kind.
function robotKey(name, type, kind) {
  const { privateKey, publicKey } = generateKeyPairSync(type, kind);
  const file = join(options.out, name);
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return [file, publicKey.export({ type: 'spki', format: 'pem' })];
}
const [robot_rsa_key, rsa] = robotKey('robot-rsa.pem', 'rsa', { modulusLength: 2048 });
const [robot_ec_key, ec] = robotKey('robot-ec.pem', 'ec', { namedCurve: 'P-256' });

const acme = await startAcme(options.callback, join(options.out, 'acme.log'), { RS256: rsa, ES256: ec });
const hackernews = await startHackerNews();
const lodge = await startLodge();
const tidepool = await startTidepool();
const harbour = await startHarbour(join(options.out, 'harbour.log'));

// Google's authorization, tokens and APIs have hosts of their own; the emulator has one for all.
const google = (base) => ({
  base_url: base,
  authorize_url: `${at.google}/o/oauth2/v2/auth`,
  token_url: `${at.google}/oauth2/token`,
  revoke_url: `${at.google}/oauth2/revoke`,
  managed: { client_id: 'google-client', client_secret: 'google-secret' },
});
const providers = {
  github: {
    base_url: at.github,
    authorize_url: `${at.github}/login/oauth/authorize`,
    token_url: `${at.github}/login/oauth/access_token`,
    managed: { client_id: 'github-client', client_secret: 'github-secret' },
  },
  gmail: google(at.google),
  googlecalendar: google(`${at.google}/calendar/v3`),
  slack: {
    base_url: `${at.slack}/api`,
    authorize_url: `${at.slack}/oauth/v2/authorize`,
    token_url: `${at.slack}/api/oauth.v2.access`,
    managed: { client_id: 'slack-client', client_secret: 'slack-secret' },
  },
  linear: {
    base_url: at.linear,
    authorize_url: `${at.linear}/oauth/authorize`,
    token_url: `${at.linear}/oauth/token`,
    revoke_url: `${at.linear}/oauth/revoke`,
    managed: { client_id: 'linear-client', client_secret: 'linear-secret' },
  },
  stripe: { base_url: at.stripe },
  hackernews: { base_url: hackernews },
  // Two remote MCP servers in place of well-known ones: their clients register themselves.
  linear_mcp: { base_url: `${tidepool}/mcp` },
  notion_mcp: { base_url: `${harbour}/mcp` },
  any_mcp: { hosts: ['127.0.0.1'] },
  acme: {
    base_url: acme,
    authorize_url: `${acme}/oauth/auth`,
    token_url: `${acme}/oauth/token`,
    revoke_url: `${acme}/oauth/token/revocation`,
    managed: { client_id: 'acme-managed', client_secret: 'acme-managed-secret' },
  },
  vinyl: { base_url: vinyl, authorize_url: `${vinyl}/oauth/authorize`, token_url: `${vinyl}/oauth` },
};
for (const slug of ['acme_post', 'acme_public', 'acme_key', 'acme_key_itself', 'acme_itself', 'acme_own_client']) {
  const { managed, ...endpoints } = providers.acme;
  providers[slug] = endpoints;
}
for (const [name, { privateKey }] of Object.entries(KEYS)) {
  writeFileSync(join(options.out, `${name}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
}
writeFileSync(join(options.out, 'providers.yaml'), JSON.stringify(providers, null, 2)); // JSON is YAML
writeFileSync(join(options.out, 'env'), [
  ...Object.entries({ ...at, acme, hackernews, vinyl, lodge, tidepool, harbour }).map(([name, url]) => `export ${name.toUpperCase()}_URL=${url}`),
  ...Object.entries({ robot_rsa_key, robot_ec_key }).map(([name, file]) => `export ${name.toUpperCase()}='${file}'`),
  ...Object.keys(KEYS).map((name) => `export ACME_${name.toUpperCase()}=${join(options.out, `${name}.pem`)}`),
  `export LODGE_SECRETS=${JSON.stringify(join(options.out, 'lodge.json'))}`,
  '',
].join('\n'));
writeFileSync(join(options.out, 'lodge.json'), JSON.stringify(LODGE_SECRETS));

// Toolkits that the providers file cannot move: the address is put into the definition.
const toolkits = join(options.out, 'toolkits');
cpSync(join(here, 'toolkits'), toolkits, { recursive: true });
const definition = join(toolkits, 'lodge/toolkit.yaml');
writeFileSync(definition, readFileSync(definition, 'utf8')
  .replace('base_url: https://lodge.example', `base_url: ${lodge}`)
  .replaceAll('https://lodge.example/oauth1', `${lodge}/oauth1`));

// The toolkit for any remote MCP server as it is, but for https, which those here do not have.
mkdirSync(join(toolkits, 'any_mcp'));
writeFileSync(join(toolkits, 'any_mcp/toolkit.yaml'), readFileSync(join(options.catalogue, 'mcp/toolkit.yaml'), 'utf8')
  .replace('slug: mcp', 'slug: any_mcp')
  .replace('base_url: https://', 'base_url: http://'));

for (let tries = 0; ; tries += 1) {
  try {
    await Promise.all(Object.values(at).map((url) => fetch(url)));
    break;
  } catch (error) {
    if (tries > 300) {
      console.error(`the emulators do not answer: ${error}`);
      end(1);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}
console.log('ready');
