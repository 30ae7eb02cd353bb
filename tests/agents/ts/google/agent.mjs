import { GoogleProvider } from '@composio/google';
import { GoogleGenAI } from '@google/genai';
import { FOR_USER, MODEL_KEY, MODEL_URL, PROMPT, STREAM, USER, finish, start } from './scripted.mjs';

const { composio, session } = await start(new GoogleProvider());
const ai = new GoogleGenAI({ apiKey: MODEL_KEY, httpOptions: { baseUrl: MODEL_URL } });
const chat = ai.chats.create({
  model: 'gemini-3-pro-preview', config: { tools: [{ functionDeclarations: await session.tools() }] },
});

// The last chunk that has something to say.
async function ask(message) {
  if (!STREAM) return chat.sendMessage({ message });
  let last;
  for await (const chunk of await chat.sendMessageStream({ message })) last = chunk;
  return last;
}

// The SDK's own way knows no sessions.
const execute = async (name, args) => FOR_USER
  ? JSON.parse(await composio.provider.executeToolCall(USER, { name, args }))
  : session.execute(name, args);

let response = await ask(PROMPT);
while (response.functionCalls?.length) {
  const parts = [];
  for (const { id, name, args } of response.functionCalls) {
    parts.push({ functionResponse: { id, name, response: await execute(name, args ?? {}) } });
  }
  response = await ask(parts);
}
finish(response.text);
