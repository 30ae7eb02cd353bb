import { createOpenAI } from '@ai-sdk/openai';
import { MastraProvider } from '@composio/mastra';
import { Agent } from '@mastra/core/agent';
import { MCPClient } from '@mastra/mcp';
import { MCP, MODEL_KEY, OPENAI_URL, PROMPT, STREAM, finish, start } from './scripted.mjs';

const { session } = await start(new MastraProvider());
const client = MCP && new MCPClient({
  servers: { composio: { url: new URL(session.mcp.url), requestInit: { headers: session.mcp.headers } } }, timeout: 60_000,
});
const tools = await (MCP ? client.listTools() : session.tools());
const openai = createOpenAI({ baseURL: OPENAI_URL, apiKey: MODEL_KEY });
const agent = new Agent({
  id: 'assistant', name: 'Assistant', instructions: 'You are a helpful assistant.', model: openai('gpt-5.2'), tools,
});
const messages = [{ role: 'user', content: PROMPT }];
const result = await (STREAM ? agent.stream(messages, { maxSteps: 10 }) : agent.generate(messages, { maxSteps: 10 }));
finish(await result.text);
