// OpenAI's Chat Completions and Responses.
import { openai as rules } from './schema.mjs';

const usage = { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 };
const now = () => Math.floor(Date.now() / 1000);
const textOf = (content) => (Array.isArray(content) ? content.map((part) => part.text ?? '').join('') : content ?? '');

export function readChat(body, wrong) {
  const tools = (body.tools ?? []).map((tool, i) => {
    if (tool.type !== 'function') wrong(`tools[${i}] is of type ${tool.type}`);
    rules(tool.function).forEach(wrong);
    return { name: tool.function.name, schema: tool.function.parameters };
  });
  const steps = [];
  let open = new Map();
  for (const [i, message] of (body.messages ?? []).entries()) {
    if (message.role === 'tool') {
      const name = open.get(message.tool_call_id);
      if (!name) wrong(`messages[${i}] answers the call ${message.tool_call_id}, which was not made before it`);
      open.delete(message.tool_call_id);
      steps.push({ name: name ?? '', text: textOf(message.content) });
      continue;
    }
    if (open.size) wrong(`the calls ${[...open.keys()]} are not answered before messages[${i}]`);
    if (!['system', 'developer', 'user', 'assistant'].includes(message.role)) wrong(`messages[${i}] has the role ${message.role}`);
    open = new Map((message.tool_calls ?? []).map((call) => [call.id, call.function.name]));
    for (const call of message.tool_calls ?? []) JSON.parse(call.function.arguments);
  }
  if (open.size) wrong(`the calls ${[...open.keys()]} are not answered`);
  return { tools, steps };
}

export function writeChat({ text, call }, body, id) {
  const about = { id: `chatcmpl-${id}`, created: now(), model: body.model, system_fingerprint: 'fp_script' };
  const args = call && JSON.stringify(call.args);
  const calls = call && [{ id: `call_${id}`, type: 'function', function: { name: call.name, arguments: args } }];
  const finish_reason = call ? 'tool_calls' : 'stop';
  if (!body.stream) {
    const message = { role: 'assistant', content: text ?? null, refusal: null, ...(call && { tool_calls: calls }) };
    return { ...about, object: 'chat.completion', choices: [{ index: 0, message, logprobs: null, finish_reason }], usage };
  }
  const chunk = (delta, finish = null) => ({
    ...about, object: 'chat.completion.chunk', choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  });
  const half = call ? args.length >> 1 : 0;
  const events = call ? [
    chunk({ role: 'assistant', content: null, tool_calls: [{ index: 0, ...calls[0], function: { name: call.name, arguments: '' } }] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: args.slice(0, half) } }] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: args.slice(half) } }] }),
  ] : [chunk({ role: 'assistant', content: '' }), ...text.split(/(?<= )/).map((word) => chunk({ content: word }))];
  events.push(chunk({}, finish_reason));
  if (body.stream_options?.include_usage) events.push({ ...about, object: 'chat.completion.chunk', choices: [], usage });
  return [...events.map((data) => ({ data })), { data: '[DONE]' }];
}

// Earlier responses by id: what `previous_response_id` refers to.
const earlier = new Map();

export function readResponses(body, wrong) {
  const tools = (body.tools ?? []).map((tool, i) => {
    if (tool.type !== 'function') wrong(`tools[${i}] is of type ${tool.type}`);
    rules(tool).forEach(wrong);
    return { name: tool.name, schema: tool.parameters };
  });
  const before = body.previous_response_id ? earlier.get(body.previous_response_id) : [];
  if (!before) wrong(`there is no response ${body.previous_response_id}`);
  const items = [...(before ?? []), ...(typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : body.input)];
  const steps = [];
  const open = new Map();
  for (const [i, item] of items.entries()) {
    if (item.type === 'function_call') {
      JSON.parse(item.arguments);
      open.set(item.call_id, item.name);
    } else if (item.type === 'function_call_output') {
      if (!open.has(item.call_id)) wrong(`input[${i}] answers the call ${item.call_id}, which was not made before it`);
      steps.push({ name: open.get(item.call_id) ?? '', text: textOf(item.output) });
      open.delete(item.call_id);
    } else if (item.role === undefined) wrong(`input[${i}] is of the type ${item.type}`);
  }
  if (open.size) wrong(`the calls ${[...open.keys()]} are not answered`);
  return { tools, steps, items };
}

export function writeResponses({ text, call }, body, id, { items }) {
  const item = call
    ? { id: `fc_${id}`, type: 'function_call', status: 'completed', call_id: `call_${id}`, name: call.name, arguments: JSON.stringify(call.args) }
    : { id: `msg_${id}`, type: 'message', status: 'completed', role: 'assistant', content: [{ type: 'output_text', text, annotations: [], logprobs: [] }] };
  const response = {
    id: `resp_${id}`, object: 'response', created_at: now(), status: 'completed', error: null, incomplete_details: null,
    instructions: body.instructions ?? null, max_output_tokens: null, model: body.model, output: [item], parallel_tool_calls: true,
    previous_response_id: body.previous_response_id ?? null, reasoning: { effort: null, summary: null }, store: true, temperature: 1,
    text: { format: { type: 'text' } }, tool_choice: 'auto', tools: body.tools ?? [], top_p: 1, truncation: 'disabled', metadata: {},
    usage: { input_tokens: 10, input_tokens_details: { cached_tokens: 0 }, output_tokens: 10, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 20 },
  };
  earlier.set(response.id, [...items, item]);
  if (!body.stream) return response;
  const events = [];
  const say = (type, more) => events.push({ event: type, data: { type, sequence_number: events.length, ...more } });
  const begun = { ...response, status: 'in_progress', output: [], usage: null };
  say('response.created', { response: begun });
  say('response.in_progress', { response: begun });
  const at = { output_index: 0, item_id: item.id };
  if (call) {
    say('response.output_item.added', { output_index: 0, item: { ...item, status: 'in_progress', arguments: '' } });
    say('response.function_call_arguments.delta', { ...at, delta: item.arguments });
    say('response.function_call_arguments.done', { ...at, name: item.name, arguments: item.arguments });
  } else {
    const part = { type: 'output_text', text: '', annotations: [], logprobs: [] };
    say('response.output_item.added', { output_index: 0, item: { ...item, status: 'in_progress', content: [] } });
    say('response.content_part.added', { ...at, content_index: 0, part });
    for (const delta of text.split(/(?<= )/)) say('response.output_text.delta', { ...at, content_index: 0, delta, logprobs: [] });
    say('response.output_text.done', { ...at, content_index: 0, text, logprobs: [] });
    say('response.content_part.done', { ...at, content_index: 0, part: { ...part, text } });
  }
  say('response.output_item.done', { output_index: 0, item });
  say('response.completed', { response });
  return events;
}
