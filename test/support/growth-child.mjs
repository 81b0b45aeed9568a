/**
 * A process of its own, with --expose-gc: opens the model, runs and attributes a prompt, closes it, again and again. Prints as JSON
 * the resident memory and the tensors after a third of the rounds and after all of them.
 */
import { setTimeout } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import { attributeIn, openSession, runIn } from '../../dist/index.js';

const [device, rounds, folder] = process.argv.slice(2);
const N = Number(rounds);
/** A session is opened anew this often, so that files are mapped and unmapped too. */
const ROUNDS_PER_SESSION = 30;
const input = { prompt: 'The capital of the state containing Dallas is' };

/** Memory of arrays is given back some turns of the event loop after the collection that finds them unused. */
const state = async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await setTimeout(20);
  }
  return { rss: process.memoryUsage.rss(), tensors: tf.memory().numTensors };
};

let session;
let first;
for (let i = 0; i < N; i++) {
  if (i % ROUNDS_PER_SESSION === 0) session = await openSession({ device });
  await runIn(session, { input, features: 1 });
  if (i % ROUNDS_PER_SESSION === 1)
    await attributeIn(session, { input, output: `${folder}/g.safetensors`, maxFeatureNodes: 100 });
  if (i % ROUNDS_PER_SESSION === ROUNDS_PER_SESSION - 1) {
    session[Symbol.dispose]();
    if (i + 1 >= N / 3) first ??= await state();
  }
}
process.stdout.write(JSON.stringify({ first, last: await state() }));
