// The part that the model plays. What it says next follows from the conversation alone, so that a
// framework may repeat a request, and a model server may be stateless.
import Ajv from 'ajv';
import { every, first, read } from './read.mjs';

const ajv = new Ajv({ strict: false, validateFormats: false, logger: false });
export const CREATE = 'GITHUB_CREATE_AN_ISSUE';
export const WHOAMI = 'GITHUB_GET_THE_AUTHENTICATED_USER';

// Frameworks rename tools: mcp__composio__NAME, NAME_1234567890, name.
export const isNamed = (given, name) => given?.toUpperCase().includes(name) ?? false;
const offered = (tools, name) => tools.find((tool) => isNamed(tool.name, name));

// What a model writes where a schema requires what it has nothing to say about: null in strict
// schemas; frameworks that require everything without null get something empty.
function blank(schema) {
  const types = [schema?.type ?? (schema?.anyOf ?? []).map(({ type }) => type)].flat();
  if (!types.length || types.includes('null')) return null;
  if (schema.default !== undefined) return schema.default;
  return schema.enum?.[0] ?? { string: '', object: {}, array: [], boolean: false }[types[0]] ?? 0;
}
function complete(given, value) {
  const fits = (one) => [one.type].flat().includes(Array.isArray(value) ? 'array' : typeof value);
  const schema = (given?.anyOf ?? given?.oneOf)?.find(fits) ?? given;
  if (Array.isArray(value)) return value.map((item) => complete(schema?.items, item));
  if (value === null || typeof value !== 'object' || !schema?.properties) return value;
  const whole = { ...value };
  for (const [key, inner] of Object.entries(schema.properties)) {
    if (key in whole) whole[key] = complete(inner, whole[key]);
    else if (schema.required?.includes(key)) whole[key] = blank(inner);
  }
  return whole;
}

const KEYWORDS = { any_of: 'anyOf', min_items: 'minItems', max_items: 'maxItems', additional_properties: 'additionalProperties' };

// Gemini writes its types in capitals and null as `nullable`. `open`: a framework closes the objects
// that the tool leaves open, which says of nothing that it may be sent.
function plain(schema, open) {
  if (Array.isArray(schema)) return schema.map((one) => plain(one, open));
  if (schema === null || typeof schema !== 'object') return schema;
  const out = {};
  for (const [name, value] of Object.entries(schema)) {
    const key = KEYWORDS[name] ?? name;
    if (key === 'type' && typeof value === 'string') out.type = schema.nullable ? [value.toLowerCase(), 'null'] : value.toLowerCase();
    else if (['minItems', 'maxItems', 'minLength', 'maxLength'].includes(key)) out[key] = Number(value);
    else if (key === 'nullable') continue;
    else out[key] = ['enum', 'default', 'required', 'const'].includes(key) ? value : plain(value, open);
  }
  if (open && out.additionalProperties === false && !Object.keys(out.properties ?? {}).length) delete out.additionalProperties;
  return out;
}

// A strict model cannot write arguments where a framework closed them; it has another place for them.
function asText(schema, one) {
  const { arguments: closed, arguments_json: text } = schema.properties?.tools?.items?.properties ?? {};
  if (closed?.additionalProperties !== false || Object.keys(closed.properties ?? {}).length || !text) return;
  Object.assign(one, { arguments: {}, arguments_json: JSON.stringify(one.arguments) });
}

export class Play {
  // `run`: title, owner and repo of the issue to file, `approve(url)`, and `wrong(text)`.
  constructor(run) { this.run = run; }

  call(tools, name, args) {
    const tool = offered(tools, name);
    if (!tool) {
      this.run.wrong(`${name} is not among the tools: ${tools.map((one) => one.name)}`);
      return { text: 'I lack a tool.' };
    }
    const schema = plain(tool.schema, this.run.closes);
    for (const one of args.tools ?? []) asText(schema, one);
    const whole = complete(schema, args);
    let valid;
    try { valid = ajv.compile(schema); } catch (error) {
      this.run.wrong(`${tool.name}: its schema is not valid: ${error.message}`);
      return { call: { name: tool.name, args: whole } };
    }
    if (!valid(whole)) this.run.wrong(`${tool.name} does not take ${JSON.stringify(whole)}: ${ajv.errorsText(valid.errors)}`);
    return { call: { name: tool.name, args: whole } };
  }

  // `steps`: the calls so far and what came back, each { name, text }. `tools`: { name, schema }.
  async next(tools, steps) {
    const { run } = this;
    run.steps = Math.max(run.steps ?? 0, steps.length);
    const last = steps.at(-1);
    const is = (name) => isNamed(last?.name, name);
    if (!last) {
      return this.call(tools, 'COMPOSIO_SEARCH_TOOLS', {
        queries: [
          { use_case: 'create an issue in a GitHub repository', known_fields: `repository:${run.owner}/${run.repo}` },
          { use_case: 'find out who the authenticated GitHub user is' },
        ],
        session: { generate_id: true },
      });
    }
    const data = read(last.text);
    const failed = (what) => {
      run.wrong(`${what}: ${JSON.stringify(last.text).slice(0, 2000)}`);
      return { text: 'That did not work. TERMINATE' };
    };
    if (typeof data !== 'object') return failed(`${last.name} answered no data`);
    const error = first(data, 'error', (value) => value);
    if (error) return failed(`${last.name} failed`);
    const session = first(steps.map((step) => read(step.text)), 'session', (value) => typeof value?.id === 'string')?.id;
    const context = session ? { session_id: session } : {};
    if (is('COMPOSIO_SEARCH_TOOLS')) {
      const slugs = [...every(data, 'primary_tool_slugs'), ...every(data, 'related_tool_slugs')].flat();
      for (const slug of [CREATE, WHOAMI]) if (!slugs.includes(slug)) return failed(`${slug} was not found`);
      const status = first(data, 'toolkit_connection_statuses')?.find((one) => one.toolkit === 'github');
      if (status?.has_active_connection !== false) return failed('the search does not say that GitHub is not connected');
      if (!first(data, 'tool_schemas')?.[CREATE]) return failed(`no schema of ${CREATE}`);
      return this.call(tools, 'COMPOSIO_MANAGE_CONNECTIONS', { toolkits: [{ name: 'github' }], ...context });
    }
    if (is('COMPOSIO_MANAGE_CONNECTIONS')) {
      const link = first(data, 'redirect_url', (value) => typeof value === 'string');
      if (!link) return failed('no link');
      // With a tool that waits, the person takes their time while it does.
      const approval = run.approve(link);
      if (offered(tools, 'COMPOSIO_WAIT_FOR_CONNECTIONS')) {
        return this.call(tools, 'COMPOSIO_WAIT_FOR_CONNECTIONS', { toolkits: ['github'], ...context });
      }
      await approval;
    }
    if (is('COMPOSIO_MANAGE_CONNECTIONS') || is('COMPOSIO_WAIT_FOR_CONNECTIONS')) {
      return this.call(tools, 'COMPOSIO_MULTI_EXECUTE_TOOL', {
        tools: [
          { tool_slug: CREATE, arguments: { owner: run.owner, repo: run.repo, title: run.title, body: 'Filed by a scripted agent: ä "quoted" \\ 中' } },
          { tool_slug: WHOAMI, arguments: {} },
        ],
        ...context,
      });
    }
    if (is('COMPOSIO_MULTI_EXECUTE_TOOL')) {
      const issue = first(data, 'data', (value) => value?.title === run.title) ?? first(data, 'response', (value) => first(value, 'title') === run.title);
      const number = first(issue, 'number');
      const login = first(data, 'data', (value) => value?.login)?.login;
      if (!number || !login) return failed('the results lack the issue or the user');
      run.number = number;
      return { text: `Filed issue #${number} as ${login}. TERMINATE` };
    }
    return failed(`nobody called ${last.name}`);
  }
}
