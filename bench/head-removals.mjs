/**
 * Measurement: heads of the embedded model taken away one by one, and how the changes of logits agree with what the linear model
 * predicts (docs/attention.md).
 *
 *   npm run build && node bench/head-removals.mjs
 */
import { interveneIn, openSession } from '../dist/index.js';

const PROMPTS = [
  'The capital of the state containing Dallas is',
  'The capital of the state containing Oakland is',
  'The capital of the state containing Mobile is',
  'The capital of the state containing Miami is',
  'The capital of the state containing Seattle is',
  'The capital of Texas is',
  'The capital of California is',
  'The capital of France is',
  'The opposite of hot is',
  'The opposite of small is',
];
/** Most likely tokens before and after whose logits are compared. */
const TOP = 5;

/** Correlation of two lists. */
function correlation(a, b) {
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    ab += (value - ma) * (b[i] - mb);
    aa += (value - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  });
  return ab / Math.sqrt(aa * bb);
}

const session = await openSession({ model: 'embedded' });
const { n_layers, n_heads } = session.replacement.model.config;
for (const freezeAttention of [true, false]) {
  const [predicted, change] = [[], []];
  for (const prompt of PROMPTS)
    for (let i = 0; i < n_layers * n_heads; i++) {
      const [layer, head] = [Math.floor(i / n_heads), i % n_heads];
      const heads = [{ layer, head, query: null, key: null, factor: 0 }];
      const result = await interveneIn(session, {
        input: { prompt },
        heads,
        top: TOP,
        features: 0,
        freezeAttention,
      });
      for (const effect of result.heads.effects) {
        predicted.push(effect.predicted);
        change.push(effect.change);
      }
    }
  const same = predicted.filter((value, i) => Math.sign(value) === Math.sign(change[i])).length;
  process.stdout.write(
    `${freezeAttention ? 'patterns held' : 'patterns free'}: ${predicted.length} changes, correlation ${correlation(predicted, change).toFixed(2)}, same sign in ${((100 * same) / predicted.length).toFixed(0)} of 100\n`,
  );
}
session[Symbol.dispose]();
