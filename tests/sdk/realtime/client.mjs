// Listens with triggers.subscribe of the unmodified SDK, and prints what its callback is given.

import { Composio } from '@composio/core';

const composio = new Composio({
  apiKey: process.env.COMPOSIO_API_KEY,
  baseURL: process.env.BASE_URL,
  allowTracking: false,
  disableVersionCheck: true,
});
await composio.triggers.subscribe((data) => console.log(JSON.stringify(data)), {
  triggerSlug: [process.env.TRIGGER_SLUG],
});
console.log(JSON.stringify('ready'));
process.stdin.on('end', () => process.exit(0)).resume();
