// The Connect Link page, OAuth consent, and letting an MCP client in, in a real browser.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { chromium } from 'playwright-core';

const { BASE_URL, ORG_API_KEY, CHROMIUM, SHOTS } = process.env;
const PICTURE = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48"><rect width="48" height="48" rx="10" fill="#3457d5"/></svg>');
mkdirSync(SHOTS, { recursive: true });

// The app that people come back to.
const app = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/html' })
    .end('<!doctype html><title>Landed</title><link rel="icon" href="data:,">');
});
await new Promise((done) => { app.listen(0, '127.0.0.1', done); });
const APP = `http://127.0.0.1:${app.address().port}`;
const LANDING = `${APP}/landing?keep=1&also=a%20b`;

let key;
async function api(method, path, body, headers = { 'x-api-key': key }) {
  const response = await fetch(`${BASE_URL}/api/v3${path}`, {
    method, headers: { 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  assert.ok(response.ok, JSON.stringify(answer));
  return answer;
}

async function config(scheme, credentials) {
  const auth_config = scheme === 'managed'
    ? { type: 'use_composio_managed_auth' }
    : { type: 'use_custom_auth', authScheme: scheme, credentials };
  return (await api('POST', '/auth_configs', { toolkit: { slug: 'acme' }, auth_config })).auth_config.id;
}
const someone = () => `user-${randomBytes(6).toString('hex')}`;
const link = (auth_config_id, user_id, callback_url = LANDING) => api('POST', '/connected_accounts/link', {
  auth_config_id, user_id, ...(callback_url && { callback_url }),
});
const status = async ({ connected_account_id }) => (await api('GET', `/connected_accounts/${connected_account_id}`)).status;

let browser;
let context;
let page;
let trouble;

// A page that keeps a record of everything a browser complains about. Logos lie outside: they are
// answered here.
async function open(options = {}) {
  context = await browser.newContext(options);
  await context.route((url) => url.hostname !== '127.0.0.1', (route) => (
    route.fulfill({ contentType: 'image/svg+xml', body: PICTURE })));
  page = await context.newPage();
  trouble = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && trouble.push(message.text()));
  page.on('pageerror', (error) => trouble.push(String(error)));
  page.on('requestfailed', (request) => trouble.push(`${request.url()} ${request.failure().errorText}`));
  return page;
}
const landed = () => {
  const url = new URL(page.url());
  assert.equal(url.origin + url.pathname, `${APP}/landing`);
  return Object.fromEntries(url.searchParams);
};
const shot = (name) => page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });

before(async () => {
  const name = `browser-${randomBytes(6).toString('hex')}`;
  key = (await api('POST', '/org/owner/project/new', {
    name, should_create_api_key: true,
  }, { 'x-org-api-key': ORG_API_KEY })).api_key;
  await api('PATCH', '/org/project/config', { display_name: 'Bright Ideas', logo_url: 'https://app.example/logo.svg' });
  // Chromium's own sandbox does not work for root, which continuous integration often is.
  browser = await chromium.launch({ executablePath: CHROMIUM, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
});
after(async () => {
  await browser?.close();
  app.close();
});
afterEach(async () => {
  await context?.close();
  assert.deepEqual(trouble, [], 'the browser complained about nothing');
});

describe('the page of a Connect Link', () => {
  beforeEach(() => { trouble = []; });

  test('shows the app, its logo and a labelled field, and takes a key', async () => {
    const made = await link(await config('API_KEY'), someone());
    await open();
    await page.goto(made.redirect_url);
    await shot('api-key');
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    assert.match(await page.locator('body').innerText(), /Bright Ideas/);
    assert.match(await page.getByRole('heading', { level: 1 }).innerText(), /Acme/);
    const logo = page.locator('img[src="https://app.example/logo.svg"]');
    assert.ok(await logo.evaluate((image) => image.complete && image.naturalWidth > 0), 'the logo is loaded');
    const field = page.getByLabel('Acme key');
    assert.equal(await field.getAttribute('type'), 'password');
    assert.match(await page.locator(`#${await field.getAttribute('aria-describedby')}`).innerText(), /keys page/);
    await field.fill('acme-key-1');
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.waitForURL(`${APP}/**`);
    assert.deepEqual(landed(), { keep: '1', also: 'a b', status: 'success', connected_account_id: made.connected_account_id });
    assert.equal(await status(made), 'ACTIVE');
  });

  test('is used with the keyboard alone', async () => {
    const made = await link(await config('BASIC'), someone());
    await open();
    await page.goto(made.redirect_url);
    const seen = [];
    for (let tabs = 0; tabs < 10; tabs += 1) {
      const focus = await page.evaluate(() => {
        const element = document.activeElement;
        const style = getComputedStyle(element);
        return { name: element.name, tag: element.tagName, ring: style.outlineStyle !== 'none' || style.boxShadow !== 'none' };
      });
      seen.push(focus);
      if (focus.tag !== 'BODY') assert.ok(focus.ring, `the focus on ${focus.tag} is visible`);
      if (focus.name === 'username') await page.keyboard.type('acme');
      if (focus.name === 'password') {
        await page.keyboard.type('opensesame');
        break;
      }
      await page.keyboard.press('Tab');
    }
    assert.ok(seen.some(({ name }) => name === 'username') && seen.at(-1).name === 'password', JSON.stringify(seen));
    await page.keyboard.press('Enter');
    await page.waitForURL(`${APP}/**`);
    assert.equal(await status(made), 'ACTIVE');
  });

  test('fits a phone', async () => {
    const made = await link(await config('BASIC'), someone());
    await open({ viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
    await page.goto(made.redirect_url);
    await shot('phone');
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is cut off');
    for (const target of await page.locator('input, button').all()) {
      const { height } = await target.boundingBox();
      assert.ok(height >= 40, 'a finger can hit it');
      assert.ok(await target.evaluate((element) => parseFloat(getComputedStyle(element).fontSize) >= 16), 'the page does not zoom');
    }
    await page.getByLabel('Account name').fill('acme');
    await page.getByLabel('Password').fill('opensesame');
    await page.getByRole('button', { name: 'Connect' }).tap();
    await page.waitForURL(`${APP}/**`);
    assert.equal(landed().status, 'success');
  });

  test('works without JavaScript and in the dark', async () => {
    const made = await link(await config('API_KEY'), someone());
    await open({ javaScriptEnabled: false, colorScheme: 'dark' });
    await page.goto(made.redirect_url);
    await shot('dark');
    await page.getByLabel('Acme key').fill('acme-key-1');
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.waitForURL(`${APP}/**`);
    assert.equal(await status(made), 'ACTIVE');
  });

  test('says what is wrong, keeps what was entered, and never shows a secret', async () => {
    const made = await link(await config('BASIC'), someone());
    await open();
    await page.goto(made.redirect_url);
    // As a browser would that does not check for itself.
    await page.locator('form').evaluate((form) => { form.noValidate = true; });
    await page.getByLabel('Password').fill('opensesame');
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('alert').waitFor();
    await shot('problem');
    assert.equal(await page.getByLabel('Account name').getAttribute('aria-invalid'), 'true');
    assert.ok(!(await page.content()).includes('opensesame'), 'no secret is in the page');
    assert.notEqual(await status(made), 'ACTIVE');
    trouble = trouble.filter((text) => !/status of 4\d\d/.test(text)); // the answer itself is a 4xx
    await page.getByLabel('Account name').fill('acme');
    await page.getByLabel('Password').fill('opensesame');
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.waitForURL(`${APP}/**`);
    assert.equal(await status(made), 'ACTIVE');
  });

  test('asks again when the provider does not accept what was entered', async () => {
    const made = await link(await config('BASIC'), someone());
    await open();
    await page.goto(made.redirect_url);
    await page.getByLabel('Account name').fill('acme');
    await page.getByLabel('Password').fill('a-wrong-password');
    await page.keyboard.press('Enter');
    const alert = page.getByRole('alert');
    await alert.waitFor();
    await shot('refused-credentials');
    assert.match(await alert.innerText(), /Acme does not accept these credentials/);
    assert.equal(await page.getByLabel('Account name').inputValue(), 'acme');
    assert.ok(!(await page.content()).includes('a-wrong-password'), 'no secret is in the page');
    assert.equal(await status(made), 'INITIATED');
    trouble = trouble.filter((text) => !/status of 4\d\d/.test(text)); // the answer itself is a 4xx
    // The field to correct has the focus, or is one key away.
    await page.getByLabel('Password').focus();
    await page.keyboard.type('opensesame');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${APP}/**`);
    assert.equal(await status(made), 'ACTIVE');
  });

  test('ends with whose account it is, under the name and logo of the app', async () => {
    const made = await link(await config('BASIC'), someone(), null);
    await open({ viewport: { width: 360, height: 640 }, javaScriptEnabled: false });
    const policy = (await page.goto(made.redirect_url)).headers()['content-security-policy'];
    assert.match(policy, /img-src https:\/\/app\.example\/logo\.svg https:\/\/acme\.example\/logo\.svg;/);
    await page.getByLabel('Account name').fill('acme');
    await page.getByLabel('Password').fill('opensesame');
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'Acme is connected' }).waitFor();
    await shot('connected-as');
    const { identity } = await api('GET', `/connected_accounts/${made.connected_account_id}`);
    assert.ok(identity.label, JSON.stringify(identity));
    assert.ok((await page.locator('main').innerText()).includes(`connected as ${identity.label}`));
    const logo = page.getByRole('img', { name: 'Bright Ideas' });
    assert.equal(await logo.getAttribute('src'), 'https://app.example/logo.svg');
    assert.ok(await logo.evaluate((image) => image.complete && image.naturalWidth > 0), 'the logo is loaded');
  });

  test('says so when there is no app to return to, and refuses a used link', async () => {
    const made = await link(await config('API_KEY'), someone(), null);
    await open();
    await page.goto(made.redirect_url);
    await page.getByLabel('Acme key').fill('acme-key-1');
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.waitForLoadState();
    await shot('connected');
    assert.match(await page.getByRole('heading', { level: 1 }).innerText(), /connected/i);
    assert.ok(!(await page.content()).includes('acme-key-1'));
    assert.equal(await status(made), 'ACTIVE');
    const again = await page.goto(made.redirect_url);
    await shot('used');
    assert.ok([404, 410].includes(again.status()));
    assert.match(again.headers()['content-type'], /text\/html/);
    trouble = trouble.filter((text) => !/status of 4\d\d/.test(text));
  });

  test('is not framed, cached, scripted or told on to others', async () => {
    const made = await link(await config('API_KEY'), someone());
    await open();
    const headers = (await page.goto(made.redirect_url)).headers();
    assert.match(headers['content-security-policy'], /frame-ancestors 'none'/);
    assert.match(headers['content-security-policy'], /default-src 'none'/);
    assert.ok(!/script-src[^;]*unsafe/.test(headers['content-security-policy']));
    assert.match(headers['cache-control'], /no-store/);
    assert.match(headers['referrer-policy'], /no-referrer|same-origin|strict-origin/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
  });
});

describe('OAuth consent', () => {
  beforeEach(() => { trouble = []; });

  async function toAcme(made) {
    await page.goto(made.redirect_url);
    const onward = page.getByRole('button', { name: /^Continue to Acme/ });
    if (new URL(page.url()).origin === new URL(BASE_URL).origin) await onward.click();
    await page.getByRole('heading', { name: 'Sign in to Acme' }).waitFor();
  }

  test('ends at the app with its own parameters, and the tools work', async () => {
    const user = someone();
    const made = await link(await config('managed'), user);
    await open();
    await toAcme(made);
    await page.getByLabel('Login').fill(user);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('heading', { name: 'Allow access to Acme' }).waitFor();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.waitForURL(`${APP}/**`);
    assert.deepEqual(landed(), { keep: '1', also: 'a b', status: 'success', connected_account_id: made.connected_account_id });
    assert.equal(await status(made), 'ACTIVE');
    const { data } = await api('POST', '/tools/execute/ACME_WHO_AM_I', { user_id: user, arguments: {} });
    assert.deepEqual(data, { user });
  });

  test('denied, ends at the app with the failure', async () => {
    const made = await link(await config('managed'), someone());
    await open();
    await toAcme(made);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.waitForURL(`${APP}/**`);
    const { status: outcome, keep } = landed();
    assert.deepEqual([outcome, keep], ['failed', '1']);
    assert.equal(await status(made), 'FAILED');
  });

  test('without an app to return to, ends on a page that says so', async () => {
    const user = someone();
    const made = await link(await config('managed'), user, null);
    await open();
    await toAcme(made);
    await page.getByLabel('Login').fill(user);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.waitForURL(`${BASE_URL}/**`);
    await shot('oauth-connected');
    assert.match(await page.getByRole('heading', { level: 1 }).innerText(), /connected/i);
    assert.ok(!/code=|access_token/.test(await page.content()));
    assert.equal(await status(made), 'ACTIVE');
  });

  test('refuses a callback that has been used and one that was made up', async () => {
    const user = someone();
    const made = await link(await config('managed'), user);
    await open();
    const callbacks = [];
    page.on('request', (request) => request.url().includes('/auth/callback?') && callbacks.push(request.url()));
    await toAcme(made);
    await page.getByLabel('Login').fill(user);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.waitForURL(`${APP}/**`);
    for (const url of [callbacks[0], `${BASE_URL}/api/v3/toolkits/auth/callback?state=invented&code=x`]) {
      const answer = await page.goto(url);
      assert.ok(answer.status() >= 400 && answer.status() < 500, `${answer.status()}`);
      assert.match(answer.headers()['content-type'], /text\/html/);
    }
    await shot('refused');
    trouble = trouble.filter((text) => !/status of 4\d\d/.test(text));
    assert.equal(await status(made), 'ACTIVE');
  });
});

describe('letting an MCP client in', () => {
  beforeEach(() => { trouble = []; });

  // Where a client sends the browser.
  async function request(name = 'Bright editor') {
    const post = (path, body, headers = {}) => fetch(`${BASE_URL}${path}`, {
      method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body),
    }).then((response) => response.json());
    const session = await post('/api/v3.1/tool_router/session', { user_id: 'ann' }, { 'x-api-key': key });
    const { client_id } = await post('/oauth/register', { client_name: name, redirect_uris: [LANDING] });
    const verifier = randomBytes(32).toString('base64url');
    const query = new URLSearchParams({
      response_type: 'code', client_id, redirect_uri: LANDING, state: 's 1', resource: session.mcp.url, code_challenge_method: 'S256',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    });
    return { url: `${BASE_URL}/oauth/authorize?${query}`, session, client_id, verifier };
  }

  test('says who asks, for what, and takes a key with the keyboard alone', async () => {
    const { url, session, client_id, verifier } = await request();
    await open({ javaScriptEnabled: false });
    await page.goto(url);
    await shot('sign-in');
    const text = await page.locator('body').innerText();
    assert.match(text, /Bright editor/);
    assert.match(text, /your own computer/);
    assert.ok(text.includes(session.session_id));
    const field = page.getByLabel('API key of the project');
    assert.equal(await field.getAttribute('type'), 'password');
    await page.keyboard.type('ak_wrong-wrong-wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    assert.match(await page.getByRole('alert').innerText(), /not valid/);
    assert.equal(await field.inputValue(), '', 'the key is not repeated');
    await shot('sign-in-wrong');
    await page.keyboard.type(key);
    await page.keyboard.press('Enter');
    await page.waitForURL(`${APP}/**`);
    const { keep, also, code, state, iss } = landed();
    assert.deepEqual([keep, also, state, iss], ['1', 'a b', 's 1', BASE_URL]);
    const tokens = await fetch(`${BASE_URL}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'authorization_code', client_id, code, code_verifier: verifier, redirect_uri: LANDING }),
    });
    assert.equal(tokens.status, 200);
    trouble = trouble.filter((text) => !/status of 4\d\d/.test(text));
  });

  test('fits a phone, and a no is one tap away', async () => {
    const { url } = await request(`<b>${'W'.repeat(50)}</b>`);
    await open({ viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, colorScheme: 'dark' });
    await page.goto(url);
    await shot('sign-in-phone');
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is cut off');
    for (const target of await page.locator('input:not([type=hidden]), button').all()) {
      assert.ok((await target.boundingBox()).height >= 40, 'a finger can hit it');
    }
    await page.getByRole('button', { name: 'Do not let it in' }).tap();
    await page.waitForURL(`${APP}/**`);
    assert.equal(landed().error, 'access_denied');
  });

  test('is not done for a form of another page', async () => {
    const { url } = await request();
    await open();
    await page.goto(url);
    const shown = await page.content();
    const proof = shown.match(/name="proof" value="([^"]+)"/)[1];
    await page.goto(`${APP}/evil`);
    await page.setContent(`<form method="post" action="${url.replaceAll('&', '&amp;')}"><input name="proof" value="${'0'.repeat(64)}">
      <input name="api_key" value="${key}"><input name="action" value="allow"><button>x</button></form>`);
    assert.match(proof, /^[0-9a-f]{64}$/);
    await page.getByRole('button').click();
    await page.getByRole('alert').waitFor();
    assert.equal(new URL(page.url()).origin, BASE_URL);
    trouble = trouble.filter((text) => !/status of 4\d\d/.test(text));
  });
});

describe('the documentation', () => {
  beforeEach(() => { trouble = []; });

  test('is browsable without reaching anyone', async () => {
    await open();
    const elsewhere = [];
    page.on('request', (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (protocol.startsWith('http') && hostname !== '127.0.0.1') elsewhere.push(request.url());
    });
    await page.goto(`${BASE_URL}/docs`);
    await page.getByText('/api/v3/tools/execute/{tool_slug}').first().waitFor({ timeout: 30000 });
    assert.deepEqual(elsewhere, []);
    trouble = trouble.filter((text) => !/favicon/.test(text));
  });
});
