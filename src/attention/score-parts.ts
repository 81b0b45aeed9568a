/** Attention, step 3: a score, or a contrast of scores, as the sum of pairs of sources. */
import * as tf from '@tensorflow/tfjs-core';
import { BadFileError } from '../errors.ts';
import { headParts, type HeadParts, type PartsRequest, type WalkChoice } from './head-parts.ts';
import { largestPairs, type Pair } from './pairs.ts';
import { contrastTotal, keyWeights, type Against, type QueryScores } from './scores.ts';
import type { SourceGroups } from './source-list.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** What is decomposed: the score of a key, or its contrast with others. */
export interface ScoreRequest {
  readonly of: QueryScores;
  readonly key: number;
  readonly against: Against;
}

/** Sums may be off by this times (1 + Σ |marginal|): above the rounding of float32, far below a missing part. */
const SUM_TOLERANCE = 1e-4;

/** A decomposed score. Vectors are [n_sources, d_head]. */
export class ScoreParts {
  readonly request: ScoreRequest;
  readonly Q: HeadParts;
  readonly K: HeadParts;
  readonly d_head: number;
  /** From the pass. */
  readonly total: number;
  /** [n_sources]; each adds up to the total. */
  readonly queryMarginal: Float64Array;
  readonly keyMarginal: Float64Array;

  constructor(request: ScoreRequest, Q: HeadParts, K: HeadParts, d_head: number) {
    const { of, key, against } = request;
    this.request = request;
    this.Q = Q;
    this.K = K;
    this.d_head = d_head;
    this.total = against === null ? of.scores[key - of.visible[0]]! : contrastTotal(of, key, against)!;
    this.queryMarginal = products(Q, summed(K, d_head), d_head);
    this.keyMarginal = products(K, summed(Q, d_head), d_head);
  }

  get n_sources(): number {
    return this.Q.length / this.d_head;
  }

  pairs(n: number): Promise<Pair[]> {
    return largestPairs(this.Q, this.K, this.d_head, n);
  }

  /** B summed over groups of sources on both sides, [G, G] row-major. */
  grouped({ names, of }: SourceGroups): Float64Array {
    const G = names.length;
    const [q, k] = [this.Q, this.K].map((parts) => {
      const sums = new Float64Array(G * this.d_head);
      for (let i = 0; i < parts.length; i++) {
        const source = Math.floor(i / this.d_head);
        sums[of[source]! * this.d_head + (i % this.d_head)]! += parts[i]!;
      }
      return sums;
    }) as [Float64Array, Float64Array];
    return Float64Array.from({ length: G * G }, (_, at) => {
      const [a, b] = [Math.floor(at / G) * this.d_head, (at % G) * this.d_head];
      let sum = 0;
      for (let j = 0; j < this.d_head; j++) sum += q[a + j]! * k[b + j]!;
      return sum;
    });
  }

  /** Rows of B for some query and key sources, [queries.length, keys.length]. */
  async matrix(queries: ArrayLike<number>, keys: ArrayLike<number>): Promise<Float32Array> {
    const vectors = (parts: HeadParts, sources: ArrayLike<number>): tf.Tensor2D => {
      const picked = new Float32Array(sources.length * this.d_head);
      for (let i = 0; i < sources.length; i++)
        picked.set(
          parts.subarray(sources[i]! * this.d_head, (sources[i]! + 1) * this.d_head),
          i * this.d_head,
        );
      return tf.tensor2d(picked, [sources.length, this.d_head]);
    };
    const product = tf.tidy(() => tf.matMul(vectors(this.Q, queries), vectors(this.K, keys), false, true));
    try {
      return await product.data<'float32'>();
    } finally {
      product.dispose();
    }
  }

  /** @throws BadFileError when the parts do not add up to what the pass has: then none of them can be trusted */
  check(): void {
    let sum = 0;
    let size = 1;
    for (const value of this.queryMarginal) {
      sum += value;
      size += Math.abs(value);
    }
    if (Math.abs(sum - this.total) <= SUM_TOLERANCE * size) return;
    const { layer, head, query } = this.request.of;
    throw new BadFileError({
      code: 'attention_sum',
      message: `the parts of the score of head ${layer}.${head} at position ${query} add up to ${sum}; the pass has ${this.total}`,
      hint: 'With --dtype float32 they have to agree; if they do not, please report it.',
    });
  }
}

/** Decomposes scores of one layer, with as few walks as there are different queries and keys. */
export async function scoreParts(
  prompt: TracedPrompt,
  layer: number,
  requests: readonly ScoreRequest[],
  walk: WalkChoice = 'cheaper',
): Promise<ScoreParts[]> {
  const { n_heads, n_kv_heads, d_head } = prompt.replacement.model.config;
  const group = n_heads / n_kv_heads;
  const sides = requests.flatMap(({ of, key, against }): PartsRequest[] => [
    { side: 'query', head: of.head, weights: new Map([[of.query, 1]]) },
    { side: 'key', head: Math.floor(of.head / group), weights: keyWeights(of, key, against) },
  ]);
  const parts = await headParts(prompt, layer, sides, walk);
  return requests.map((request, i) => new ScoreParts(request, parts[2 * i]!, parts[2 * i + 1]!, d_head));
}

/** Sum of all vectors, [d_head]. */
function summed(parts: HeadParts, d_head: number): Float64Array {
  const sum = new Float64Array(d_head);
  for (let i = 0; i < parts.length; i++) sum[i % d_head]! += parts[i]!;
  return sum;
}

function products(parts: HeadParts, with_: Float64Array, d_head: number): Float64Array {
  const result = new Float64Array(parts.length / d_head);
  for (let i = 0; i < parts.length; i++) result[Math.floor(i / d_head)]! += parts[i]! * with_[i % d_head]!;
  return result;
}
