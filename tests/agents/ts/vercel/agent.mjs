import { createOpenAI } from '@ai-sdk/openai';
import { VercelProvider } from '@composio/vercel';
import { generateText, stepCountIs, streamText } from 'ai';
import { MODEL_KEY, OPENAI_URL, PROMPT, STREAM, finish, start } from './scripted.mjs';

const { session } = await start(new VercelProvider());
const openai = createOpenAI({ baseURL: OPENAI_URL, apiKey: MODEL_KEY });
const request = { model: openai('gpt-5.2'), tools: await session.tools(), prompt: PROMPT, stopWhen: stepCountIs(10) };
const result = STREAM ? streamText(request) : await generateText(request);
finish(await result.text);
