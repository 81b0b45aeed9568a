/** Pages of features from the files that ship: examples, histogram, tokens promoted, label. */
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { openSession } from '../src/engine/session.ts';
import { featureActivity, featurePage, writeFeaturePages } from '../src/training/feature-pages.ts';
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
  const pages = [];
  for (const [l, { W_dec }] of subject.transcoders.entries()) {
    const effects = await decoderEffects(subject.model.W_E, subject.model.ln_final, W_dec);
    const d_vocab = subject.model.config.d_vocab;
    pages.push(
      checked!.activity[l]!.map((activity, feature) =>
        featurePage(feature, activity, {
          rows: sets[1]!.rows,
          tokenStrings: (ids) => tokenizer.tokenStrings(ids),
          effects: effects.subarray(feature * d_vocab, (feature + 1) * d_vocab),
          label: labelOf(
            sets[0]!.texts,
            { activity: chosen!.activity[l]![feature]!, describe: chosen!.describe },
            { activity, describe: checked!.describe },
          ),
        }),
      ),
    );
  }
  await writeFeaturePages(join(transcoders, FEATURE_FOLDER), pages);
  return pages.flat().filter(({ examples_quantiles }) => examples_quantiles.length > 0).length;
}

/** What each decoder row does to the logits on the direct path, up to the divisor of the last norm. [features, d_vocab] */
async function decoderEffects(
  W_E: tf.Tensor2D,
  gain: tf.Tensor1D,
  W_dec: tf.Tensor2D,
): Promise<Float32Array> {
  const effects = tf.tidy(() => tf.matMul(tf.mul<tf.Tensor2D>(W_dec, gain), W_E, false, true));
  const values = await effects.data<'float32'>();
  effects.dispose();
  return values;
}
