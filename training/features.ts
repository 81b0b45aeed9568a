/**
 * Pages of features, from the shipped files: examples, histogram, tokens promoted, label. All sentences are from the part of
 * the corpus that no training saw.
 */
import { join } from 'node:path';
import { openSession } from '../src/engine/session.ts';
import { writeBuiltPages } from '../src/features/build.ts';
import { BuildState, STATE_FOLDER } from '../src/features/build-state.ts';
import { collectWindow } from '../src/features/collect.ts';
import { featureActivity } from '../src/training/feature-activity.ts';
import { holdSubject } from '../src/training/loaded.ts';
import { Random } from '../src/random.ts';
import { FEATURE_FOLDER } from '../src/transcoder/feature-page.ts';
import type { Facts } from './corpus/facts.ts';
import { prepareWith } from './corpus/prepare.ts';
import { rowsOfAll } from './corpus/stream.ts';
import { describer } from './descriptions.ts';
import { labelOf } from './labels.ts';

const SEED = 98;
const EXAMPLES = 6;
const LOGITS = 8;

/** Writes the pages into the transcoders' folder; returns how many features have one with an example. */
export async function writePages(facts: Facts, folder: string): Promise<number> {
  const transcoders = join(folder, 'transcoders');
  using session = await openSession({ model: join(folder, 'model'), transcoders, offline: true });
  const { tokenizer, replacement } = session;
  const prepared = prepareWith(facts, tokenizer);
  using subject = await holdSubject(replacement);
  // Examples are shown, and labels chosen, on every second row; labels are checked on the others.
  const rows = rowsOfAll(prepared.heldOut, new Random(SEED)).map((row) =>
    row.map((place) => prepared.used[place]!),
  );
  const sets = [0, 1].map((half) => {
    const chosen = rows.filter((_, r) => r % 2 === half);
    return { rows: chosen, texts: chosen.map((row) => tokenizer.tokenStrings(row)) };
  });
  const [chosen, checked] = await Promise.all(
    sets.map(async ({ rows, texts }) => ({
      activity: await featureActivity(subject, rows),
      describe: describer(facts, texts),
    })),
  );
  const pages = join(transcoders, FEATURE_FOLDER);
  const state = await BuildState.begin(
    join(pages, STATE_FOLDER),
    {
      layers: subject.transcoders.map(({ b_enc }, layer) => ({ layer, n_features: b_enc.shape[0] })),
      n_examples: EXAMPLES,
    },
    {},
  );
  const checkFinite = (values: Float32Array) => session.checkFinite(values, 'the activations of features');
  for (const row of sets[0]!.rows) await collectWindow(replacement, state, row, { checkFinite });
  await writeBuiltPages(state, {
    replacement,
    tokenizer,
    folder: pages,
    n_logits: LOGITS,
    label: (layer, feature) =>
      labelOf(
        { activity: chosen!.activity[layer]![feature]!, describe: chosen!.describe },
        { activity: checked!.activity[layer]![feature]!, describe: checked!.describe },
      ),
  });
  await state.remove();
  return state.layers.reduce((sum, { counts }) => sum + counts.filter((count) => count > 0).length, 0);
}
