/** Gradients that are written out agree with differences of the loss, for every activation and kind. */
import { describe, expect, it, beforeAll } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../../src/backend/backend.ts';
import { genericSparse } from '../../src/backend/sparse.ts';
import { Random } from '../../src/random.ts';
import { Coder } from '../../src/trainer/coder.ts';
import { BANDWIDTH, lossOf, type LayerBatch } from '../../src/trainer/gradients.ts';
import type { DeviceParameter } from '../../src/trainer/optimizer.ts';
import { TRAIN_ACTIVATIONS, TRAIN_KINDS, type Recipe } from '../../src/trainer/recipe.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { IS_FULL } from '../support/golden.ts';
import { smallRecipe } from './small.ts';

const D = 7;
const N = 12;
const LAYERS = 3;
const STEP = 2e-2;
/** Of numbers in float32, of size about 1, divided by twice the step. */
const TOLERANCE = 4e-4;
/** Numbers of each parameter. */
const CHECKED = IS_FULL ? 14 : 4;
const PENALTY = 0.02;
/** Of a loss in float32. */
const NOISE = 1e-5;

beforeAll(async () => {
  await openBackend(TEST_DEVICES[0]!);
});

interface Case {
  readonly recipe: Recipe;
  readonly coders: Coder[];
  readonly batch: Map<number, LayerBatch>;
}

/** Coders with values of all kinds in all parameters. */
function caseOf(changes: Partial<Recipe>, isDead: (feature: number) => boolean = () => false): Case {
  const recipe = smallRecipe(changes);
  const layers = recipe.kind === 'cross-layer' ? LAYERS : 1;
  const random = new Random(11);
  const coders = Array.from(
    { length: layers },
    (_, layer) => new Coder(recipe, layer, D, recipe.kind === 'cross-layer' ? LAYERS - layer : 1),
  );
  const batch = new Map<number, LayerBatch>();
  for (const coder of coders) {
    const rows = (): tf.Tensor2D => tf.tensor2d(random.normals(N * D, 1), [N, D]);
    batch.set(coder.layer, { x: rows(), y: rows() });
    for (const parameter of coder.parameters) {
      const { shape, size } = parameter.value;
      const deviation = parameter.name === 'log_threshold' ? 0.1 : 0.4;
      const value = tf.tensor(random.normals(size, deviation), shape);
      parameter.replace([
        value,
        ...parameter
          .tensors(recipe.optimizer)
          .slice(1)
          .map(([, t]) => tf.clone(t)),
      ]);
      parameter.normalise();
    }
    const idle = Float32Array.from({ length: recipe.d_transcoder }, (_, f) => (isDead(f) ? 1e6 : 0));
    const tensors = new Map(coder.tensors().map(([name, tensor]) => [name, tf.clone(tensor)]));
    tensors.set('idle', tf.tensor1d(idle));
    const n_dead = idle.filter((tokens) => tokens > 0).length;
    coder.restore(tensors, { n_dead, cut: null, penalty: PENALTY });
  }
  return { recipe, coders, batch };
}

function gradientsOf({ recipe, coders, batch }: Case) {
  return lossOf(genericSparse, recipe, coders, batch);
}

async function lossAt(one: Case): Promise<number> {
  const value = tf.tidy(() => gradientsOf(one).value);
  const [loss] = await value.data();
  value.dispose();
  return loss!;
}

async function withChange(
  parameter: DeviceParameter,
  { optimizer }: Recipe,
  index: number,
  by: number,
  work: () => Promise<number>,
): Promise<number> {
  const tensors = parameter.tensors(optimizer).map(([, tensor]) => tensor);
  const before = (await tensors[0]!.data<'float32'>()).slice();
  const set = (values: Float32Array): void => {
    const moments = parameter.tensors(optimizer).slice(1);
    parameter.replace([
      tf.tensor(values, parameter.value.shape),
      ...moments.map(([, tensor]) => tf.clone(tensor)),
    ]);
  };
  set(before.map((value, i) => (i === index ? value + by : value)));
  const found = await work();
  set(before);
  return found;
}

/** Numbers of a parameter at which the loss has a derivative: a choice that changes within the step is left out. */
async function compare(one: Case, names: readonly string[], firstFeature = 0): Promise<number> {
  const random = new Random(3);
  let n = 0;
  for (const [i, coder] of one.coders.entries()) {
    for (const parameter of coder.parameters.filter(({ name }) => names.includes(name))) {
      const gradient = tf.tidy(() => tf.clone(gradientsOf(one).coders[i]!.gradients.get(parameter)!));
      const expected = await gradient.data<'float32'>();
      gradient.dispose();
      expect(expected).toHaveLength(parameter.value.size);
      for (let k = 0; k < CHECKED; k++) {
        const skipped = (firstFeature * expected.length) / one.recipe.d_transcoder;
        const index = skipped + random.below(expected.length - skipped);
        const at = (by: number) => withChange(parameter, one.recipe, index, by, () => lossAt(one));
        const [up, down, up2, down2] = [
          await at(STEP),
          await at(-STEP),
          await at(STEP / 2),
          await at(-STEP / 2),
        ];
        const narrow = (up2 - down2) / STEP;
        // Twice as far is four times as much, unless another feature is chosen in between, or one begins to be active.
        const middle = await lossAt(one);
        const [far, near] = [up + down - 2 * middle, up2 + down2 - 2 * middle];
        if (Math.abs(far - 4 * near) > NOISE || Math.abs(narrow - (up - down) / (2 * STEP)) > TOLERANCE)
          continue;
        const found = `${parameter.name} of layer ${coder.layer}, number ${index}: ${expected[index]}`;
        expect(
          `${found} is ${Math.abs(expected[index]! - narrow) < TOLERANCE * (1 + Math.abs(narrow))}, ${narrow}`,
        ).toContain('is true');
        n++;
      }
    }
  }
  return n;
}

const MATRICES = ['W_enc', 'b_enc', 'W_dec', 'b_dec', 'W_skip'];

describe.each(TRAIN_KINDS)('Gradients of %s coders', (kind) => {
  it.each(TRAIN_ACTIVATIONS)('agree with differences: %s', async (activation) => {
    const one = caseOf({ kind, activation, hasSkip: kind === 'per-layer', hasUnitDecoder: false });
    const parameters = one.coders.reduce((sum, coder) => sum + coder.parameters.length, 0);
    expect(await compare(one, MATRICES)).toBeGreaterThan((parameters * CHECKED) / 2);
  });

  it('agree with differences where dead features have an auxiliary loss', async () => {
    const one = caseOf({ kind, activation: 'topk', auxiliaryWeight: 0.7 }, (feature) => feature % 2 === 0);
    // What the others leave unexplained counts as a constant there: only what dead features write depends on it alone.
    const plain = caseOf({ kind, activation: 'topk', auxiliaryWeight: 0 }, (feature) => feature % 2 === 0);
    expect(await lossAt(one)).toBeGreaterThan(await lossAt(plain));
    const [with_, without] = [one, plain].map((each) =>
      tf.tidy(() =>
        tf.clone(gradientsOf(each).coders[0]!.gradients.get(each.coders[0]!.W_dec as DeviceParameter)!),
      ),
    );
    const difference = await tf.sub(with_!, without!).data<'float32'>();
    const columns = difference.length / one.recipe.d_transcoder;
    const rowSize = (feature: number): number =>
      Math.hypot(...difference.subarray(feature * columns, (feature + 1) * columns));
    const sizes = Array.from({ length: one.recipe.d_transcoder }, (_, feature) => rowSize(feature));
    expect(sizes.filter((size, feature) => feature % 2 === 1 && size > 1e-6)).toEqual([]);
    expect(sizes.filter((size, feature) => feature % 2 === 0 && size > 1e-6).length).toBeGreaterThan(2);
  });
});

describe('The auxiliary loss', () => {
  it('has the gradient of what dead features write towards a fixed error', async () => {
    // Features that are never chosen by TopK change the loss through the auxiliary part alone.
    const one = caseOf({ activation: 'topk', auxiliaryWeight: 0.7, k: 1, d_transcoder: 12 }, (f) => f >= 2);
    const [coder] = one.coders;
    const low = (await coder!.b_enc.value.data<'float32'>()).map((_, f) => (f < 2 ? 6 : 0.2));
    coder!.b_enc.replace([
      tf.tensor1d(low),
      ...coder!.b_enc
        .tensors('adam')
        .slice(1)
        .map(([, t]) => tf.clone(t)),
    ]);
    expect(await compare(one, ['W_enc', 'b_enc', 'W_dec'], 2)).toBeGreaterThan(CHECKED);
  });
});

describe('Thresholds of JumpReLU', () => {
  it('have the gradient of a step that is a ramp as wide as the rectangle', async () => {
    const one = caseOf({ activation: 'jumprelu', l0: 2 });
    const [coder] = one.coders;
    const { x, y } = one.batch.get(0)!;
    const F = one.recipe.d_transcoder;
    const read = async (tensor: Tensor): Promise<Float32Array> => (await tensor.data<'float32'>()).slice();
    const pre = await read(tf.tidy(() => coder!.preActivations(x)));
    const threshold = await read(coder!.threshold()!);
    const [W_dec, b_dec, wanted] = [
      await read(coder!.W_dec.value),
      await read(coder!.b_dec.value),
      await read(y),
    ];
    let l0 = 0;
    for (const [i, value] of pre.entries()) if (value > threshold[i % F]!) l0 += 1 / N;
    const expected = new Float64Array(F);
    for (let token = 0; token < N; token++) {
      const error = Array.from({ length: D }, (_, d) => {
        let written = b_dec[d]!;
        for (let f = 0; f < F; f++) {
          const value = pre[token * F + f]!;
          if (value > threshold[f]!) written += value * W_dec[f * D + d]!;
        }
        return written - wanted[token * D + d]!;
      });
      for (let f = 0; f < F; f++) {
        if (Math.abs(pre[token * F + f]! - threshold[f]!) >= BANDWIDTH / 2) continue;
        const byActivation = error.reduce((sum, e, d) => sum + (2 / (N * D)) * e * W_dec[f * D + d]!, 0);
        const byL0 = (PENALTY + 2 * (l0 / 2 - 1)) / 2 / N;
        expected[f]! -= (threshold[f]! * (threshold[f]! * byActivation + byL0)) / BANDWIDTH;
      }
    }
    const found = await read(
      tf.tidy(() => gradientsOf(one).coders[0]!.gradients.get(coder!.logThreshold as DeviceParameter)!),
    );
    expect(expected.some((gradient) => Math.abs(gradient) > 0.01)).toBe(true);
    for (const [f, gradient] of found.entries()) expect(gradient).toBeCloseTo(expected[f]!, 4);
  });
});
