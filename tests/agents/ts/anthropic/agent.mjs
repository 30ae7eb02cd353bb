import Anthropic from '@anthropic-ai/sdk';
import { AnthropicProvider } from '@composio/anthropic';
import { FOR_USER, MODEL_KEY, MODEL_URL, PROMPT, USER, finish, start } from './scripted.mjs';

const { composio, session } = await start(new AnthropicProvider());
const client = new Anthropic({ baseURL: MODEL_URL, apiKey: MODEL_KEY });
const tools = await session.tools();
const messages = [{ role: 'user', content: PROMPT }];
let response;
for (;;) {
  response = await client.messages.create({ model: 'claude-opus-4-6', max_tokens: 4096, tools, messages });
  if (response.stop_reason !== 'tool_use') break;
  messages.push({ role: 'assistant', content: response.content });
  if (FOR_USER) {
    messages.push(...await composio.provider.handleToolCalls(USER, response));
    continue;
  }
  // The handler of this version knows no sessions.
  const content = [];
  for (const { id, name, input } of response.content.filter(({ type }) => type === 'tool_use')) {
    content.push({ type: 'tool_result', tool_use_id: id, content: JSON.stringify(await session.execute(name, input)) });
  }
  messages.push({ role: 'user', content });
}
finish(response.content.map(({ text }) => text ?? '').join(''));
