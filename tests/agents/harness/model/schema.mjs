// The rules that the model APIs have for tools. Each check returns what is wrong, as texts.

function* parts(schema, path = '') {
  if (schema === null || typeof schema !== 'object' || Array.isArray(schema)) return;
  yield [schema, path];
  for (const key of ['properties', '$defs', 'definitions', 'patternProperties']) {
    for (const [name, inner] of Object.entries(schema[key] ?? {})) yield* parts(inner, `${path}/${key}/${name}`);
  }
  for (const key of ['items', 'additionalProperties', 'not']) yield* parts(schema[key], `${path}/${key}`);
  for (const key of ['anyOf', 'oneOf', 'allOf', 'prefixItems']) {
    for (const [i, inner] of (schema[key] ?? []).entries()) yield* parts(inner, `${path}/${key}/${i}`);
  }
}
const typesOf = (schema) => [schema.type ?? []].flat().map((type) => String(type).toLowerCase());

function common(name, schema, pattern) {
  const wrong = [];
  if (!pattern.test(name)) wrong.push(`the name ${JSON.stringify(name)} does not match ${pattern}`);
  if (schema === null || typeof schema !== 'object') return [...wrong, `${name}: the parameters are no schema`];
  if (!typesOf(schema).includes('object')) wrong.push(`${name}: the parameters are not of type object`);
  for (const [part, path] of parts(schema)) {
    if (typesOf(part).includes('array') && part.items === undefined && part.prefixItems === undefined) {
      wrong.push(`${name}${path}: an array without items`);
    }
    for (const key of part.required ?? []) {
      if (!(key in (part.properties ?? {}))) wrong.push(`${name}${path}: requires ${key}, which is no property`);
    }
  }
  return wrong;
}

// Chat Completions and Responses.
export function openai({ name, description, parameters, strict }) {
  const wrong = common(name, parameters, /^[a-zA-Z0-9_-]{1,64}$/);
  for (const key of ['anyOf', 'oneOf', 'allOf', 'enum', 'not']) {
    if (parameters && key in parameters) wrong.push(`${name}: ${key} at the top`);
  }
  if (description !== undefined && (typeof description !== 'string' || description.length > 1024)) {
    wrong.push(`${name}: the description has ${description?.length} characters, the API takes 1024`);
  }
  if (!strict) return wrong;
  for (const [part, path] of parts(parameters)) {
    if (!typesOf(part).includes('object')) continue;
    if (part.additionalProperties !== false) wrong.push(`${name}${path}: strict, but open to more properties`);
    for (const key of Object.keys(part.properties ?? {})) {
      if (!part.required?.includes(key)) wrong.push(`${name}${path}: strict, but ${key} is not required`);
    }
  }
  return wrong;
}

export function anthropic({ name, input_schema }) {
  const wrong = common(name, input_schema, /^[a-zA-Z0-9_-]{1,128}$/);
  for (const key of ['anyOf', 'oneOf', 'allOf']) {
    if (input_schema && key in input_schema) wrong.push(`${name}: ${key} at the top`);
  }
  for (const [part, path] of parts(input_schema)) {
    for (const key of Object.keys(part.properties ?? {})) {
      if (!/^[a-zA-Z0-9_.-]{1,64}$/.test(key)) wrong.push(`${name}${path}: the property ${key}`);
    }
  }
  return wrong;
}

// `parameters` is Gemini's own subset of OpenAPI, in which Vertex AI knows additionalProperties too;
// `parametersJsonSchema` is JSON Schema. Names may be written with underscores.
const GEMINI = new Set(['type', 'format', 'title', 'description', 'nullable', 'enum', 'items', 'properties',
  'required', 'propertyOrdering', 'anyOf', 'default', 'example', 'pattern', 'minItems', 'maxItems', 'minLength',
  'maxLength', 'minProperties', 'maxProperties', 'minimum', 'maximum', 'additionalProperties']);
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
export function gemini({ name, parameters, parametersJsonSchema }) {
  const schema = parametersJsonSchema ?? parameters;
  if (schema === undefined) return [];
  const wrong = common(name, schema, /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$/);
  if (parametersJsonSchema) return wrong;
  for (const [part, path] of parts(schema)) {
    for (const key of Object.keys(part)) if (!GEMINI.has(camel(key))) wrong.push(`${name}${path}: Gemini knows no ${key}`);
    if (Array.isArray(part.type)) wrong.push(`${name}${path}: more than one type`);
    if (part.enum && !part.enum.every((one) => typeof one === 'string')) wrong.push(`${name}${path}: an enum of other than texts`);
  }
  return wrong;
}
