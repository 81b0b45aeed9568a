/** Measures: the share of answers that are right to their last token, with the model as it is and with all MLPs replaced. */
import * as tf from '@tensorflow/tfjs-core';
import { batchOf } from '../../src/training/batch.ts';
import { capturingPass } from '../../src/training/capture.ts';
import type { LoadedSubject } from '../../src/training/loaded.ts';
import { unembedded } from '../../src/training/pass.ts';
import { replacedPass } from '../../src/training/replaced-pass.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';

export interface Question {
  readonly prompt: string;
  /** With the space before it, where there is one. */
  readonly answer: string;
}

export interface Score {
  readonly n: number;
  /** Percent. */
  readonly model: number;
  readonly replaced: number;
}

const ROWS = 128;

/** Greedy answers are right when, after the prompt and the right tokens so far, each next token is the most likely one. */
export async function scoreAnswers(
  subject: LoadedSubject,
  tokenizer: Tokenizer,
  questions: readonly Question[],
): Promise<Score> {
  const right = { model: 0, replaced: 0 };
  const tokenized = questions
    .map(({ prompt, answer }) => {
      const start = tokenizer.promptIds(prompt, 'always');
      return { start: start.length, row: [...start, ...tokenizer.encode(answer)] };
    })
    .sort((a, b) => a.row.length - b.row.length);
  for (let from = 0; from < tokenized.length; from += ROWS) {
    const chunk = tokenized.slice(from, from + ROWS);
    const best = await bestNext(
      subject,
      chunk.map(({ row }) => row),
    );
    for (const how of ['model', 'replaced'] as const) {
      right[how] += chunk.filter(({ start, row }, r) =>
        row.slice(start).every((id, i) => best[how][r]![start + i - 1] === id),
      ).length;
    }
  }
  const percent = (count: number): number => (100 * count) / questions.length;
  return { n: questions.length, model: percent(right.model), replaced: percent(right.replaced) };
}

/** The most likely next token after each token of each row. */
async function bestNext(subject: LoadedSubject, rows: readonly (readonly number[])[]) {
  const { model, transcoders } = subject;
  const batch = batchOf(rows);
  const [plain, replaced] = tf.tidy(() => {
    const places = Int32Array.from(batch.tokens.keys());
    const pass = capturingPass(model, batch);
    const best = (residual: tf.Tensor2D): tf.Tensor1D => tf.argMax(unembedded(model, residual, places), 1);
    return [best(pass.residual), best(replacedPass(model, transcoders, batch, pass))] as const;
  });
  const split = async (tensor: tf.Tensor1D): Promise<number[][]> => {
    const values = Array.from(await tensor.data());
    tensor.dispose();
    return rows.map((_, r) => values.slice(r * batch.length, (r + 1) * batch.length));
  };
  return { model: await split(plain), replaced: await split(replaced) };
}
