import { createSdkMcpServer, query } from '@anthropic-ai/claude-agent-sdk';
import { ClaudeAgentSDKProvider } from '@composio/claude-agent-sdk';
import { MCP, MODEL_KEY, MODEL_URL, PROMPT, finish, start } from './scripted.mjs';

const { session } = await start(new ClaudeAgentSDKProvider());
const composio = MCP ? { type: 'http', ...session.mcp } : createSdkMcpServer({ name: 'composio', version: '1.0.0', tools: await session.tools() });
let answer = '';
for await (const message of query({
  prompt: PROMPT,
  options: {
    model: 'claude-opus-4-6', tools: [], allowedTools: ['mcp__composio'], mcpServers: { composio },
    env: { ...process.env, ANTHROPIC_BASE_URL: MODEL_URL, ANTHROPIC_API_KEY: MODEL_KEY },
    stderr: (text) => console.error(text),
  },
})) {
  console.log(JSON.stringify(message));
  if (message.type === 'result') answer = message.result;
}
finish(answer);
