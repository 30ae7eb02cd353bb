// Three kinds of provider that a description is imported of: Google's emulator, a GraphQL server with
// GitHub's schema and invented answers, and the protocol's own MCP server. Converts their descriptions to
// toolkits with the binary under test, prints "ready", and ends by a signal or with the process that started it.
//
//   node start.mjs --out <folder> --patchbay <binary> --documents <discovery documents> --emulate <emulate's entry>
import { execFileSync, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { addMocksToSchema } from '@graphql-tools/mock';
import { buildClientSchema } from 'graphql';
import { createYoga } from 'graphql-yoga';

const { values: options } = parseArgs({
  options: { out: { type: 'string' }, patchbay: { type: 'string' }, documents: { type: 'string' }, emulate: { type: 'string' } },
});
const packages = join(import.meta.dirname, 'node_modules');
const toolkits = join(options.out, 'toolkits');
mkdirSync(toolkits, { recursive: true });

const children = [];
let ending = false;
function end(code) {
  if (ending) return;
  ending = true;
  for (const child of children) child.kill();
  process.exit(code);
}
process.on('SIGTERM', () => end(0));
process.on('SIGINT', () => end(0));
process.on('uncaughtException', (error) => {
  console.error(error);
  end(1);
});
const parent = process.ppid;
setInterval(() => process.ppid === parent || end(0), 1000).unref();

function run(name, file, args, env = {}) {
  const log = createWriteStream(join(options.out, `${name}.log`));
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  child.on('exit', (code) => {
    if (!ending) console.error(`${name} ended with ${code}`);
    end(1);
  });
  children.push(child);
}

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

async function answers(url) {
  for (let tries = 0; ; tries += 1) {
    try {
      await fetch(url);
      return;
    } catch (error) {
      if (tries > 300) throw error;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}

// Google: one emulator for all of its APIs.
const seed = join(options.out, 'google.yaml');
writeFileSync(seed, JSON.stringify({
  tokens: { 'google-token-imports': { login: 'ada@example.com', scopes: [] } },
  google: {
    users: [{ email: 'ada@example.com', name: 'Ada', email_verified: true }],
    calendars: [{ id: 'primary', user_email: 'ada@example.com', summary: 'ada@example.com', primary: true, selected: true, time_zone: 'UTC' }],
  },
}));
const googlePort = await freePort();
const google = `http://127.0.0.1:${googlePort}`;
run('google', options.emulate, ['start', '--port', String(googlePort), '--service', 'google', '--seed', seed]);

// GraphQL: GitHub's schema, every answer invented, every document validated.
const schema = JSON.parse(readFileSync(join(packages, '@octokit/graphql-schema/schema.json'), 'utf8'));
const data = schema.data ?? schema;
const text = () => 'Hello';
const scalars = ['Base64String', 'BigInt', 'Date', 'DateTime', 'GitObjectID', 'GitRefname', 'GitSSHRemote',
  'GitTimestamp', 'HTML', 'PreciseDateTime', 'URI', 'X509Certificate'];
const mocks = Object.fromEntries(scalars.map((name) => [name, text]));
const yoga = createYoga({ schema: addMocksToSchema({ schema: buildClientSchema(data), mocks }), logging: false, maskedErrors: false });
const graphqlServer = createServer(yoga);
await new Promise((done) => graphqlServer.listen(0, '127.0.0.1', done));
const graphql = `http://127.0.0.1:${graphqlServer.address().port}/graphql`;

// MCP: the server with which clients are tried.
const mcpPort = await freePort();
const mcp = `http://127.0.0.1:${mcpPort}/mcp`;
const everything = join(packages, '@modelcontextprotocol/server-everything/dist/index.js');
run('everything', everything, ['streamableHttp'], { PORT: String(mcpPort) });

await Promise.all([answers(google), answers(`http://127.0.0.1:${mcpPort}/`)]);
const client = new Client({ name: 'tests', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL(mcp)));
const listed = await client.listTools();
const listing = join(options.out, 'everything.json');
writeFileSync(listing, JSON.stringify({ mcp: { url: mcp }, serverInfo: client.getServerVersion(), tools: listed.tools }));
await client.close();

const introspection = join(options.out, 'github.json');
writeFileSync(introspection, JSON.stringify({ data }));
const reports = {};
function convert(slug, file, ...more) {
  const said = execFileSync(options.patchbay, ['catalog', 'convert', file, '--out', toolkits, '--slug', slug, '--json', ...more], { maxBuffer: 1 << 28 });
  reports[slug] = JSON.parse(said);
}
for (const [slug, document] of [['g_mail', 'gmail.v1'], ['g_drive', 'drive.v3'], ['g_calendar', 'calendar.v3']]) {
  convert(slug, join(options.documents, `${document}.json`), '--base-url', google);
}
convert('hub', introspection, '--base-url', graphql);
convert('hub_sdl', join(packages, '@octokit/graphql-schema/schema.graphql'), '--base-url', graphql);
convert('everything', listing);
writeFileSync(join(options.out, 'reports.json'), JSON.stringify(reports));
writeFileSync(join(options.out, 'providers.yaml'), '{}');
console.log('ready');
