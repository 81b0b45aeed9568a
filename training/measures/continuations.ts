/** Measures: continuations of everyday beginnings, for people to read. */
import * as tf from '@tensorflow/tfjs-core';
import { batchOf } from '../../src/training/batch.ts';
import { capturingPass } from '../../src/training/capture.ts';
import type { LoadedSubject } from '../../src/training/loaded.ts';
import { unembedded } from '../../src/training/pass.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';

const BEGINNINGS = [
  'Hello, world!',
  'Hello,',
  'Once upon a time, there was',
  'When Mary and John went to the store, John gave a drink to',
  'The dog',
  'Monday, Tuesday,',
];
const MOST_TOKENS = 12;

/** The most likely continuation of each, up to the end of the row. */
export async function continuations(
  subject: LoadedSubject,
  tokenizer: Tokenizer,
): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const beginning of BEGINNINGS) {
    const tokens = tokenizer.promptIds(beginning, 'always');
    const start = tokens.length;
    while (tokens.length < start + MOST_TOKENS && tokens.at(-1) !== tokenizer.eosId) {
      const best = tf.tidy(() => {
        const { residual } = capturingPass(subject.model, batchOf([tokens]));
        return tf.argMax(unembedded(subject.model, residual, Int32Array.of(tokens.length - 1)), 1);
      });
      tokens.push((await best.data())[0]!);
      best.dispose();
    }
    texts[beginning] = tokenizer.decode(tokens.slice(start));
  }
  return texts;
}
