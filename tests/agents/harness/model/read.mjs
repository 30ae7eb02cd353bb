// Reads what a framework made of a tool's result. A model sees text, and frameworks write that text
// in their own ways: JSON, JSON in a string of JSON, Python's repr, a list of text blocks.

// Python's repr of plain data, as JSON.
function fromPython(text) {
  let out = '';
  for (let i = 0; i < text.length;) {
    const quote = text[i];
    if (quote === "'" || quote === '"') {
      let value = '';
      for (i += 1; i < text.length && text[i] !== quote; i += 1) {
        if (text[i] !== '\\') { value += text[i]; continue; }
        i += 1;
        const width = { x: 2, u: 4, U: 8 }[text[i]];
        if (width) {
          value += String.fromCodePoint(parseInt(text.slice(i + 1, i + 1 + width), 16));
          i += width;
        } else value += { n: '\n', t: '\t', r: '\r' }[text[i]] ?? text[i];
      }
      out += JSON.stringify(value);
      i += 1;
      continue;
    }
    const word = /^(True|False|None)\b/.exec(text.slice(i, i + 6))?.[0];
    out += word ? { True: 'true', False: 'false', None: 'null' }[word] : text[i];
    i += word ? word.length : 1;
  }
  return JSON.parse(out);
}

// JSON in a string of JSON whose quotes were all taken out, as LlamaIndex for TypeScript does: the
// backslashes that escaped them are still there. An odd run of them is one quote, an even one is
// two when it stands where a text begins or ends.
const fromUnquoted = (text) => JSON.parse(JSON.parse(`"${text.replace(/\\+/g, (run, at) => {
  if (run.length % 2) return `${run}"`;
  if (/[,:}\]]/.test(text[at + run.length] ?? ',')) return `${run.slice(1)}"\\"`;
  return /[,:[{]/.test(text[at - 1]) ? `\\"${run.slice(1)}"` : run;
})}"`));

// The data of a result, or the text itself when it is no data.
export function read(given) {
  // What an agent's own shell adds for the model is not the tool's.
  const value = typeof given === 'string' ? given.replace(/\s*<system-reminder>[^]*<\/system-reminder>\s*$/, '') : given;
  if (Array.isArray(value) && value.length && value.every((part) => typeof part?.text === 'string')) {
    return read(value.map((part) => part.text).join(''));
  }
  if (typeof value !== 'string') return value;
  for (const parse of [JSON.parse, fromPython, fromUnquoted]) {
    try {
      const parsed = parse(value);
      return typeof parsed === 'object' || typeof parsed === 'string' ? read(parsed) : parsed;
    } catch { /* the next way */ }
  }
  return value;
}

// Every value under this key, however deep, and also inside of strings that hold JSON.
export function* every(value, key) {
  if (typeof value === 'string' && /^\s*[{[]/.test(value)) {
    const inner = read(value);
    if (typeof inner === 'object') yield* every(inner, key);
  }
  if (value === null || typeof value !== 'object') return;
  for (const [name, inner] of Object.entries(value)) {
    if (name === key) yield inner;
    yield* every(inner, key);
  }
}

export const first = (value, key, fits = () => true) => {
  for (const found of every(value, key)) if (fits(found)) return found;
  return undefined;
};
