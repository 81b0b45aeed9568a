/** Generation, step 1 of 3: which token follows, from a row of logits. Repeatable: the same seed gives the same tokens. */
import { UsageError } from '../errors.ts';
import { largestIndices, softmax } from '../model/logits.ts';
import { Random } from '../random.ts';

export interface SamplingOptions {
  /** 0: the most likely token, always. */
  readonly temperature: number;
  /** Only the k most likely tokens can be drawn. */
  readonly topK?: number | undefined;
  /** Only the most likely tokens can be drawn, until their probabilities add up to this; that one is included. */
  readonly topP?: number | undefined;
  readonly seed: number;
}

/** The token of a row of logits [d_vocab]. */
export type TokenChoice = (logits: Float32Array) => number;

/** Throws `UsageError` for a temperature, top-k or top-p that is invalid. */
export function tokenChoice(options: SamplingOptions): TokenChoice {
  checkSampling(options);
  const { temperature } = options;
  if (temperature === 0) return (logits) => largestIndices(logits, 1)[0]!;
  const random = new Random(options.seed);
  return (logits) => drawn(candidates(logits, options), random.nextPrecise());
}

/** Tokens that can be drawn, with probabilities that need not add up to 1. */
interface Candidates {
  /** Null: all of the vocabulary, in its order. */
  readonly ids: readonly number[] | null;
  readonly probabilities: Float64Array;
}

interface RankedCandidates extends Candidates {
  readonly ids: readonly number[];
}

/** Number of most likely tokens that are found without sorting the whole vocabulary. */
const FEW = 256;

function candidates(logits: Float32Array, { temperature, topK, topP }: SamplingOptions): Candidates {
  const probabilities = softmax(logits.map((logit) => logit / temperature));
  if (topK === undefined && topP === undefined) return { ids: null, probabilities };
  // A few tokens usually reach the probability of top-p.
  if (topK === undefined && topP !== undefined && logits.length > FEW) {
    const few = mostLikely(logits, probabilities, FEW);
    if (sumOf(few.probabilities) >= topP) return upTo(topP, few);
  }
  const most = mostLikely(logits, probabilities, topK ?? logits.length);
  return topP === undefined ? most : upTo(topP * sumOf(most.probabilities), most);
}

/** Most likely first. Ranked by logits: small differences between them are lost in probabilities. */
function mostLikely(logits: Float32Array, all: Float64Array, k: number): RankedCandidates {
  const ids = largestIndices(logits, Math.min(k, logits.length));
  return { ids, probabilities: Float64Array.from(ids, (id) => all[id]!) };
}

/** The first of them whose probabilities reach `wanted` together. */
function upTo(wanted: number, { ids, probabilities }: RankedCandidates): RankedCandidates {
  let sum = 0;
  let n = 0;
  while (n < ids.length && (n === 0 || sum < wanted)) sum += probabilities[n++]!;
  return { ids: ids.slice(0, n), probabilities: probabilities.subarray(0, n) };
}

function sumOf(probabilities: Float64Array): number {
  return probabilities.reduce((sum, p) => sum + p, 0);
}

/** @param random from 0 to below 1 */
function drawn({ ids, probabilities }: Candidates, random: number): number {
  let left = random * sumOf(probabilities);
  let index = 0;
  // Rounding may leave a remainder, which belongs to the last possible token.
  for (let i = 0; i < probabilities.length; i++) {
    if (probabilities[i] === 0) continue;
    index = i;
    left -= probabilities[i]!;
    if (left < 0) break;
  }
  return ids ? ids[index]! : index;
}

const N_SEEDS = 2 ** 32;

function checkSampling({ temperature, topK, topP, seed }: SamplingOptions): void {
  const refuse = (name: string, found: number, expected: string): never => {
    throw new UsageError({ code: 'bad_value', message: `${name}: expected ${expected}, found ${found}` });
  };
  if (!(temperature >= 0 && Number.isFinite(temperature)))
    refuse('temperature', temperature, 'a number from 0 on');
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1))
    refuse('top-k', topK, 'a whole number from 1 on');
  if (topP !== undefined && !(topP > 0 && topP <= 1)) refuse('top-p', topP, 'a number above 0, up to 1');
  if (!(Number.isInteger(seed) && seed >= 0 && seed < N_SEEDS))
    refuse('seed', seed, `a whole number from 0 to ${N_SEEDS - 1}`);
}
