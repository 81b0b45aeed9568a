/** Pages of features from the files that ship: examples, histogram, tokens promoted, label. */
import { join } from 'node:path';
import { openSession } from '../src/engine/session.ts';
import { writeBuiltPages } from '../src/features/build.ts';
import { BuildState, STATE_FOLDER } from '../src/features/build-state.ts';
import { collectWindow } from '../src/features/collect.ts';
import { featureActivity } from '../src/training/feature-activity.ts';
import { holdSubject } from '../src/training/loaded.ts';
import { Random } from '../src/training/random.ts';
import { FEATURE_FOLDER } from '../src/transcoder/feature-page.ts';
import type { Facts } from './corpus/facts.ts';
import { prepareWith } from './corpus/prepare.ts';
import { question } from './corpus/questions.ts';
import { RowStream } from './corpus/stream.ts';
import { describer, labelOf } from './labels.ts';

/** Draws that no training made. */
const SEED = 98;
const ROWS = 2000;
const EXAMPLES = 6;
const LOGITS = 8;

/** Writes the pages into the transcoders' folder; returns how many features have one with an example. */
export async function writePages(facts: Facts, folder: string): Promise<number> {
  const transcoders = join(folder, 'transcoders');
  using session = await openSession({ model: join(folder, 'model'), transcoders, offline: true });
  const { tokenizer, replacement } = session;
  const prepared = prepareWith(facts, tokenizer);
  using subject = await holdSubject(replacement);
  const stream = new RowStream(prepared.tokenized, facts, new Random(SEED));
  const draw = () => Array.from({ length: ROWS }, () => stream.row().map((place) => prepared.used[place]!));
  // Two-hop sentences about held-out cities are the only sentences that no training has seen.
  const unseen = facts.states.flatMap(({ held_out, capital }) =>
    facts.templates.two_hop.t
      .filter(
        (template) =>
          template.includes(' {city}') && template.indexOf('{city}') < template.indexOf('{capital}'),
      )
      .flatMap((template) =>
        held_out.map((city) => {
          const prompt = question(
            { relation: 'two_hop', template, subject: 'city', answer: 'capital' },
            city,
          );
          return [...tokenizer.modelInput(`${prompt} ${capital}.`), tokenizer.eosId];
        }),
      ),
  );
  const sets = [draw(), [...draw(), ...unseen]].map((rows) => ({
    rows,
    texts: rows.map((row) => tokenizer.tokenStrings(row)),
  }));
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
  for (const row of sets[1]!.rows) await collectWindow(replacement, state, row, { checkFinite });
  await writeBuiltPages(state, {
    replacement,
    tokenizer,
    folder: pages,
    n_logits: LOGITS,
    label: (layer, feature) =>
      labelOf(
        sets[0]!.texts,
        { activity: chosen!.activity[layer]![feature]!, describe: chosen!.describe },
        { activity: checked!.activity[layer]![feature]!, describe: checked!.describe },
      ),
  });
  await state.remove();
  return state.layers.reduce((sum, { counts }) => sum + counts.filter((count) => count > 0).length, 0);
}
