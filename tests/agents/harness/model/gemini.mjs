// Google's generateContent and streamGenerateContent.
import { gemini as rules } from './schema.mjs';

// Both spellings are accepted by the API, and used by its clients.
const of = (value, camel, snake) => value?.[camel] ?? value?.[snake];

export function readGemini(body, wrong) {
  const declared = (body.tools ?? []).flatMap((tool) => of(tool, 'functionDeclarations', 'function_declarations') ?? []);
  const tools = declared.map((one) => {
    const tool = { ...one, parametersJsonSchema: of(one, 'parametersJsonSchema', 'parameters_json_schema') };
    rules(tool).forEach(wrong);
    return { name: tool.name, schema: tool.parametersJsonSchema ?? tool.parameters ?? { type: 'object' } };
  });
  const steps = [];
  let open = [];
  for (const [i, { role, parts }] of (body.contents ?? []).entries()) {
    if (!['user', 'model', 'function', undefined].includes(role)) wrong(`contents[${i}] has the role ${role}`);
    const results = parts.map((part) => of(part, 'functionResponse', 'function_response')).filter(Boolean);
    if (open.length !== results.length) wrong(`contents[${i}] has ${results.length} results for ${open.length} calls`);
    for (const result of results) {
      const call = open.find(({ name, id }) => name === result.name && (!result.id || !id || result.id === id));
      if (!call) wrong(`contents[${i}] has a result of ${result.name} (${result.id}), which was not called before it`);
      if (result.response === null || typeof result.response !== 'object') wrong(`contents[${i}] has a response that is no object`);
      steps.push({ name: result.name, text: result.response });
    }
    open = parts.map((part) => of(part, 'functionCall', 'function_call')).filter(Boolean);
  }
  if (open.length) wrong(`the results of ${open.map(({ name }) => name)} are missing`);
  return { tools, steps };
}

export function writeGemini({ text, call }, body, id, { model, stream }) {
  const parts = [call ? { functionCall: { id: `fc-${id}`, name: call.name, args: call.args } } : { text }];
  const answer = {
    candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP', index: 0 }],
    usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 10, totalTokenCount: 20 },
    modelVersion: model, responseId: id,
  };
  return stream ? [{ data: answer }] : answer;
}
