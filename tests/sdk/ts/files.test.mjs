// Files that the SDK uploads for an argument, and files that it downloads from a result.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { foreign } from './hosts.mjs';
import { VERSION, asPublic, core, newProject, sdk, someone, version } from './support.mjs';

const newer = !version.startsWith('0.6.');
const only = { skip: newer ? false : 'this release goes to any address' };
const content = Buffer.from(Array.from({ length: 10240 }, (_, i) => i % 256));
const folder = mkdtempSync(join(tmpdir(), 'patchbay-sdk-files-'));
const local = join(folder, 'report.bin');

let composio;
let user;

before(async () => {
  writeFileSync(local, content);
  const { api_key: key } = await newProject();
  // Newer releases upload and download only when they are told to.
  composio = sdk(key, newer ? { dangerouslyAllowAutoUploadDownloadFiles: true, fileUploadDirs: [folder] } : {});
  const { id } = await composio.authConfigs.create('acme', { type: 'use_custom_auth', name: 'Tests', authScheme: 'API_KEY', credentials: {} });
  user = someone();
  await composio.connectedAccounts.initiate(user, id, { config: core.AuthScheme.APIKey({ api_key: 'acme-key-1' }) });
});

after(() => assert.deepEqual(foreign, [], 'no host but loopback was contacted'));

const execute = (slug, args) => composio.tools.execute(slug, { userId: user, arguments: args, version: VERSION });

// Where a downloaded file was put, whatever the release calls it.
const placeOf = (file) => typeof file === 'string' ? file : file.uri ?? file.filePath ?? file.path;

describe('files', () => {
  test('a local file is uploaded and arrives as it was', async () => {
    await asPublic(async () => {
      for (let i = 0; i < 2; i += 1) {
        const result = await execute('ACME_SEND_FILE', { file: local });
        assert.equal(result.successful, true, JSON.stringify(result));
        assert.equal(result.data.body_base64, content.toString('base64'));
      }
    });
  });

  test('a file of a result is downloaded', async () => {
    await asPublic(async () => {
      const picture = await execute('ACME_GET_PIXEL', {});
      assert.equal(picture.successful, true, JSON.stringify(picture));
      assert.deepEqual(readFileSync(placeOf(picture.data.file)).subarray(0, 4), Buffer.from([0x89, 0x50, 0x4e, 0x47]));
      const pdf = await execute('TEXT_TO_PDF_CONVERT_TEXT_TO_PDF', { text: '# Hello' });
      assert.equal(readFileSync(placeOf(pdf.data.file)).subarray(0, 5).toString(), '%PDF-');
    });
  });

  test('the SDK itself refuses a private address', only, async () => {
    await assert.rejects(execute('ACME_SEND_FILE', { file: local }));
  });
});
