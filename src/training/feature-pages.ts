/**
 * Training, last step: for every feature where it is active, how strongly and how often, and which tokens it promotes, in
 * the layout that published sets use (`features/index.json.gz`, one `layer_N.bin` a layer).
 */
import * as tf from '@tensorflow/tfjs-core';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeFileAtomic } from '../formats/atomic.ts';
import type { FeatureExample, FeatureLabel, FeaturePage } from '../transcoder/feature-page.ts';
import { batchOf } from './batch.ts';
import { capturingPass } from './capture.ts';
import type { LoadedSubject } from './loaded.ts';
import { encode } from './transcoder-parameters.ts';

/** Where a feature is active: place i is row `rows[i]`, token `positions[i]`. */
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

const HISTOGRAM_BINS = 20;
const LOGITS = 8;
/** Examples of each part of the range of activations; the strongest ones come first. */
const TOP_EXAMPLES = 6;
const OTHER_EXAMPLES = 2;
const QUANTILES: readonly (readonly [string, number])[] = [
  ['Top activations', 1],
  ['Around the median', 0.5],
  ['Weakest', 0],
];

export interface PageSources {
  readonly rows: readonly (readonly number[])[];
  /** One string a token. */
  readonly tokenStrings: (ids: readonly number[]) => readonly string[];
  /** Effect of the feature on every logit, [d_vocab]. */
  readonly effects: Float32Array;
  readonly label: FeatureLabel | null;
}

/** The page of one feature. */
export function featurePage(feature: number, activity: FeatureActivity, sources: PageSources): FeaturePage {
  const { rows, tokenStrings, effects, label } = sources;
  const { values } = activity;
  const n_tokens = rows.reduce((sum, row) => sum + row.length - 1, 0);
  // One example a row: where the feature is strongest in it.
  const best = new Map<number, number>();
  for (const [i, row] of activity.rows.entries()) {
    const known = best.get(row);
    if (known === undefined || values[i]! > values[known]!) best.set(row, i);
  }
  const strongest = [...best.values()].sort((a, b) => values[b]! - values[a]!);
  const used = new Set<number>();
  const example = (event: number): FeatureExample => {
    const row = activity.rows[event]!;
    const ids = rows[row]!;
    const acts = new Array<number>(ids.length).fill(0);
    for (const [i, at] of activity.rows.entries())
      if (at === row) acts[activity.positions[i]!] = rounded(values[i]!);
    return { tokens: tokenStrings(ids), tokens_acts_list: acts, train_token_ind: activity.positions[event]! };
  };
  const quantiles = QUANTILES.flatMap(([quantile_name, place]) => {
    const n = place === 1 ? TOP_EXAMPLES : OTHER_EXAMPLES;
    const start = Math.round((1 - place) * Math.max(0, strongest.length - n));
    const chosen = strongest.slice(start, start + n).filter((event) => !used.has(event));
    for (const event of chosen) used.add(event);
    return chosen.length === 0 ? [] : [{ quantile_name, examples: chosen.map(example) }];
  });
  const order = Array.from(effects.keys()).sort((a, b) => effects[b]! - effects[a]!);
  const [act_min, act_max] = values.length === 0 ? [0, 0] : [Math.min(...values), Math.max(...values)];
  return {
    index: feature,
    label,
    act_min: rounded(act_min),
    act_max: rounded(act_max),
    activation_frequency: values.length / n_tokens,
    histogram: histogram(values, act_max),
    top_logits: tokenStrings(order.slice(0, LOGITS)),
    bottom_logits: tokenStrings(order.slice(-LOGITS).reverse()),
    examples_quantiles: quantiles,
  };
}

/** Counts of activations in equal bins from 0 to the largest. */
function histogram(values: readonly number[], largest: number): number[] {
  const counts = new Array<number>(HISTOGRAM_BINS).fill(0);
  for (const value of values)
    counts[Math.min(HISTOGRAM_BINS - 1, Math.floor((value / largest) * HISTOGRAM_BINS))]!++;
  return counts;
}

const DECIMALS = 1000;

function rounded(value: number): number {
  return Math.round(value * DECIMALS) / DECIMALS;
}

const LENGTH_BYTES = 4;

/** Writes the pages of all layers, one after the other in each file, found through the offsets of the index. */
export async function writeFeaturePages(
  folder: string,
  layers: readonly (readonly FeaturePage[])[],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const index: Record<string, { filename: string; offsets: number[] }> = {};
  for (const [layer, pages] of layers.entries()) {
    const chunks = pages.map((page) => {
      const packed = gzipSync(JSON.stringify(page), { level: 9 });
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(packed.length);
      return Buffer.concat([length, packed]);
    });
    const offsets = [0];
    for (const chunk of chunks) offsets.push(offsets.at(-1)! + chunk.length);
    const filename = `layer_${layer}.bin`;
    index[String(layer)] = { filename, offsets };
    await writeFileAtomic(join(folder, filename), Buffer.concat(chunks));
  }
  await writeFileAtomic(join(folder, 'index.json.gz'), gzipSync(JSON.stringify(index), { level: 9 }));
}
