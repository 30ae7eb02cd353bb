// Real agent frameworks with the SDKs' provider packages, against a scripted model: search, manage
// connections, a user who approves in Chromium, multi-execute, answer.
//
// scripts/test gives the addresses, and AGENTS: the names of the agents that are installed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cases } from './cases.mjs';
import { Play, isNamed } from './model/play.mjs';
import { startModel } from './model/server.mjs';
import { startPerson } from './person.mjs';

const { BASE_URL, ORG_API_KEY, GITHUB_URL, CHROMIUM, AGENTS, WORK, LOGS, ROOT } = process.env;
const [owner, repo, login] = ['octocat', 'hello-world', 'octocat'];
const STEPS = ['COMPOSIO_SEARCH_TOOLS', 'COMPOSIO_MANAGE_CONNECTIONS', 'COMPOSIO_MULTI_EXECUTE_TOOL'];
const PROMPT = `File an issue in ${owner}/${repo} on GitHub, and tell me its number and who I am there.`;
const random = () => randomBytes(6).toString('hex');
mkdirSync(LOGS, { recursive: true });
rmSync(join(LOGS, 'failures.txt'), { force: true });

// The app that people come back to.
const app = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Back</title><link rel="icon" href="data:,">');
});
await new Promise((done) => { app.listen(0, '127.0.0.1', done); });
const APP = `http://127.0.0.1:${app.address().port}`;

let model;
let person;
let key;
async function api(method, path, body, headers = { 'x-api-key': key }) {
  const response = await fetch(`${BASE_URL}/api/v3${path}`, {
    method, headers: { 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  assert.ok(response.ok, JSON.stringify(answer));
  return answer;
}

before(async () => {
  key = (await api('POST', '/org/owner/project/new', {
    name: `agents-${random()}`, should_create_api_key: true,
  }, { 'x-org-api-key': ORG_API_KEY })).api_key;
  model = await startModel();
  person = await startPerson({ executablePath: CHROMIUM, app: APP, base: BASE_URL });
});
after(async () => {
  await person?.close();
  model?.close();
  app.close();
});

// Runs an agent and returns what it printed last. Nothing of our own environment reaches it.
async function agent(name, log, proxy, variables) {
  const [language, kind] = name.split('/');
  const home = mkdtempSync(join(tmpdir(), 'patchbay-agent-'));
  const dir = join(WORK, 'agents', `${language}-${kind}`);
  const [command, args] = language === 'python'
    ? [join(WORK, `venv/agents-${kind}/bin/python`), ['-B', join(ROOT, `tests/agents/python/${kind}/agent.py`)]]
    : [process.execPath, ['--import', './hosts.mjs', './agent.mjs']];
  const env = {
    PATH: '/usr/local/bin:/usr/bin:/bin', HOME: home, TMPDIR: home, LANG: 'C.UTF-8',
    PYTHONPATH: `${ROOT}/tests/agents/python/common:${ROOT}/tests/sdk/python`, PYTHONDONTWRITEBYTECODE: '1',
    // Whatever wants to reach another host goes to the model server, which complains.
    HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: '127.0.0.1,localhost', no_proxy: '127.0.0.1,localhost',
    ...variables,
  };
  const child = spawn(command, args, { cwd: language === 'python' ? home : dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', all: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk) => { text.out += chunk; text.all += chunk; });
  child.stderr.setEncoding('utf8').on('data', (chunk) => { text.all += chunk; });
  const late = setTimeout(() => child.kill('SIGKILL'), 240_000);
  const code = await new Promise((done, failed) => child.on('close', done).on('error', failed));
  clearTimeout(late);
  rmSync(home, { recursive: true, force: true });
  writeFileSync(log, text.all);
  const result = text.out.split('\n').findLast((line) => line.startsWith('RESULT '));
  return { code, all: text.all, result: result && JSON.parse(result.slice(7)) };
}

// Whoever sees only the end of a long run still reads what was wrong.
async function told(name, work) {
  try {
    await work();
  } catch (error) {
    appendFileSync(join(LOGS, 'failures.txt'), `${name}: ${String(error.message).slice(0, 1500)}\n`);
    throw error;
  }
}

describe('an agent searches, connects, executes and answers', { concurrency: 2 }, () => {
  const names = AGENTS.split(' ');
  const only = cases.filter((one) => names.includes(one.agent));
  for (const name of names) assert.ok(only.some((one) => one.agent === name), `there is no case of ${name}`);

  for (const one of only) {
    test(`${one.agent}: ${one.mode}`, () => told(`${one.agent}: ${one.mode}`, async () => {
      const user = `user-${random()}`;
      const run = { id: random(), user, owner, closes: one.closes, repo, title: `Found by ${one.agent} ${random()}` };
      run.play = new Play(run);
      run.approve = async (link) => {
        try {
          run.back = await person.approve(link, login);
        } catch (error) {
          run.wrong(`the user could not approve: ${error.stack}`);
        }
      };
      const MODEL_URL = model.add(run);
      const log = join(LOGS, `${one.agent}-${one.mode}.log`.replaceAll(/[ /,]+/g, '-'));
      const { code, all, result } = await agent(one.agent, log, model.proxy(run), {
        BASE_URL, MODEL_URL, PROMPT, API_KEY: key, MODEL_KEY: model.KEY, AGENT_USER: user, CALLBACK: `${APP}/chat?thread=7`,
        API: one.api, ...(one.stream && { STREAM: '1' }), ...(one.wait && { WAIT: '1' }), ...(one.strict && { STRICT: '1' }), ...(one.mcp && { MCP: '1' }), ...(one.user && { FOR_USER: '1' }),
      });
      writeFileSync(`${log}.json`, JSON.stringify({ run: { ...run, play: undefined }, result, code }, null, 2));
      const story = () => `${run.said.join(' > ')}; others: ${run.others}; see ${log}\n${all.slice(-3000)}`;
      assert.deepEqual(run.problems, [], story());
      assert.equal(code, 0, story());
      assert.ok(result, story());
      // Every turn of the script was played, in its order, and the framework stopped after it.
      const called = run.said.map((said) => STEPS.concat('COMPOSIO_WAIT_FOR_CONNECTIONS').find((step) => isNamed(said, step))).filter(Boolean);
      assert.deepEqual(called, one.wait ? STEPS.toSpliced(2, 0, 'COMPOSIO_WAIT_FOR_CONNECTIONS') : STEPS, story());
      assert.ok(run.requests.every(({ api: used }) => used === one.api), 'the agent speaks the API that this case is about');
      assert.equal(run.streamed > 0, Boolean(one.stream), 'the answers were streamed as this case wants');
      // The answer has what only the provider knew, and the provider has the issue.
      assert.match(result.answer, new RegExp(`Filed issue #${run.number} as ${login}`));
      const issue = await (await fetch(`${GITHUB_URL}/repos/${owner}/${repo}/issues/${run.number}`)).json();
      assert.deepEqual([issue.title, issue.user.login], [run.title, login]);
      assert.match(issue.body, /ä "quoted" \\ 中/);
      // The person came back to the app that the session names.
      assert.deepEqual([run.back.status, run.back.thread], ['success', '7']);
      const { items } = await api('GET', `/connected_accounts?user_ids=${user}`);
      assert.deepEqual(items.map(({ id, status, toolkit }) => [id, status, toolkit.slug]), [[run.back.connected_account_id, 'ACTIVE', 'github']]);
      assert.deepEqual(result.foreign, [], 'no host but loopback');
    }));
  }

  test('nobody left this machine', () => {
    assert.deepEqual(model.elsewhere, []);
  });
});
