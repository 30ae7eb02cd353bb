// Toolkits that were made of descriptions, executed by an unmodified SDK against what they describe.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import './hosts.mjs';
import { asPublic, newProject, sdk, someone } from './support.mjs';

const reports = JSON.parse(readFileSync(process.env.IMPORT_REPORTS, 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'patchbay-imports-'));
const local = join(folder, 'hello.txt');
let composio;
const user = someone();

before(async () => {
  writeFileSync(local, 'Hello from a description');
  composio = sdk((await newProject()).api_key, { dangerouslyAllowAutoUploadDownloadFiles: true, fileUploadDirs: [folder] });
  for (const toolkit of ['g_mail', 'g_drive', 'g_calendar']) {
    const config = await composio.authConfigs.create(toolkit, {
      type: 'use_custom_auth', name: toolkit, authScheme: 'BEARER_TOKEN', credentials: {},
    });
    const request = await composio.connectedAccounts.initiate(user, config.id, {
      config: { authScheme: 'BEARER_TOKEN', val: { status: 'ACTIVE', token: 'google-token-imports' } },
    });
    assert.ok(request.id);
  }
});

async function run(tool, args = {}) {
  const done = await composio.tools.execute(tool, { userId: user, arguments: args, dangerouslySkipVersionCheck: true });
  assert.ok(done.successful, `${tool}: ${JSON.stringify(done)}`);
  return done.data;
}

describe('Google discovery', () => {
  test('every method of Gmail, Drive and Calendar becomes a tool', () => {
    for (const slug of ['g_mail', 'g_drive', 'g_calendar']) {
      const { operations, tools, left_out } = reports[slug];
      assert.deepEqual(left_out, []);
      assert.ok(tools >= operations && operations > 35, `${slug}: ${tools} of ${operations}`);
    }
  });

  test('Gmail: labels are made, found and changed, mail is sent and listed', async () => {
    const label = await run('G_MAIL_CREATE_LABEL', {
      userId: 'me', name: 'Imports', labelListVisibility: 'labelShow', messageListVisibility: 'show',
    });
    const { labels } = await run('G_MAIL_LIST_LABELS', { userId: 'me' });
    assert.ok(labels.some((known) => known.id === label.id && known.name === 'Imports'));
    // By the id that the document has for it.
    const found = await run('G_MAIL_USERS_LABELS_GET', { userId: 'me', id: label.id });
    assert.equal(found.name, 'Imports');
    const renamed = await run('G_MAIL_PATCH_LABEL', { userId: 'me', id: label.id, name: 'Exports' });
    assert.equal(renamed.name, 'Exports');
    const raw = Buffer.from('To: ada@example.com\r\nSubject: Imported\r\n\r\nHello').toString('base64url');
    const sent = await run('G_MAIL_SEND_MESSAGE', { userId: 'me', raw });
    assert.ok(sent.id);
    const { messages } = await run('G_MAIL_LIST_MESSAGES', { userId: 'me', q: 'subject:Imported', maxResults: 5 });
    assert.ok(messages.some((message) => message.id === sent.id));
  });

  test('Calendar: events are made, listed and deleted', async () => {
    const event = await run('G_CALENDAR_INSERT_EVENT', {
      calendarId: 'primary', summary: 'Import',
      start: { dateTime: '2026-12-01T10:00:00Z' }, end: { dateTime: '2026-12-01T11:00:00Z' },
    });
    const { items } = await run('G_CALENDAR_EVENTS_LIST', { calendarId: 'primary', timeMin: '2026-12-01T00:00:00Z', singleEvents: true });
    assert.ok(items.some((known) => known.id === event.id));
    await run('G_CALENDAR_DELETE_EVENT', { calendarId: 'primary', eventId: event.id });
  });

  test('Drive: a file is uploaded, read and downloaded', async () => {
    await asPublic(async () => {
      const made = await run('G_DRIVE_CREATE_FILE', { name: 'hello.txt', mimeType: 'text/plain', file: local });
      assert.equal(made.name, 'hello.txt');
      const read = await run('G_DRIVE_GET_FILE', { fileId: made.id });
      assert.equal(read.id, made.id);
      const { file } = await run('G_DRIVE_DOWNLOAD_FILE_CONTENT', { fileId: made.id });
      const place = typeof file === 'string' ? file : file.uri ?? file.filePath ?? file.path;
      // The emulator keeps a part as it is sent; Google decodes what says that it is base64.
      assert.equal(Buffer.from(readFileSync(place, 'utf8'), 'base64').toString(), 'Hello from a description');
    });
  });
});

describe('GraphQL', () => {
  test('every query and mutation of GitHub becomes a tool, by introspection and by SDL', () => {
    assert.deepEqual(reports.hub.left_out, []);
    assert.ok(reports.hub.tools > 250, JSON.stringify(reports.hub.tools));
    // The package's two forms of the schema are not of one day.
    assert.deepEqual(reports.hub_sdl.left_out, []);
    assert.ok(reports.hub_sdl.tools > 250, JSON.stringify(reports.hub_sdl.tools));
  });

  test('a query and a mutation are valid and answered', async () => {
    const repository = await run('HUB_REPOSITORY', { owner: 'octocat', name: 'hello-world' });
    assert.equal(repository.name, 'Hello World');
    const made = await run('HUB_CREATE_ISSUE', { input: { repositoryId: 'R_1', title: 'Imported' } });
    assert.ok(made.issue.title);
    const own = await run('HUB_RUN_QUERY_OR_MUTATION', { query: 'query($n: String!) { user(login: $n) { login } }', variables: { n: 'a' } });
    assert.ok(own.user.login);
  });

  // The server refuses what is not valid before it invents an answer.
  test('the documents of all tools without required arguments are valid', async () => {
    const tools = await composio.tools.getRawComposioTools({ toolkits: ['hub'], limit: 1000 });
    let tried = 0;
    for (const tool of tools) {
      const required = tool.inputParameters?.required ?? [];
      if (required.length > 0 || tool.slug.endsWith('RUN_QUERY_OR_MUTATION')) continue;
      await run(tool.slug, {});
      tried += 1;
    }
    assert.ok(tried > 3, String(tried));
  });

  test('an error of the server is told', async () => {
    const done = await composio.tools.execute('HUB_RUN_QUERY_OR_MUTATION', {
      userId: user, arguments: { query: '{ nothingLikeThat }' }, dangerouslySkipVersionCheck: true,
    });
    assert.equal(done.successful, false);
    assert.match(done.error, /nothingLikeThat/);
  });
});

describe('A remote MCP server', () => {
  test('its tools are listed with their arguments', async () => {
    assert.deepEqual(reports.everything.left_out, []);
    const tool = await composio.tools.getRawComposioToolBySlug('EVERYTHING_GET_SUM');
    assert.deepEqual(Object.keys(tool.inputParameters.properties), ['a', 'b']);
  });

  test('text, structured content, images and links become data', async () => {
    assert.match((await run('EVERYTHING_ECHO', { message: 'Hello' })).text, /Hello/);
    assert.match((await run('EVERYTHING_GET_SUM', { a: 2, b: 40 })).text, /42/);
    const weather = await run('EVERYTHING_GET_STRUCTURED_CONTENT', { location: 'New York' });
    assert.equal(typeof weather.temperature, 'number');
    assert.ok((await run('EVERYTHING_GET_TINY_IMAGE')).file);
    assert.ok((await run('EVERYTHING_GET_RESOURCE_LINKS', { count: 3 })).links.length >= 3);
    const long = await run('EVERYTHING_TRIGGER_LONG_RUNNING_OPERATION', { duration: 2, steps: 2 });
    assert.match(long.text, /completed/i);
  });

  test('wrong arguments are told', async () => {
    await assert.rejects(composio.tools.execute('EVERYTHING_GET_SUM', {
      userId: user, arguments: { a: 'x' }, dangerouslySkipVersionCheck: true,
    }));
  });
});
