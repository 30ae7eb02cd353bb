import { LlamaindexProvider } from '@composio/llamaindex';
import { openai } from '@llamaindex/openai';
import { agent } from '@llamaindex/workflow';
import { MODEL_KEY, OPENAI_URL, PROMPT, finish, start } from './scripted.mjs';

const { session } = await start(new LlamaindexProvider());
const mine = agent({
  llm: openai({ model: 'gpt-4.1', baseURL: OPENAI_URL, apiKey: MODEL_KEY }), tools: await session.tools(),
});
const result = await mine.run(PROMPT);
finish(result.data.result);
