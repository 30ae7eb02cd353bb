// A model server for agents: it speaks like OpenAI's, Anthropic's and Google's, and says what
// play.mjs tells it to. Every run has an address of its own; what a client does wrong is kept in
// its run, and answered with the 400 that the real one would give.
import { createServer } from 'node:http';
import { readMessages, writeMessages } from './anthropic.mjs';
import { readGemini, writeGemini } from './gemini.mjs';
import { readChat, readResponses, writeChat, writeResponses } from './openai.mjs';

const ROUTES = [
  [/\/chat\/completions$/, 'chat', readChat, writeChat],
  [/\/responses$/, 'responses', readResponses, writeResponses],
  [/\/v1\/messages$/, 'messages', readMessages, writeMessages],
  [/\/models\/([^/:]+):(generateContent|streamGenerateContent)$/, 'gemini', readGemini, writeGemini],
];
const KEY = 'model-key';

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}
const keyOf = ({ headers }, url) => headers['x-api-key'] ?? headers['x-goog-api-key']
  ?? headers.authorization?.replace(/^Bearer /, '') ?? url.searchParams.get('key');

function send(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

export async function startModel() {
  const runs = new Map();
  const elsewhere = [];
  let count = 0;

  // It is also the proxy of the agents' processes: whoever wants to leave this machine comes by. The
  // user name is the run.
  const leaving = ({ headers, method, url }) => {
    const user = Buffer.from((headers['proxy-authorization'] ?? '').replace(/^Basic /i, ''), 'base64').toString().split(':')[0];
    const text = `left this machine: ${method} ${url}`;
    if (runs.has(user)) runs.get(user).wrong(text);
    else elsewhere.push(text);
  };

  async function answer(request, response) {
    if (!request.url.startsWith('/')) {
      leaving(request);
      return send(response, 403, {});
    }
    const url = new URL(request.url, 'http://127.0.0.1');
    const run = runs.get(url.pathname.split('/')[1]);
    if (!run) {
      elsewhere.push(`${request.method} ${request.url}`);
      return send(response, 404, { error: { message: 'there is no such run' } });
    }
    const text = await bodyOf(request);
    if (request.method === 'POST' && url.pathname.endsWith('/v1/messages/count_tokens')) return send(response, 200, { input_tokens: 10 });
    const route = request.method === 'POST' && ROUTES.find(([pattern]) => pattern.test(url.pathname));
    if (!route) {
      run.others.push(`${request.method} ${url.pathname}`);
      return send(response, 404, { error: { type: 'not_found_error', message: `no ${url.pathname}` } });
    }
    const [pattern, api, read, write] = route;
    const before = run.problems.length;
    let given;
    const body = JSON.parse(text);
    run.requests.push({ api, body });
    if (keyOf(request, url) !== KEY) run.wrong(`the key ${keyOf(request, url)}`);
    try { given = read(body, run.wrong); } catch (error) { run.wrong(`the request cannot be read: ${error.stack}`); }
    if (run.problems.length > before) {
      const message = run.problems.slice(before).join('; ');
      return send(response, 400, { type: 'error', error: { type: 'invalid_request_error', code: 400, status: 'INVALID_ARGUMENT', message } });
    }
    count += 1;
    const id = `${run.id}${String(count).padStart(6, '0')}`;
    const [, model, verb] = pattern.exec(url.pathname);
    // Requests without tools are a framework's own business, such as a title for the conversation.
    const said = given.tools.length ? await run.play.next(given.tools, given.steps) : { text: 'A title' };
    run.said.push(said.call?.name ?? said.text);
    const out = write(said, body, id, { ...given, model, stream: verb === 'streamGenerateContent' });
    if (!Array.isArray(out)) return send(response, 200, out);
    run.streamed += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const { event, data } of out) {
      response.write(`${event ? `event: ${event}\n` : ''}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
    }
    return response.end();
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      elsewhere.push(error.stack);
      if (!response.headersSent) send(response, 500, { error: { message: String(error) } });
      else response.destroy();
    });
  });
  server.on('connect', (request, socket) => {
    leaving(request);
    socket.on('error', () => {}).end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    KEY, origin, elsewhere,
    add(run) {
      Object.assign(run, { problems: [], requests: [], others: [], said: [], streamed: 0 });
      run.wrong = (text) => run.problems.push(text);
      runs.set(run.id, run);
      return `${origin}/${run.id}`;
    },
    proxy: (run) => origin.replace('http://', `http://${run.id}:x@`),
    close() { server.closeAllConnections(); server.close(); },
  };
}
