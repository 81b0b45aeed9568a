/** Attention, step 4: which heads carry links from sources to targets: by the last head of a path, by the first, through, alone. */
import type { PathKind } from './head-products.ts';
import { linkBatches, type LinkBatch, type LoadingsRequest } from './link-batches.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** By link, then layer, then head. Of a kind that was not asked for the list is empty. */
export interface Loadings extends Readonly<Record<PathKind, Float32Array>> {
  readonly n_layers: number;
  readonly n_heads: number;
  /** What no head carries, [links]; with `last`, [links, n_layers, n_heads], it adds up to the link, and with `first`. */
  readonly direct: Float32Array;
  /** Of `last`, by key position, [links, n_layers, n_heads, n_pos]; empty unless asked for. */
  readonly lastKeys: Float32Array;
  /** Of `first`, by query position. */
  readonly firstQueries: Float32Array;
}

/** Weight of a link. */
export function weightOf({ direct, last, n_layers, n_heads }: Loadings, link: number): number {
  const size = n_layers * n_heads;
  return last.subarray(link * size, (link + 1) * size).reduce((sum, value) => sum + value, direct[link]!);
}

/** Loadings of all links in memory together: 4 bytes a link, head and kind. Of many links `linkBatches` gives them in parts. */
export async function headLoadings(prompt: TracedPrompt, request: LoadingsRequest): Promise<Loadings> {
  const loadings = emptyLoadings(prompt, request);
  for await (const batch of linkBatches(prompt, request)) collect(loadings, batch);
  return loadings;
}

/** Zeros, which `collect` fills. */
export function emptyLoadings(
  prompt: TracedPrompt,
  { links, kinds, withPositions = false }: LoadingsRequest,
): Loadings {
  const { n_layers, n_heads } = prompt.replacement.model.config;
  const size = links.length * n_layers * n_heads;
  const of = (kind: PathKind): Float32Array => new Float32Array(kinds.includes(kind) ? size : 0);
  const byPosition = (): Float32Array => new Float32Array(withPositions ? size * prompt.n_pos : 0);
  return {
    n_layers,
    n_heads,
    direct: new Float32Array(links.length),
    last: of('last'),
    first: of('first'),
    through: of('through'),
    only: of('only'),
    lastKeys: byPosition(),
    firstQueries: byPosition(),
  };
}

/** Puts a batch in its places. */
export function collect(
  loadings: Loadings,
  { links, direct, parts, lastKeys, firstQueries }: LinkBatch,
): void {
  const { n_layers, n_heads } = loadings;
  for (const { layer, places, values } of parts)
    for (const [kind, of] of values)
      places.forEach((place, i) => {
        const to = (links[place]! * n_layers + layer) * n_heads;
        for (let head = 0; head < n_heads; head++) loadings[kind][to + head] = of[head * places.length + i]!;
      });
  const wide = lastKeys.length / links.length;
  links.forEach((link, i) => {
    loadings.direct[link] = direct[i]!;
    if (wide === 0) return;
    loadings.lastKeys.set(lastKeys.subarray(i * wide, (i + 1) * wide), link * wide);
    loadings.firstQueries.set(firstQueries.subarray(i * wide, (i + 1) * wide), link * wide);
  });
}
