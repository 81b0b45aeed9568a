/** Interventions on heads: entries of attention patterns that are scaled after the softmax. */
import { UsageError } from '../errors.ts';
import type { TransformerConfig } from '../model/config.ts';

/** Entries of one head, scaled by a factor; 0 removes them. Of several for one entry the last one counts. */
export interface HeadChange {
  readonly layer: number;
  readonly head: number;
  /** Negative: from the end. Null: all. */
  readonly query: number | null;
  readonly key: number | null;
  readonly factor: number;
}

const TEXT = /^(\d+)\.(\d+)(?::(-?\d+|\*)(?::(-?\d+|\*))?)?$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** `5.3`, `5.3:8`, `5.3:8:7`, `5.3:*:0`. Throws `UsageError` naming the flag. */
export function parseHeadRemoval(flag: string, text: string): HeadChange {
  const parts = TEXT.exec(text.trim());
  if (!parts) throw badText(flag, 'LAYER.HEAD[:QUERY[:KEY]]', text, '5.3, 5.3:8:7 or 5.3:*:0');
  const position = (part: string | undefined): number | null =>
    part === undefined || part === '*' ? null : Number(part);
  return {
    layer: Number(parts[1]),
    head: Number(parts[2]),
    query: position(parts[3]),
    key: position(parts[4]),
    factor: 0,
  };
}

/** `5.3=0.5`, `5.3:8:7=2`. */
export function parseHeadScale(flag: string, text: string): HeadChange {
  const at = text.lastIndexOf('=');
  const factor = text.slice(at + 1).trim();
  if (at < 0 || !NUMBER.test(factor) || !Number.isFinite(Math.fround(Number(factor))))
    throw badText(flag, 'LAYER.HEAD[:QUERY[:KEY]]=FACTOR', text, '5.3=0.5 or 5.3:8:7=2');
  return { ...parseHeadRemoval(flag, text.slice(0, at)), factor: Number(factor) };
}

/** `5.3:8:7`: the form that flags and messages use. */
export function headText({ layer, head, query, key }: Omit<HeadChange, 'factor'>): string {
  const position = (at: number | null): string => (at === null ? '*' : String(at));
  const rest = key !== null ? `:${position(query)}:${key}` : query !== null ? `:${query}` : '';
  return `${layer}.${head}${rest}`;
}

/** Checked against a model and a prompt, positions from the start. Throws `UsageError` that names the change. */
export function resolveHeads(
  changes: readonly HeadChange[],
  { n_layers, n_heads }: Pick<TransformerConfig, 'n_layers' | 'n_heads'>,
  n_pos: number,
): HeadChange[] {
  return changes.map((change) => {
    checkIndex(change, 'layer', change.layer, n_layers, 'the model');
    checkIndex(change, 'head', change.head, n_heads, `layer ${change.layer}`);
    const [query, key] = [absolute(change, change.query, n_pos), absolute(change, change.key, n_pos)];
    if (query !== null && key !== null && key > query) {
      throw new UsageError({
        code: 'key_not_visible',
        message: `head ${headText(change)}: the query at position ${query} does not see the key at position ${key}`,
        hint: 'Keys are at the position of the query or before it.',
      });
    }
    return { ...change, query, key };
  });
}

/** Factors of the entries of one layer's pattern, [n_heads, n_pos, n_pos]; 1 where nothing is changed. */
export function headFactors(
  changes: readonly HeadChange[],
  layer: number,
  n_heads: number,
  n_pos: number,
): Float32Array {
  const factors = new Float32Array(n_heads * n_pos * n_pos).fill(1);
  for (const { layer: own, head, query, key, factor } of changes) {
    if (own !== layer) continue;
    for (let q = query ?? 0; q <= (query ?? n_pos - 1); q++)
      for (let k = key ?? 0; k <= (key ?? n_pos - 1); k++) factors[(head * n_pos + q) * n_pos + k] = factor;
  }
  return factors;
}

function checkIndex(
  change: HeadChange,
  name: 'layer' | 'head',
  index: number,
  count: number,
  where: string,
): void {
  if (index < count) return;
  throw new UsageError({
    code: `${name}_out_of_range`,
    message: `head ${headText(change)}: ${name} ${index} does not exist; ${where} has ${count} ${name}s`,
    hint: `Give a ${name} from 0 to ${count - 1}.`,
  });
}

function absolute(change: HeadChange, position: number | null, n_pos: number): number | null {
  if (position === null) return null;
  const found = position < 0 ? n_pos + position : position;
  if (found >= 0 && found < n_pos) return found;
  throw new UsageError({
    code: 'position_out_of_range',
    message: `head ${headText(change)}: position ${position} does not exist; the prompt has ${n_pos} tokens`,
    hint: `Give a position from 0 to ${n_pos - 1}, from -${n_pos} to -1 counted from the end, or * for all.`,
  });
}

function badText(flag: string, expected: string, found: string, example: string): UsageError {
  return new UsageError({
    code: 'bad_head',
    message: `${flag}: expected ${expected}, found '${found}'`,
    hint: `Write it as ${example}.`,
  });
}
