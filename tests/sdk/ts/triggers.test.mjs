// Triggers and webhooks through the SDK. The provider is GitHub's emulator, which delivers signed
// webhooks of its own.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { foreign } from './hosts.mjs';
import { browse, env, newProject, sdk, someone, version } from './support.mjs';

const newer = !version.startsWith('0.6.');
const only = { skip: newer ? false : 'this release has no such method' };
const repository = { owner: 'octocat', repo: 'hello-world' };

let composio;
let key;
let receiver;
let user;
let account;
let subscription;

// A project's own server. `answers` are the statuses of the next requests; then it says 200.
async function startReceiver() {
  const taken = [];
  const answers = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    taken.push({ headers: request.headers, body });
    response.writeHead(answers.shift() ?? 200).end();
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const about = (text) => taken.filter(({ body }) => body.includes(text));
  const waitFor = async (text, count = 1) => {
    for (let i = 0; i < 200; i += 1) {
      if (about(text).length >= count) return about(text);
      await new Promise((done) => setTimeout(done, 100));
    }
    return assert.fail(`${text} did not arrive`);
  };
  return { answers, about, waitFor, url: `http://127.0.0.1:${server.address().port}/webhook`, close: () => server.close() };
}

async function raw(method, path, body) {
  const response = await fetch(`${env.base}/api/v3${path}`, {
    method, headers: { 'x-api-key': key, 'content-type': 'application/json' }, body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
  return response.json();
}

// Somebody opens an issue at GitHub; gives its title.
async function happens() {
  const title = `issue ${randomBytes(12).toString('hex')}`;
  const response = await fetch(`${process.env.GITHUB_URL}/repos/octocat/hello-world/issues`, {
    method: 'POST',
    headers: { authorization: 'Bearer github-token-octocat', 'content-type': 'application/json' },
    body: JSON.stringify({ title, body: 'It happened.' }),
  });
  assert.equal(response.status, 201);
  return title;
}

const verify = ({ headers, body }, secret, changes = {}) => composio.triggers.verifyWebhook({
  id: headers['webhook-id'],
  payload: body,
  signature: headers['webhook-signature'],
  timestamp: headers['webhook-timestamp'],
  secret,
  ...changes,
});

before(async () => {
  key = (await newProject()).api_key;
  composio = sdk(key);
  receiver = await startReceiver();
  user = someone();
  const config = await composio.authConfigs.create('github', { type: 'use_composio_managed_auth' });
  const request = await composio.connectedAccounts.link(user, config.id, { callbackUrl: env.callback });
  await browse(request.redirectUrl, { choose: 'octocat' });
  account = request.id;
  subscription = await raw('POST', '/webhook_subscriptions', {
    webhook_url: receiver.url, enabled_events: ['composio.trigger.message'],
  });
});

after(() => {
  receiver.close();
  assert.deepEqual(foreign, [], 'no host but loopback was contacted');
});

describe('trigger types', () => {
  test('say what they need and what they tell', async () => {
    const names = await composio.triggers.listEnum();
    assert.ok(names.length >= 40 && names.includes('GMAIL_NEW_GMAIL_MESSAGE'));
    const { items, nextCursor } = await composio.triggers.listTypes({ limit: 2 });
    assert.equal(items.length, 2);
    const next = await composio.triggers.listTypes({ limit: 2, cursor: nextCursor });
    assert.notEqual(next.items[0].slug, items[0].slug);
    const commit = await composio.triggers.getType('GITHUB_COMMIT_EVENT');
    assert.deepEqual([...commit.config.required].sort(), ['owner', 'repo']);
    assert.ok(commit.payload.properties.author);
    await assert.rejects(composio.triggers.getType('GITHUB_NOTHING_EVENT'));
  });
});

describe('triggers', () => {
  test('the same config is the same trigger, listed, switched and deleted', async () => {
    const created = await composio.triggers.create(user, 'GITHUB_COMMIT_EVENT', { triggerConfig: repository });
    assert.match(created.triggerId, /^ti_/);
    const again = await composio.triggers.create(user, 'GITHUB_COMMIT_EVENT', {
      connectedAccountId: account, triggerConfig: repository,
    });
    assert.equal(again.triggerId, created.triggerId);
    const ids = async (query) => (await composio.triggers.listActive(query)).items.map((item) => item.id);
    assert.deepEqual(await ids({ triggerNames: ['GITHUB_COMMIT_EVENT'] }), [created.triggerId]);
    assert.deepEqual(await ids({ connectedAccountIds: ['ca_nobody'] }), []);
    await composio.triggers.disable(created.triggerId);
    assert.deepEqual(await ids({ triggerIds: [created.triggerId] }), []);
    assert.deepEqual(await ids({ triggerIds: [created.triggerId], showDisabled: true }), [created.triggerId]);
    await composio.triggers.enable(created.triggerId);
    assert.deepEqual(await ids({ triggerIds: [created.triggerId] }), [created.triggerId]);
    assert.equal((await composio.triggers.delete(created.triggerId)).triggerId, created.triggerId);
    await assert.rejects(composio.triggers.delete(created.triggerId));
    await assert.rejects(composio.triggers.create(someone(), 'GITHUB_COMMIT_EVENT', { triggerConfig: repository }));
    await assert.rejects(composio.triggers.create(user, 'GITHUB_NOTHING_EVENT', { triggerConfig: {} }));
  });
});

describe('webhooks', () => {
  test('what happens at the provider arrives signed, and again when it was refused', async () => {
    const { triggerId } = await composio.triggers.create(user, 'GITHUB_ISSUE_ADDED_EVENT', { triggerConfig: repository });
    receiver.answers.push(503);
    const title = await happens();
    const [first, second] = await receiver.waitFor(title, 2);
    assert.equal(first.headers['webhook-id'], second.headers['webhook-id']);
    const result = await verify(second, subscription.secret);
    assert.equal(result.version, 'V3');
    assert.equal(result.payload.triggerSlug, 'GITHUB_ISSUE_ADDED_EVENT');
    assert.equal(result.payload.payload.title, title);
    assert.equal(JSON.parse(second.body).metadata.trigger_id, triggerId);
    await assert.rejects(verify(second, subscription.secret, { payload: second.body.replace('It happened', 'It did not') }));
    await assert.rejects(verify(second, 'another'));
    const past = String(Math.floor(Date.now() / 1000) - 301);
    await assert.rejects(verify(second, subscription.secret, { timestamp: past }));
  });

  for (const older of ['V1', 'V2']) {
    test(`${older} is known as such`, async () => {
      await raw('PATCH', `/webhook_subscriptions/${subscription.id}`, { version: older });
      const title = await happens();
      const result = await verify((await receiver.waitFor(title))[0], subscription.secret);
      assert.equal(result.version, older);
      assert.equal(result.payload.triggerSlug.toUpperCase(), 'GITHUB_ISSUE_ADDED_EVENT');
    });
  }

  test('setting it twice leaves one subscription', only, async () => {
    const one = await composio.triggers.setWebhookSubscription({ webhookUrl: receiver.url });
    const two = await composio.triggers.setWebhookSubscription({ webhookUrl: `${receiver.url}?2` });
    assert.equal(one.id, two.id);
    const { items } = await raw('GET', '/webhook_subscriptions');
    assert.deepEqual(items.map((item) => item.webhook_url), [`${receiver.url}?2`]);
    assert.notEqual(items[0].secret, subscription.secret);
  });
});
