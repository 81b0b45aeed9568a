/**
 * Measures: how often the model gives another subject's answer when the features at the subject are exchanged. All active
 * features of the subject are set to 0 and all of the other one's to their values there; nothing is frozen.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../../src/backend/backend.ts';
import { batchOf } from '../../src/training/batch.ts';
import { capturingPass, rowsAt } from '../../src/training/capture.ts';
import type { LoadedSubject } from '../../src/training/loaded.ts';
import { unembedded } from '../../src/training/pass.ts';
import { Random } from '../../src/random.ts';
import { encode } from '../../src/training/transcoder-parameters.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { question } from '../corpus/questions.ts';
import type { SwapSet } from './questions.ts';

const PAIRS = 40;
const SEED = 7;

/** How many of 40 pairs give the first token of the other answer. */
export async function scoreSwaps(
  { model, transcoders }: LoadedSubject,
  tokenizer: Tokenizer,
  { wording, members }: SwapSet,
): Promise<{ n: number; swapped: number }> {
  const random = new Random(SEED);
  const usable = members.filter(({ subject }) => tokenizer.encode(` ${subject}`).length === 1);
  const first = (text: string): number => tokenizer.encode(` ${text}`)[0]!;
  const pairs: (readonly [(typeof usable)[number], (typeof usable)[number]])[] = [];
  while (pairs.length < PAIRS) {
    const [one, other] = [random.pick(usable), random.pick(usable)];
    if (first(one.answer) !== first(other.answer)) pairs.push([one, other]);
  }
  // Prompts in pairs: the one that is changed, then the one that features are taken from.
  const prompts = pairs
    .flat()
    .map(({ subject }) => tokenizer.promptIds(question(wording, subject), 'always'));
  const position = prompts[0]!.indexOf(first(pairs[0]![0].subject));
  const batch = batchOf(prompts);
  const n = prompts.length;
  const best = tf.tidy(() => {
    const places = Int32Array.from({ length: n }, (_, r) => r * batch.length + position);
    const last = Int32Array.from({ length: n }, (_, r) => (r + 1) * batch.length - 1);
    const partner = tf.tensor1d(
      Int32Array.from({ length: n }, (_, r) => r ^ 1),
      'int32',
    );
    const plain = capturingPass(model, batch);
    const own = transcoders.map((transcoder, l) => encode(transcoder, rowsAt(plain.inputs[l]!, places)));
    const { residual } = capturingPass(model, batch, (layer, input, output) => {
      const wanted: Tensor2D = tf.gather(own[layer]!, partner);
      const named = tf.cast(tf.notEqual(tf.add(own[layer]!, wanted), tf.scalar(0)), 'float32');
      const present = encode(transcoders[layer]!, rowsAt(input, places));
      const change = tf.matMul(tf.mul<Tensor2D>(tf.sub(wanted, present), named), transcoders[layer]!.W_dec);
      const { d_model } = model.config;
      const padded = tf.pad(tf.reshape<tf.Rank.R3>(change, [n, 1, d_model]), [
        [0, 0],
        [position, batch.length - position - 1],
        [0, 0],
      ]);
      return tf.add(output, tf.reshape(padded, [n * batch.length, d_model]));
    });
    return tf.argMax(unembedded(model, residual, last), 1);
  });
  const found = await best.data();
  best.dispose();
  const swapped = pairs.filter(([, other], i) => found[2 * i] === first(other.answer)).length;
  return { n: PAIRS, swapped };
}
