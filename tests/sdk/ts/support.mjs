// What the tests share: addresses, a project of their own, and a person with a browser.
import { randomBytes } from 'node:crypto';
import dns from 'node:dns';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { readFileSync } from 'node:fs';
import * as core from '@composio/core';

export { core };
const packageFile = createRequire(import.meta.url).resolve('@composio/core').replace(/dist\/.*/, 'package.json');
export const version = JSON.parse(readFileSync(packageFile, 'utf8')).version;

export const env = {
  base: process.env.BASE_URL,
  orgKey: process.env.ORG_API_KEY,
  acme: process.env.ACME_URL,
  callback: 'https://app.example/landing?keep=1&also=a%20b',
};
export const VERSION = '20250909_00';
export const someone = () => `user-${randomBytes(6).toString('hex')}`;

export async function newProject() {
  const response = await fetch(`${env.base}/api/v3/org/owner/project/new`, {
    method: 'POST',
    headers: { 'x-org-api-key': env.orgKey, 'content-type': 'application/json' },
    body: JSON.stringify({ name: `ts-${randomBytes(6).toString('hex')}`, should_create_api_key: true }),
  });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

export const sdk = (apiKey, options = {}) => new core.Composio({
  apiKey, baseURL: env.base, allowTracking: false, disableVersionCheck: true, ...options,
});

export const queryOf = (url) => Object.fromEntries(new URL(url).searchParams);

// Follows redirects and submits a form of each page (the one that names `choose`, else the first), until it is sent to the landing page.
export async function browse(url, { fill = {}, deny = false, choose } = {}) {
  const cookies = new Map();
  const visited = [];
  let request = { method: 'GET' };
  for (let hop = 0; hop < 20; hop += 1) {
    visited.push(url);
    if (new URL(url).pathname === '/landing') return { url, visited };
    const { hostname } = new URL(url);
    const response = await fetch(url, {
      ...request,
      redirect: 'manual',
      headers: { cookie: [...cookies.values()].filter((c) => c.host === hostname).map((c) => c.pair).join('; ') },
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair] = cookie.split(';');
      cookies.set(`${hostname} ${pair.split('=')[0]}`, { host: hostname, pair });
    }
    if (response.status >= 300 && response.status < 400) {
      url = new URL(response.headers.get('location'), url).href;
      request = { method: 'GET' };
      continue;
    }
    const html = await response.text();
    const forms = [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)];
    const form = (choose && forms.find(([text]) => text.includes(choose))) || forms[0];
    if (!form) return { url, visited, status: response.status, html };
    const attribute = (tag, name) => tag.match(new RegExp(`\\b${name}="([^"]*)"`, 'i'))?.[1]
      ?.replaceAll('&amp;', '&').replaceAll('&#x2f;', '/').replaceAll('&quot;', '"');
    const body = new URLSearchParams();
    for (const [tag] of form[2].matchAll(/<input\b[^>]*>/gi)) {
      const name = attribute(tag, 'name');
      if (name) body.set(name, fill[name] ?? attribute(tag, 'value') ?? '');
    }
    const buttons = [...form[2].matchAll(/<button\b[^>]*>/gi)].map(([tag]) => [attribute(tag, 'name'), attribute(tag, 'value')]);
    const button = (deny && buttons.find(([, value]) => value === 'cancel')) || buttons.find(([name]) => name);
    if (button) body.set(...button.map((part) => part ?? ''));
    url = new URL(attribute(form[1], 'action') || url, url).href;
    request = { method: 'POST', body };
  }
  throw new Error(`no end of redirects: ${visited}`);
}

export async function issued(user) {
  return (await fetch(`${env.acme}/test/issued?user=${user}`)).json();
}

// Meanwhile this machine's address looks like a public one to the SDK.
export async function asPublic(work) {
  const { lookup } = dns.promises;
  dns.promises.lookup = async (host, options) => host === '127.0.0.1' ? [{ address: '93.184.215.14', family: 4 }] : lookup(host, options);
  syncBuiltinESMExports();
  try {
    return await work();
  } finally {
    dns.promises.lookup = lookup;
    syncBuiltinESMExports();
  }
}
