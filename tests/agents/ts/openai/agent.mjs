// The default provider: the loop is the application's own.
import OpenAI from 'openai';
import { OpenAIResponsesProvider } from '@composio/openai';
import { API, FOR_USER, MODEL_KEY, OPENAI_URL, PROMPT, STRICT, USER, finish, start } from './scripted.mjs';

const client = new OpenAI({ baseURL: OPENAI_URL, apiKey: MODEL_KEY });

async function chat() {
  const { composio, session } = await start();
  const tools = await session.tools();
  const messages = [{ role: 'user', content: PROMPT }];
  for (;;) {
    const response = await client.chat.completions.create({ model: 'gpt-5.2', tools, messages });
    const { message } = response.choices[0];
    if (!message.tool_calls) return message.content;
    messages.push(message, ...await composio.provider.handleToolCalls(FOR_USER ? USER : session, response));
  }
}

async function responses() {
  const { composio, session } = await start(new OpenAIResponsesProvider({ strict: STRICT }));
  const tools = await session.tools();
  let response = await client.responses.create({ model: 'gpt-5.2', tools, input: [{ role: 'user', content: PROMPT }] });
  while (response.output.some(({ type }) => type === 'function_call')) {
    const input = await composio.provider.handleToolCalls(session, response.output);
    response = await client.responses.create({ model: 'gpt-5.2', tools, previous_response_id: response.id, input });
  }
  return response.output_text;
}

finish(await (API === 'chat' ? chat() : responses()));
