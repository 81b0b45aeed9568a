/** Attention: loadings by key of the last head, and by query of the first one. */
import type { Tensor } from '../backend/backend.ts';
import type { Pairs } from './head-products.ts';
import type { Meeting } from './meeting.ts';
import { allQueries } from './target-walk.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** [links, n_layers, n_heads, n_pos] each. */
export interface PositionLoadings {
  readonly lastKeys: Float32Array;
  /** Null: not wanted. The whole pass as a source has no position, and none of them. */
  readonly firstQueries: Float32Array | null;
}

/** Adds those of a layer, of values by key. @param start place of the first pair among the links */
export async function addPositions(
  prompt: TracedPrompt,
  { attention, batch, queries, values: at }: Meeting,
  layer: number,
  { rows, blocks, ranks }: Pairs,
  start: number,
  { lastKeys, firstQueries }: PositionLoadings,
): Promise<void> {
  const { n_layers } = prompt.replacement.model.config;
  const { layout } = at;
  const { n_pos } = prompt;
  const { d_head, n_heads, n_kv_heads } = attention;
  const group = n_heads / n_kv_heads;
  const n = queries.cut.shape[0];
  const all = firstQueries && allQueries(queries);
  const read = async (tensor: Tensor | null): Promise<Float32Array | null> =>
    tensor && (await tensor.data<'float32'>());
  const [z, cut, values, alone, pattern] = await Promise.all([
    read(all),
    read(queries.cut),
    read(at.values),
    read(firstQueries && at.own),
    read(attention.dividedPattern),
  ]);
  all?.dispose();
  const share = (head: number, query: number, key: number): number =>
    pattern![((Math.floor(head / group) * n_pos + query) * group + (head % group)) * n_pos + key]!;
  const product = (a: Float32Array, from: number, b: Float32Array, at: number): number => {
    let sum = 0;
    for (let j = 0; j < d_head; j++) sum += a[from + j]! * b[at + j]!;
    return sum;
  };
  const width = n_kv_heads * d_head;
  for (let i = 0; i < rows.length; i++) {
    const [row, block, rank] = [rows[i]!, blocks[i]!, ranks[i]!];
    const { group: sources, n: n_begun, first } = layout.blocks[block]!;
    if (row >= n || rank >= n_begun) continue;
    const [query, key] = [batch.positions[row]!, sources.firstPosition];
    for (let head = 0; head < n_heads; head++) {
      const to = (((start + i) * n_layers + layer) * n_heads + head) * n_pos;
      const of = Math.floor(head / group) * d_head;
      for (let at = key; at <= query; at++) {
        const from = (row * n_heads + head) * d_head;
        const value = product(cut!, from, values!, layout.row(block, rank, at) * width + of);
        lastKeys[to + at]! += share(head, query, at) * value;
      }
      if (!firstQueries) continue;
      for (let at = key; at < batch.n_pos; at++) {
        const value = product(
          z!,
          ((at * n + row) * n_heads + head) * d_head,
          alone!,
          (first + rank) * width + of,
        );
        firstQueries[to + at]! += share(head, at, key) * value;
      }
    }
  }
}
