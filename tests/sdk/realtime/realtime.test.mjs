// triggers.subscribe of released SDKs against the server, over TLS, on the ways of docs/REALTIME.md.
//
// What stands in for an operator's own: a certificate authority made here, a TLS proxy before the
// server, and for the label an /etc/hosts of the client's own (a mount namespace).

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { createServer } from 'node:tls';

const { BASE_URL, TLS_PORT, LABEL, PSQL, DATABASE_URL, ORG_API_KEY, WORK } = process.env;
const here = new URL('.', import.meta.url).pathname;

// An address of this machine that nothing else listens on: the label's port is always 443.
const LABEL_ADDRESS = '127.0.0.77';
const LABEL_HOST = `ws-${LABEL}.pusher.com`;

let folder;
let proxies;
let project;

function certificates() {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=Test CA', '-keyout', 'ca.key', '-out', 'ca.crt');
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-keyout', 'tls.key', '-out', 'tls.csr');
  writeFileSync(join(folder, 'san'), `subjectAltName=DNS:localhost,DNS:${LABEL_HOST}\n`);
  openssl('x509', '-req', '-in', 'tls.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-days', '2', '-extfile', 'san', '-out', 'tls.crt');
}

async function proxy(port, host) {
  const options = { key: readFileSync(join(folder, 'tls.key')), cert: readFileSync(join(folder, 'tls.crt')) };
  const server = createServer(options, (socket) => {
    const inner = connect(new URL(BASE_URL).port, '127.0.0.1');
    socket.on('error', () => inner.destroy()).pipe(inner);
    inner.on('error', () => socket.destroy()).pipe(socket);
  });
  await new Promise((resolve, reject) => server.on('error', reject).listen(port, host, resolve));
  return server;
}

async function call(path, key, options = {}) {
  const headers = { ...key, 'content-type': 'application/json' };
  const answer = await fetch(BASE_URL + path, { ...options, headers });
  return { status: answer.status, body: await answer.json() };
}

async function newProject() {
  const name = `realtime-${Math.random()}`;
  const body = JSON.stringify({ name, should_create_api_key: true });
  const answer = await call('/api/v3/org/owner/project/new', { 'x-org-api-key': ORG_API_KEY }, { method: 'POST', body });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-realtime-'));
  certificates();
  writeFileSync(join(folder, 'hosts'), `127.0.0.1 localhost\n${LABEL_ADDRESS} ${LABEL_HOST}\n`);
  proxies = [await proxy(Number(TLS_PORT), '127.0.0.1'), await proxy(443, LABEL_ADDRESS)];
  project = await newProject();
});

after(() => {
  for (const server of proxies ?? []) server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Puts an event where ingress and polls put it, and announces it with the commit, as they do. */
function inject(slug, data) {
  const id = `msg_${Math.random().toString(36).slice(2)}`;
  const metadata = { trigger_slug: slug, trigger_id: 'ti_1', connected_account_id: 'ca_1', auth_config_id: 'ac_1', user_id: 'ada' };
  const payload = JSON.stringify({ id, type: 'composio.trigger.message', metadata, data });
  const text = (value) => `'${value.replaceAll("'", "''")}'`;
  const announced = JSON.stringify({ p: project.id, e: id });
  const sql = `begin; set standard_conforming_strings = on;
    insert into event (project_id, id, type, subject_id, payload, original)
    values (${text(project.id)}, ${text(id)}, 'composio.trigger.message', 'ti_1', ${text(payload)}, ${text(JSON.stringify(data))});
    select pg_notify('patchbay_events', ${text(announced)}); commit;`;
  execFileSync(PSQL, ['-qXv', 'ON_ERROR_STOP=1', DATABASE_URL], { input: sql });
}

/** Runs a client until `use` has what it wants of its lines. */
async function listening(command, environment, use) {
  const env = { ...process.env, COMPOSIO_API_KEY: project.api_key, TRIGGER_SLUG: 'GITHUB_COMMIT_EVENT', ...environment };
  const child = spawn(command[0], command.slice(1), { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    for (;;) {
      const { value, done } = await lines.next();
      assert.ok(!done, `the client ended: ${said.slice(-3000)}`);
      try {
        return JSON.parse(value);
      } catch {
        // A line of the SDK's own.
      }
    }
  };
  try {
    assert.equal(await next(), 'ready');
    return await use(next);
  } finally {
    child.kill('SIGKILL');
  }
}

const python = (version) => [`${WORK}/venv/python-${version}/bin/python`, '-B', join(here, 'client.py')];
const node = (version) => [process.execPath, `${WORK}/ts-${version}/client.mjs`];
const inOwnHosts = (command) => [
  'unshare', '--map-root-user', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', join(folder, 'hosts'), ...command,
];

const sdks = [
  { name: 'Python 0.11.1, led here by its cluster', command: () => python('0.11.1') },
  { name: 'Python 0.30.0, by the label', command: () => inOwnHosts(python('0.30.0')) },
  { name: 'TypeScript 0.6.4, led here by its cluster', command: () => node('0.6.4') },
  { name: 'TypeScript 0.18.1, led here by its cluster', command: () => node('0.18.1') },
];

for (const { name, command } of sdks) {
  test(name, { timeout: 120_000 }, async () => {
    const trust = { WEBSOCKET_CLIENT_CA_BUNDLE: join(folder, 'ca.crt'), NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt') };
    await listening(command(), trust, async (next) => {
      // A client is ready when it has asked for its channel; when it has it, is not ours to see.
      const probe = setInterval(() => inject('GITHUB_COMMIT_EVENT', { probe: true }), 1000);
      let first;
      try {
        first = await next();
      } finally {
        clearInterval(probe);
      }
      assert.equal((first.trigger_slug ?? first.triggerSlug), 'GITHUB_COMMIT_EVENT');
      assert.equal((first.toolkit_slug ?? first.toolkitSlug), 'github');
      assert.equal((first.user_id ?? first.userId), 'ada');
      assert.equal(first.id, 'ti_1');
      const after = async () => {
        for (;;) {
          const event = await next();
          if (!event.payload.probe) return event;
        }
      };
      // What the filter does not want does not come; what is long comes whole, once.
      const long = { n: 2, text: 'ä"\\\n語🦀x'.repeat(20_000) };
      inject('GITHUB_STAR_ADDED_EVENT', { n: 1 });
      inject('GITHUB_COMMIT_EVENT', long);
      inject('GITHUB_COMMIT_EVENT', { n: 3 });
      const event = await after();
      assert.deepEqual(event.payload, long);
      assert.deepEqual(event.original_payload ?? event.originalPayload, long);
      assert.deepEqual((await after()).payload, { n: 3 });
    });
  });
}

test("another project's channel is not opened", async () => {
  const other = await newProject();
  for (const channel of [`private-${other.id}_triggers`, `private-cli-${other.id}`]) {
    const body = JSON.stringify({ socket_id: '1.2', channel_name: channel });
    const answer = await call('/api/v3/internal/sdk/realtime/auth', { 'x-api-key': project.api_key }, { method: 'POST', body });
    assert.equal(answer.status, 403);
  }
});
