// What the agents of this folder share: the session, the addresses, and how they end.
import { Composio } from '@composio/core';
import { foreign } from './hosts.mjs';

const { env } = process;
Object.assign(env, {
  OPENAI_AGENTS_DISABLE_TRACING: '1', MASTRA_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', OTEL_SDK_DISABLED: 'true',
  LANGSMITH_TRACING: 'false', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', TELEMETRY_DISABLED: 'true',
});
export const { PROMPT, MODEL_URL, MODEL_KEY, API, AGENT_USER: USER } = env;
export const STREAM = 'STREAM' in env;
export const STRICT = 'STRICT' in env;
export const MCP = 'MCP' in env;
export const FOR_USER = 'FOR_USER' in env;
export const OPENAI_URL = `${MODEL_URL}/v1`;

// The SDK with this provider, and a session of the user.
export async function start(provider) {
  const composio = new Composio({
    apiKey: env.API_KEY, baseURL: env.BASE_URL, allowTracking: false, disableVersionCheck: true, ...(provider && { provider }),
  });
  const session = await composio.create(USER, {
    manageConnections: { callbackUrl: env.CALLBACK, ...('WAIT' in env && { waitForConnections: true }) },
    ...(MCP && { mcp: true }),
  });
  return { composio, session };
}

// The last line that the harness reads.
export function finish(answer) {
  console.log(`\nRESULT ${JSON.stringify({ answer: String(answer), foreign })}`);
  setTimeout(() => process.exit(0), 100);
}
