import { OpenAIAgentsProvider } from '@composio/openai-agents';
import { Agent, run, setDefaultOpenAIClient, setTracingDisabled } from '@openai/agents';
import { createRequire } from 'node:module';
import { MODEL_KEY, OPENAI_URL, PROMPT, STREAM, finish, start } from './scripted.mjs';

// The client of the version that the agents use.
const require = createRequire(import.meta.resolve('@openai/agents'));
const OpenAI = require('openai');
setTracingDisabled(true);
setDefaultOpenAIClient(new OpenAI({ baseURL: OPENAI_URL, apiKey: MODEL_KEY }));
const { session } = await start(new OpenAIAgentsProvider());
const agent = new Agent({
  name: 'Assistant', instructions: 'You are a helpful assistant.', model: 'gpt-5.2', tools: await session.tools(),
});
const result = await run(agent, PROMPT, { stream: STREAM });
if (STREAM) {
  for await (const _ of result); // eslint-disable-line
  await result.completed;
}
finish(result.finalOutput);
