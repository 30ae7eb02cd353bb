// Hacker News' two public APIs, as far as the tests go: a few recorded shapes of the search index
// and of the item store.
import { createServer } from 'node:http';

const created = 1_160_418_092;
const user = { id: 12, username: 'pg', about: 'Bug fixer.', karma: 157316, created_at: '2006-10-09T18:21:32.000Z' };
const hits = ['Show HN: Patchbay', 'Ask HN: What do you plug in?', 'Rust async runtimes compared'].map((title, i) => ({
  objectID: String(8863 + i),
  title,
  url: `https://example.com/${i}`,
  author: i === 0 ? 'pg' : 'someone',
  points: 111 - i,
  num_comments: 71,
  created_at: '2007-04-04T19:16:40.000Z',
  created_at_i: created + i,
  _tags: ['story', `author_${i === 0 ? 'pg' : 'someone'}`, `story_${8863 + i}`],
}));

function answer(url) {
  const [, user_name] = url.pathname.match(/^\/api\/v1\/users\/([^/]+)$/) ?? [];
  if (user_name) return user_name === 'pg' ? [200, user] : [404, { status: 404, error: 'Not Found' }];
  if (['/api/v1/search', '/api/v1/search_by_date'].includes(url.pathname)) {
    const words = (url.searchParams.get('query') ?? '').toLowerCase();
    const size = Number(url.searchParams.get('hitsPerPage') ?? 20);
    const page = Number(url.searchParams.get('page') ?? 0);
    const found = hits.filter((hit) => hit.title.toLowerCase().includes(words));
    return [200, {
      hits: found.slice(page * size, (page + 1) * size),
      nbHits: found.length,
      nbPages: Math.ceil(found.length / size),
      page,
      hitsPerPage: size,
      query: words,
    }];
  }
  const [, item] = url.pathname.match(/^\/api\/v1\/items\/(\d+)$/) ?? [];
  const hit = hits.find(({ objectID }) => objectID === item);
  if (hit) return [200, { id: Number(item), type: 'story', title: hit.title, author: hit.author, children: [] }];
  return [404, { status: 404, error: 'Not Found' }];
}

export async function startHackerNews() {
  const server = createServer((request, response) => {
    const [status, body] = answer(new URL(request.url, 'http://hackernews'));
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${server.address().port}`;
}
