// Anthropic's Messages.
import { anthropic as rules } from './schema.mjs';

export function readMessages(body, wrong) {
  if (!Number.isInteger(body.max_tokens)) wrong('no max_tokens');
  const tools = (body.tools ?? []).filter((tool) => tool.input_schema || (tool.type ?? 'custom') === 'custom').map((tool) => {
    rules(tool).forEach(wrong);
    return { name: tool.name, schema: tool.input_schema };
  });
  const steps = [];
  let open = new Map();
  for (const [i, { role, content }] of (body.messages ?? []).entries()) {
    if (!['user', 'assistant'].includes(role)) wrong(`messages[${i}] has the role ${role}`);
    const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
    if (role === 'user') {
      for (const block of blocks.filter(({ type }) => type === 'tool_result')) {
        if (!open.has(block.tool_use_id)) wrong(`messages[${i}] has a result of ${block.tool_use_id}, which is not in the message before`);
        steps.push({ name: open.get(block.tool_use_id) ?? '', text: block.content });
        open.delete(block.tool_use_id);
      }
    }
    if (open.size) wrong(`messages[${i}] lacks the results of ${[...open.keys()]}`);
    open = new Map(blocks.filter(({ type }) => type === 'tool_use').map((block) => {
      if (typeof block.input !== 'object') wrong(`messages[${i}] has an input that is no object`);
      return [block.id, block.name];
    }));
  }
  if (open.size) wrong(`the results of ${[...open.keys()]} are missing`);
  return { tools, steps };
}

export function writeMessages({ text, call }, body, id) {
  const block = call ? { type: 'tool_use', id: `toolu_${id}`, name: call.name, input: call.args } : { type: 'text', text };
  const stop_reason = call ? 'tool_use' : 'end_turn';
  const usage = { input_tokens: 10, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 10 };
  const message = { id: `msg_${id}`, type: 'message', role: 'assistant', model: body.model, content: [block], stop_reason, stop_sequence: null, usage };
  if (!body.stream) return message;
  const events = [];
  const say = (type, more) => events.push({ event: type, data: { type, ...more } });
  say('message_start', { message: { ...message, content: [], stop_reason: null } });
  say('content_block_start', { index: 0, content_block: call ? { ...block, input: {} } : { type: 'text', text: '' } });
  const pieces = call ? JSON.stringify(call.args).match(/[^]{1,40}/g) : text.split(/(?<= )/);
  for (const piece of pieces) {
    say('content_block_delta', { index: 0, delta: call ? { type: 'input_json_delta', partial_json: piece } : { type: 'text_delta', text: piece } });
  }
  say('content_block_stop', { index: 0 });
  say('message_delta', { delta: { stop_reason, stop_sequence: null }, usage });
  say('message_stop', {});
  return events;
}
