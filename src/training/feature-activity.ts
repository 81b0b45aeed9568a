/** Training, last step: where and how strongly every feature is active, for labels. Many rows are run at once. */
import * as tf from '@tensorflow/tfjs-core';
import { batchOf } from './batch.ts';
import { capturingPass } from './capture.ts';
import type { LoadedSubject } from './loaded.ts';
import { encode } from './transcoder-parameters.ts';

/** Where a feature is active: entry i is row `rows[i]`, token `positions[i]`. */
export interface FeatureActivity {
  readonly rows: number[];
  readonly positions: number[];
  readonly values: number[];
}

const ROWS = 64;

/** Activity of all features on token rows, [layer][feature]; the first token of a row is left out. */
export async function featureActivity(
  { model, transcoders }: LoadedSubject,
  rows: readonly (readonly number[])[],
): Promise<FeatureActivity[][]> {
  const activity = transcoders.map(({ b_enc }) =>
    Array.from({ length: b_enc.shape[0] }, (): FeatureActivity => ({ rows: [], positions: [], values: [] })),
  );
  for (let from = 0; from < rows.length; from += ROWS) {
    const chunk = rows.slice(from, from + ROWS);
    const batch = batchOf(chunk);
    const features = tf.tidy(() => {
      const { inputs } = capturingPass(model, batch);
      return transcoders.map((transcoder, l) => encode(transcoder, inputs[l]!));
    });
    for (const [l, tensor] of features.entries()) {
      const values = await tensor.data<'float32'>();
      tensor.dispose();
      const width = activity[l]!.length;
      for (const [r, row] of chunk.entries()) {
        for (let position = 1; position < row.length; position++) {
          const start = (r * batch.length + position) * width;
          for (let f = 0; f < width; f++) {
            const value = values[start + f]!;
            if (value === 0) continue;
            const { rows: at, positions, values: found } = activity[l]![f]!;
            at.push(from + r);
            positions.push(position);
            found.push(value);
          }
        }
      }
    }
  }
  return activity;
}
