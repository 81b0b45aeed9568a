/** Attention, step 5: what heads do to logits, directly and through everything above them, and by query and key. */
import type { Tensor2D } from '../backend/backend.ts';
import { headProducts } from './head-products.ts';
import { passValues } from './stored-values.ts';
import { allQueries, logitBatch, walkTargets } from './target-walk.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** Entries of the pattern of a head at which effects are wanted one by one. */
export interface HeadPlace {
  readonly layer: number;
  readonly head: number;
}

/** By target, layer and head. */
export interface HeadEffects {
  readonly n_targets: number;
  /** Up to the logit without another head, [n_targets, n_layers, n_heads]. */
  readonly direct: Float32Array;
  /** With all heads above it. */
  readonly total: Float32Array;
  /** Of each place asked for, by target, query and key, [n_targets, n_pos, n_pos] each; keys behind their query are 0. */
  readonly entries: readonly { readonly direct: Float32Array; readonly total: Float32Array }[];
  /** Of the first target: the strongest entry of `total` of each head, [n_layers, n_heads]. */
  readonly strongest: readonly StrongestEntry[];
}

export interface StrongestEntry {
  readonly query: number;
  readonly key: number;
  readonly value: number;
}

/**
 * Effects on targets at the output of the final norm, vectors [n_targets, d_model], which stay the caller's. What a head writes has the
 * bias of its values; the bias of W_O belongs to no head.
 */
export async function headEffects(
  prompt: TracedPrompt,
  vectors: Tensor2D,
  places: readonly HeadPlace[] = [],
): Promise<HeadEffects> {
  const { n_layers, n_heads, n_kv_heads, d_head } = prompt.replacement.model.config;
  const { n_pos } = prompt;
  const n = vectors.shape[0];
  const [direct, total] = [0, 0].map(() => new Float32Array(n * n_layers * n_heads)) as [
    Float32Array,
    Float32Array,
  ];
  const entries = places.map(() => ({
    direct: new Float32Array(n * n_pos * n_pos),
    total: new Float32Array(n * n_pos * n_pos),
  }));
  const strongest = new Array<StrongestEntry>(n_layers * n_heads).fill({ query: 0, key: 0, value: 0 });
  const batch = logitBatch(prompt, vectors);
  const group = n_heads / n_kv_heads;
  const pairs = { rows: batch.targets, blocks: new Int32Array(n), ranks: new Int32Array(n) };
  await walkTargets(prompt, batch, {
    async heads(layer, attention, queries) {
      using values = passValues(prompt, layer, attention);
      const { values: products } = (await headProducts({ attention, batch, queries, values }, pairs, {
        kinds: ['last', 'through'],
      }))!;
      for (let head = 0; head < n_heads; head++)
        for (let target = 0; target < n; target++) {
          const at = (target * n_layers + layer) * n_heads + head;
          direct[at] = products.get('last')![head * n + target]!;
          total[at] = products.get('through')![head * n + target]!;
        }
      const all = allQueries(queries);
      const [z, cut, v, pattern] = await Promise.all(
        [all, queries.cut, values.values!, attention.dividedPattern].map((tensor) =>
          tensor.data<'float32'>(),
        ),
      );
      all.dispose();
      /** Of a gradient at what a head takes, with a key. */
      const effect = (g: Float32Array, from: number, head: number, query: number, key: number): number => {
        const keyHead = Math.floor(head / group);
        const share = pattern![((keyHead * n_pos + query) * group + (head % group)) * n_pos + key]!;
        if (share === 0) return 0;
        let sum = 0;
        for (let j = 0; j < d_head; j++) sum += g[from + j]! * v![(key * n_kv_heads + keyHead) * d_head + j]!;
        return share * sum;
      };
      places.forEach((place, i) => {
        if (place.layer !== layer) return;
        const { head } = place;
        for (let target = 0; target < n; target++) {
          for (let query = 0; query < n_pos; query++) {
            const to = (target * n_pos + query) * n_pos;
            for (let key = 0; key <= query; key++) {
              const from = ((query * n + target) * n_heads + head) * d_head;
              entries[i]!.total[to + key] = effect(z!, from, head, query, key);
              if (query === n_pos - 1)
                entries[i]!.direct[to + key] = effect(
                  cut!,
                  (target * n_heads + head) * d_head,
                  head,
                  query,
                  key,
                );
            }
          }
        }
      });
      for (let head = 0; head < n_heads; head++) {
        let best: StrongestEntry = { query: n_pos - 1, key: 0, value: 0 };
        for (let query = 0; query < n_pos; query++)
          for (let key = 0; key <= query; key++) {
            const value = effect(z!, (query * n * n_heads + head) * d_head, head, query, key);
            if (Math.abs(value) > Math.abs(best.value)) best = { query, key, value };
          }
        strongest[layer * n_heads + head] = best;
      }
    },
  });
  return { n_targets: n, direct, total, entries, strongest };
}
