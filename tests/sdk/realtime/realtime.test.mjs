// triggers.subscribe of released SDKs against the server, over TLS, on the ways of docs/REALTIME.md.
// What they hear of happens at GitHub's emulator, which calls the server as GitHub would.
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

const { BASE_URL, GITHUB_URL, TLS_PORT, LABEL, ORG_API_KEY, WORK } = process.env;
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
  await listenAtGitHub();
});

after(() => {
  for (const server of proxies ?? []) server.close();
  rmSync(folder, { recursive: true, force: true });
});

const TOKEN = 'github-token-octocat';
const repository = { owner: 'octocat', repo: 'hello-world' };

/** Connects octocat, and makes a trigger for what is listened to and one for what is not. */
async function listenAtGitHub() {
  const create = async (path, value) => {
    const body = JSON.stringify(value);
    const answer = await call(`/api/v3/${path}`, { 'x-api-key': project.api_key }, { method: 'POST', body });
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body;
  };
  const { auth_config } = await create('auth_configs', {
    toolkit: { slug: 'github' }, auth_config: { type: 'use_custom_auth', authScheme: 'BEARER_TOKEN', credentials: {} },
  });
  const account = await create('connected_accounts', {
    auth_config: { id: auth_config.id }, connection: { user_id: 'ada', state: { authScheme: 'BEARER_TOKEN', val: { token: TOKEN } } },
  });
  const trigger = async (slug) => {
    const config = { connected_account_id: account.id, trigger_config: repository };
    return (await create(`trigger_instances/${slug}/upsert`, config)).trigger_id;
  };
  project.issues = await trigger('GITHUB_ISSUE_ADDED_EVENT');
  project.commits = await trigger('GITHUB_COMMIT_EVENT');
}

async function atGitHub(method, path, value) {
  const response = await fetch(`${GITHUB_URL}/repos/octocat/hello-world/${path}`, {
    method, headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }, body: JSON.stringify(value),
  });
  assert.equal(response.status, 201, await response.text());
}

const openIssue = (title, body = '') => atGitHub('POST', 'issues', { title, body });

/** A commit, which the server hears of and a client that listens to issues does not. */
async function commit(message) {
  const heard = async () => {
    const path = `/api/v3/trigger_instances/active?trigger_ids=${project.commits}`;
    return (await call(path, { 'x-api-key': project.api_key })).body.items[0].state.last_event_at;
  };
  const before = await heard();
  const content = Buffer.from(message).toString('base64');
  await atGitHub('PUT', `contents/${encodeURIComponent(message)}.txt`, { message, content });
  for (let i = 0; i < 100; i += 1) {
    if ((await heard()) !== before) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.fail('the server did not hear of the commit');
}

/** Runs a client until `use` has what it wants of its lines. */
async function listening(command, environment, use) {
  const env = { ...process.env, COMPOSIO_API_KEY: project.api_key, TRIGGER_SLUG: 'GITHUB_ISSUE_ADDED_EVENT', ...environment };
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
      const probe = setInterval(() => openIssue('probe').catch(() => {}), 1000);
      let first;
      try {
        first = await next();
      } finally {
        clearInterval(probe);
      }
      assert.equal((first.trigger_slug ?? first.triggerSlug), 'GITHUB_ISSUE_ADDED_EVENT');
      assert.equal((first.toolkit_slug ?? first.toolkitSlug), 'github');
      assert.equal((first.user_id ?? first.userId), 'ada');
      assert.equal(first.id, project.issues);
      const after = async () => {
        for (;;) {
          const event = await next();
          if (event.payload.title !== 'probe') return event;
        }
      };
      // What the filter does not want does not come; what is long comes whole, once.
      const [long, last] = [`long ${Math.random()}`, `last ${Math.random()}`];
      const text = 'ä"\\\n語🦀x'.repeat(7_000);
      await commit(`commit ${Math.random()}`);
      await openIssue(long, text);
      const event = await after();
      assert.equal(event.payload.title, long);
      assert.equal(event.payload.description, text);
      assert.equal((event.original_payload ?? event.originalPayload).issue.body, text);
      await openIssue(last);
      assert.equal((await after()).payload.title, last);
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
