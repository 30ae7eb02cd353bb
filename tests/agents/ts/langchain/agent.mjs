import { LangchainProvider } from '@composio/langchain';
import { ChatOpenAI } from '@langchain/openai';
import { createAgent } from 'langchain';
import { MODEL_KEY, OPENAI_URL, PROMPT, finish, start } from './scripted.mjs';

const { session } = await start(new LangchainProvider());
const model = new ChatOpenAI({ model: 'gpt-4.1', apiKey: MODEL_KEY, configuration: { baseURL: OPENAI_URL } });
const agent = createAgent({ model, tools: await session.tools() });
const { messages } = await agent.invoke({ messages: [{ role: 'user', content: PROMPT }] });
finish(messages.at(-1).text);
