import { beforeAll, describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { batchOf } from '../../src/training/batch.ts';
import { capturingPass } from '../../src/training/capture.ts';
import { interchangeLosses, type Interchange } from '../../src/training/interchange.ts';
import { modelOfVariables, modelParameters } from '../../src/training/model-parameters.ts';
import { Variables } from '../../src/training/parameters.ts';
import { predictionLoss } from '../../src/training/pass.ts';
import { Random } from '../../src/random.ts';
import { replacedPass } from '../../src/training/replaced-pass.ts';
import { trainJointly } from '../../src/training/train-jointly.ts';
import {
  listOf,
  transcoderOfVariables,
  transcoderParameters,
} from '../../src/training/transcoder-parameters.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { counting, SMALL } from './small.ts';

beforeAll(() => openBackend(TEST_DEVICES[0]!));

const N = 4;
const PROMPTS = [2, 5, 7, 9].map((subject) => [0, 1, subject, 3]);
const IDENTITY = Float32Array.from({ length: N * N }, (_, i) => (i % (N + 1) === 0 ? 1 : 0));
/** Prompts 0 and 1 belong together, and 2 and 3. */
const PAIRS = Float32Array.from({ length: N * N }, (_, i) =>
  Math.floor(i / N / 2) === Math.floor((i % N) / 2) ? 0.5 : 0,
);
/** Each prompt gets the features of one of the other pair. */
const ACROSS = Float32Array.from({ length: N * N }, (_, i) => ((Math.floor(i / N) ^ 2) === i % N ? 1 : 0));
const INTERCHANGE: Interchange = {
  prompts: PROMPTS,
  position: 2,
  donors: null,
  sources: IDENTITY,
  groups: PAIRS,
  exchanged: 'all',
  isReplaced: false,
  answers: Int32Array.of(4, 4, 6, 6),
};

/** Transcoders whose features are active here and there. */
function layersAtRandom() {
  const random = new Random(3);
  return Array.from({ length: SMALL.n_layers }, (_, l) => {
    const layer = transcoderParameters(l, 32, SMALL.d_model);
    for (const { values } of [layer.W_enc, layer.W_dec])
      for (const i of values.keys()) values[i] = random.normal() / 4;
    return layer;
  });
}

async function lossesOf(changes: Partial<Interchange>) {
  const parameters = modelParameters(SMALL, new Random(1), {});
  const layers = layersAtRandom();
  using variables = new Variables([...parameters, ...layers.flatMap(listOf)]);
  variables.refill();
  const model = modelOfVariables(SMALL, variables);
  const transcoders = layers.map((layer) => transcoderOfVariables(layer, variables));
  const scalars = tf.tidy(() => {
    const found = interchangeLosses(model, transcoders, { ...INTERCHANGE, ...changes }, 0);
    const batch = batchOf(PROMPTS);
    const plain = capturingPass(model, batch);
    const wanted = {
      places: Int32Array.from(PROMPTS, (_, r) => (r + 1) * batch.length - 1),
      targets: INTERCHANGE.answers,
      n_silent: 0,
    };
    return [
      found.answers,
      found.unshared,
      predictionLoss(model, plain.residual, wanted),
      predictionLoss(model, replacedPass(model, transcoders, batch, plain), wanted),
    ];
  });
  const [answers, unshared, plain, replaced] = await Promise.all(
    scalars.map(async (scalar) => (await scalar.data())[0]!),
  );
  for (const scalar of scalars) scalar.dispose();
  return { answers: answers!, unshared: unshared!, plain: plain!, replaced: replaced! };
}

describe('interchange', () => {
  it('changes nothing when every prompt gets its own features back', async () => {
    for (const exchanged of ['all', 'shared instead'] as const) {
      const { answers, plain } = await lossesOf({ exchanged });
      expect(answers).toBeCloseTo(plain, 5);
    }
  });

  it('is the replaced pass when MLPs are replaced and every prompt gets its own features back', async () => {
    const { answers, replaced, plain } = await lossesOf({ isReplaced: true });
    expect(answers).toBeCloseTo(replaced, 5);
    expect(Math.abs(replaced - plain)).toBeGreaterThan(1e-3);
  });

  it('loses what only one subject has when what is shared comes alone', async () => {
    const { answers, plain } = await lossesOf({ exchanged: 'shared alone' });
    expect(Math.abs(answers - plain)).toBeGreaterThan(1e-4);
  });

  it('takes other features from the other group, each kind of exchange in its own way', async () => {
    const kinds = ['all', 'shared alone', 'shared instead'] as const;
    const found = await Promise.all(
      kinds.map(async (exchanged) => (await lossesOf({ exchanged, sources: ACROSS })).answers),
    );
    expect(new Set(found.map((loss) => loss.toFixed(4))).size).toBe(kinds.length);
  });

  it('sees what members lack of what their group shares, and nothing where everybody is a group', async () => {
    expect((await lossesOf({})).unshared).toBeGreaterThan(0);
    expect((await lossesOf({ groups: IDENTITY })).unshared).toBe(0);
  });
});

describe('joint training', () => {
  it('lowers its losses, leaks no tensor, and repeats itself', async () => {
    const train = async () => {
      const parameters = modelParameters(SMALL, new Random(1), {});
      const layers = layersAtRandom();
      const curve: { loss: number; measures: Readonly<Record<string, number>> }[] = [];
      await trainJointly(SMALL, parameters, layers, counting(4), {
        steps: 40,
        peakRate: 5e-3,
        optimizer: { beta1: 0.9, beta2: 0.98, weightDecay: 0.1, clipNorm: 1 },
        rowsAStep: 16,
        n_silent: 0,
        activeFeatures: 6,
        random: new Random(2),
        weights: () => ({
          reconstruction: 1,
          replaced: 0.5,
          interchange: 1,
          exchangedReconstruction: 1,
          subjects: 1,
          sharing: 1,
        }),
        interchange: () => ({
          ...INTERCHANGE,
          sources: ACROSS,
          exchanged: 'shared instead',
          isReplaced: true,
        }),
        questions: () => INTERCHANGE,
        onStep: ({ loss, measures }) => curve.push({ loss, measures }),
      });
      return curve;
    };
    const before = tf.memory().numTensors;
    const curve = await train();
    expect(tf.memory().numTensors).toBe(before);
    const [first, last] = [curve[0]!, curve.at(-1)!];
    for (const name of ['plain', 'replaced', 'unexplained', 'subjects'])
      expect({ name, isLower: last.measures[name]! < first.measures[name]! }).toEqual({
        name,
        isLower: true,
      });
    expect((await train()).at(-1)!.loss).toBeCloseTo(last.loss, 3);
  });
});
