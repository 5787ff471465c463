import { percentOf, type Weight } from './weight.ts';

/** A `server` line of an `upstream` block, as far as sluice edits it. */
export interface UpstreamServer {
  readonly upstream: string;
  /** As it stands there, such as `10.0.0.11:8080`. */
  readonly address: string;
  readonly rotation: 'in' | 'out';
  readonly weight: Weight;
}

/** What a server is to have; what is absent stays as it is. */
export interface ServerEdit extends Pick<UpstreamServer, 'upstream' | 'address'> {
  readonly rotation?: 'in' | 'out';
  /** Of its weight: 0 stands as `down`, for nginx knows no weight of 0. */
  readonly now?: number;
}

/** All servers of all upstreams in the text, in order. Throws if a quote or a block does not end. */
export const serversIn = (config: string): readonly UpstreamServer[] =>
  serverLines(config).map((line) => line.server);

/** No new request goes there: it is told to be out, or has no weight. */
export const isDown = ({ rotation, weight }: Pick<UpstreamServer, 'rotation' | 'weight'>): boolean =>
  rotation === 'out' || percentOf(weight) === 0;

/**
 * The text with these servers changed, and every other byte as it was. The weight that a server is configured with is
 * kept in a comment behind its line for as long as it has another one: setting it back leaves the line as it was.
 */
export function withServers(config: string, edits: readonly ServerEdit[]): string {
  const lines = serverLines(config).toReversed();
  return lines.reduce((text, line) => {
    const own = edits.filter(
      ({ upstream, address }) => upstream === line.server.upstream && address === line.server.address,
    );
    return own.length === 0 ? text : text.slice(0, line.start) + edited(line, own) + text.slice(line.end);
  }, config);
}

/** What `map … $variable { default VALUE; }` has as VALUE; null: there is no such line. */
export const defaultOf = (config: string, variable: string): string | null =>
  defaultLine(config, variable)?.text ?? null;

/** The text with another VALUE there; throws if there is no such line. */
export function withDefaultOf(config: string, variable: string, value: string): string {
  const word = defaultLine(config, variable);
  if (word === null) throw new RangeError(`no map sets $${variable}`);
  return config.slice(0, word.start) + value + config.slice(word.end);
}

const defaultLine = (config: string, variable: string): Word | null =>
  statementsIn(config).find(
    ({ block, words }) =>
      block[0]?.text === 'map' && block[2]?.text === `$${variable}` && words[0]?.text === 'default',
  )?.words[1] ?? null;

interface ServerLine {
  readonly server: UpstreamServer;
  readonly words: readonly Word[];
  /** What stands there, from its first word to behind the mark, if it has one. */
  readonly source: string;
  readonly start: number;
  readonly end: number;
  /** Where it ends without the mark. */
  readonly bare: number;
  /** Something other than a comment follows on the same line. */
  readonly isCrowded: boolean;
}

const serverLines = (config: string): readonly ServerLine[] =>
  statementsIn(config).flatMap(({ block, words, end: bare }) => {
    const [{ text: kind } = none, { text: upstream } = none] = block;
    const [first, address] = words;
    if (kind !== 'upstream' || first?.text !== 'server' || address === undefined) return [];
    mark.lastIndex = bare;
    const found = mark.exec(config);
    const end = found ? mark.lastIndex : bare;
    const written = Number(/^weight=(\d+)$/m.exec(words.map(({ text }) => text).join('\n'))?.[1] ?? 1);
    const state = stateOf(written, { isDown: words.some(isDownWord), found });
    return {
      server: { upstream, address: address.text, ...state },
      words,
      source: config.slice(first.start, end),
      start: first.start,
      end,
      bare,
      isCrowded: /^[ \t]*[^\s#]/.test(config.slice(bare)),
    };
  });

const none = { text: '' };
const isDownWord = ({ text }: Pick<Word, 'text'>): boolean => text === 'down';

/** Behind a server whose weight is not the configured one. The backslash: what stands below was on the same line. */
const mark = / # sluice: weight (\d+) of (\d+)(, out)?(?: \\\n|(?=\n|$| #))/y;

/** A mark that does not fit what stands there is an older one: somebody has edited the line since. */
function stateOf(
  written: number,
  { isDown, found }: { readonly isDown: boolean; readonly found: RegExpExecArray | null },
): Pick<UpstreamServer, 'rotation' | 'weight'> {
  const rotation = isDown ? 'out' : 'in';
  const [, now, configured, out] = found ?? [];
  if (now === '0' && isDown) return { rotation: out ? 'out' : 'in', weight: { now: 0, configured: written } };
  if (Number(now) === written) return { rotation, weight: { now: written, configured: Number(configured) } };
  return { rotation, weight: { now: written, configured: written } };
}

function edited(line: ServerLine, edits: readonly ServerEdit[]): string {
  const { server, isCrowded } = line;
  const { configured } = server.weight;
  const rotation = edits.findLast((edit) => edit.rotation !== undefined)?.rotation ?? server.rotation;
  const now = edits.findLast((edit) => edit.now !== undefined)?.now ?? server.weight.now;
  const wanted = { rotation, weight: { now, configured } };
  const told = withWords(line, { weight: now === 0 ? configured : now, isDown: isDown(wanted) });
  if (now === configured) return told;
  const out = now === 0 && rotation === 'out' ? ', out' : '';
  return `${told} # sluice: weight ${now} of ${configured}${out}${isCrowded ? ' \\\n' : ''}`;
}

/** The line without its mark, with these words among its own. */
function withWords(
  { words, source, start, bare }: ServerLine,
  wanted: { readonly weight: number; readonly isDown: boolean },
): string {
  const told = words.reduceRight(
    (text, word) => {
      const [before, after] = [text.slice(0, word.start - start), text.slice(word.end - start)];
      if (word.text.startsWith('weight=')) return `${before}weight=${wanted.weight}${after}`;
      return isDownWord(word) && !wanted.isDown ? before.trimEnd() + after : text;
    },
    source.slice(0, bare - start),
  );
  if (!wanted.isDown || words.some(isDownWord)) return told;
  const last = told.length - (bare - words.at(-1)!.end);
  return `${told.slice(0, last)} down${told.slice(last)}`;
}

/** A directive that ends with `;`, and the words before the `{` of the block in which it stands. */
interface Statement {
  readonly block: readonly Word[];
  readonly words: readonly Word[];
  /** Behind the semicolon. */
  readonly end: number;
}

interface Word {
  /** Without quotes. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

function statementsIn(config: string): readonly Statement[] {
  const statements: Statement[] = [];
  const blocks: (readonly Word[])[] = [];
  let words: Word[] = [];
  for (const { text, start, end, isBare } of tokensIn(config)) {
    if (!isBare || !/^[;{}]$/.test(text)) {
      words.push({ text, start, end });
      continue;
    }
    if (text === ';') statements.push({ block: blocks.at(-1) ?? [], words, end });
    else if (text === '{') blocks.push(words);
    else if (blocks.pop() === undefined) throw new Error('a } closes no block');
    words = [];
  }
  if (blocks.length > 0) throw new Error(`the block of ${blocks.at(-1)![0]?.text} does not end`);
  return statements;
}

/**
 * As ngx_conf_read_token in nginx's src/core/ngx_conf_file.c reads them: quotes and comments count where a word would
 * begin, and `${` is a part of a word.
 */
const token =
  /\s+|#[^\n]*|"((?:[^"\\]|\\[\s\S])*)"|'((?:[^'\\]|\\[\s\S])*)'|([;{}])|((?!["'])(?:\$\{|\\[\s\S]|[^\s;{\\])+)/y;

function tokensIn(config: string): readonly (Word & { readonly isBare: boolean })[] {
  const tokens: (Word & { isBare: boolean })[] = [];
  for (let start = 0; start < config.length; ) {
    token.lastIndex = start;
    const [whole, double, single, sign, word] = token.exec(config) ?? [];
    if (whole === undefined) throw new Error(`line ${lineAt(config, start)} cannot be read`);
    const end = start + whole.length;
    const text = double ?? single ?? sign ?? word;
    if (text !== undefined) tokens.push({ text, start, end, isBare: (double ?? single) === undefined });
    start = end;
  }
  return tokens;
}

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;
