import { afterAll, describe, expect, it } from '@jest/globals';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluate, evaluateIn } from '../../src/engine/evaluate/evaluate.ts';
import type { EvaluateRequest, EvaluateResult } from '../../src/engine/evaluate/types.ts';
import { writeSafetensors } from '../../src/formats/safetensors-writer.ts';
import { alteredSet, type Alteration } from '../engine/altered-set.ts';
import { goldenSession } from '../engine/golden-session.ts';
import { goldenPath, prompts } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracer-diagnosis-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { p1, p2, p3 } = prompts('tiny-a');
const DOCUMENTS = Array.from({ length: 12 }, (_, i) =>
  [`${i} ${p1.text}`, `${p2.text} ${i}`, `${p3.text} ${i} ${p1.text}`][i % 3]!.replaceAll('\n', ' '),
);
const CORPUS = join(folder, 'corpus.txt');
writeFileSync(CORPUS, `${DOCUMENTS.join('\n')}\n`);

const REQUEST = { corpus: [CORPUS], layers: [], offline: true } as const;

async function altered(name: string, alteration: Alteration): Promise<EvaluateResult> {
  const request: EvaluateRequest = {
    ...REQUEST,
    model: goldenPath('tiny-a', 'model'),
    transcoders: await alteredSet('tiny-a', 'plt-jumprelu', join(folder, name), alteration),
    device: 'wasm',
  };
  return await evaluate(request);
}

const embedded = async (name: string, config: (text: string) => string): Promise<EvaluateResult> => {
  const root = join(import.meta.dirname, '../../configs/embedded');
  const set = join(folder, name);
  cpSync(join(root, 'transcoders'), set, { recursive: true });
  writeFileSync(join(set, 'config.yaml'), config(readFileSync(join(set, 'config.yaml'), 'utf8')));
  const corpus = join(folder, 'facts.txt');
  const facts = ['The capital of the state containing Dallas is Austin.', 'The opposite of hot is cold.'];
  writeFileSync(corpus, Array.from({ length: 4 }, () => `${facts.join('\n')}\n`).join(''));
  return await evaluate({ ...REQUEST, corpus: [corpus], model: join(root, 'model'), transcoders: set });
};

describe('what is wrong with a set is said in words', () => {
  it('nothing of a set that does what it was trained for', async () => {
    expect(await embedded('right', (text) => text)).toMatchObject({ diagnosis: [] });
  });

  it('the embedded set whose input was changed', async () => {
    const found = await embedded('changed', (text) => text.replace('ln2.hook_normalized', 'hook_resid_mid'));
    expect(found.diagnosis[0]).toMatch(
      /^The explained variance is below zero at layers [0-9, ]+ .*With ln2\.hook_normalized as the input the explained variance of (all 4 layers|layers [0-9, ]+) would be 0\.9.* not for hook_resid_mid/,
    );
    const right = found.input_trials!.find(({ hook }) => hook === 'ln2.hook_normalized')!;
    for (const { explained_variance } of right.layers) expect(explained_variance).toBeGreaterThan(0.9);
  });

  it.each(['hook_resid_mid', 'mlp.hook_in'])('a set whose input was changed to %s', async (hook) => {
    const { layers, diagnosis } = await altered(hook, {
      config: (text) => text.replace('ln2.hook_normalized', hook),
    });
    const worse = layers.filter(({ explained_variance }) => explained_variance! < 0);
    expect(worse.length).toBeGreaterThan(0);
    const named =
      worse.length === 4 ? 'all 4 layers' : `layers? ${worse.map(({ layer }) => layer).join(', ')}`;
    expect(diagnosis[0]).toMatch(
      new RegExp(`below zero at ${named} .*With ln2.hook_normalized as the input .* not for ${hook}`),
    );
  });

  it('encoders whose rows are in another order, at all layers', async () => {
    const reverse = (name: string, values: Float32Array): void => {
      if (name === 'W_enc') values.reverse();
    };
    const { layers, diagnosis } = await altered('reversed', { tensor: reverse });
    for (const { explained_variance } of layers) expect(explained_variance).toBeLessThan(0);
    expect(diagnosis[0]).toMatch(/below zero at all 4 layers/);
    expect(diagnosis[0]).toMatch(/the encoder is transposed, its rows are in another order .* another model/);
  });

  it('encoders whose rows are in another order, at one layer', async () => {
    const { layers, diagnosis } = await altered('reversed-2', {
      tensor: (name, values, layer) => {
        if (name === 'W_enc' && layer === 2) values.reverse();
      },
    });
    expect(layers.map(({ explained_variance }) => explained_variance! < 0)).toEqual([
      false,
      false,
      true,
      false,
    ]);
    expect(diagnosis[0]).toMatch(/below zero at layer 2 .*files of these: .*layer_2\.safetensors/);
  });

  it('outputs of another scale', async () => {
    const { diagnosis } = await altered('scaled', {
      tensor: (name, values) => {
        if (name === 'W_dec' || name === 'b_dec') for (let i = 0; i < values.length; i++) values[i]! *= 8;
      },
    });
    expect(diagnosis[0]).toMatch(/below zero at all 4 layers .*Multiplied by 0\.1.* it would be 0\.[3-9]/);
  });

  it('thresholds that no feature reaches, and thresholds that all do', async () => {
    const thresholds = (value: number): Alteration => ({
      tensor: (name, values) => {
        if (name.endsWith('threshold')) values.fill(value);
      },
    });
    const silent = await altered('silent', thresholds(1e6));
    expect(silent.layers.map(({ l0, never_active_share }) => [l0, never_active_share])).toEqual(
      Array(4).fill([0, 1]),
    );
    expect(silent.diagnosis.join()).toMatch(/Only 0 features are active a token at all 4 layers/);
    const loud = await altered('loud', thresholds(-1e6));
    expect(loud.diagnosis.join()).toMatch(/128 features are active a token at all 4 layers, which is more/);
  });

  it('an encoder as wide as the model that is stored transposed', async () => {
    const right = await squareSet('square', (row, column, d) => (column === (row + 1) % d ? 1 : 0));
    expect(right.layers[0]!.explained_variance).toBeGreaterThan(0.5);
    const turned = await squareSet('turned', (row, column, d) => (row === (column + 1) % d ? 1 : 0));
    expect(turned.diagnosis[0]).toMatch(
      /below zero at .*With the encoder transposed the explained variance of .* would be 0\.\d+.*W_enc .*the other way round/,
    );
  });
});

/** Far above any input, so that all features are active and the set is an affine map. */
const BIAS = 1000;
const RIDGE = 1e-6;

/** A set with F = d_model whose decoder belongs to an encoder that shifts inputs by one dimension, fitted to the corpus. */
async function squareSet(
  name: string,
  encoder: (row: number, column: number, d: number) => number,
): Promise<EvaluateResult> {
  const place = join(folder, name);
  mkdirSync(place);
  {
    using session = await goldenSession('tiny-a', 'plt-jumprelu');
    const { replacement, tokenizer } = session;
    const { n_layers, d_model: d } = replacement.model.config;
    const inputs: number[][][] = Array.from({ length: n_layers }, () => []);
    const outputs: number[][][] = Array.from({ length: n_layers }, () => []);
    for (const text of DOCUMENTS) {
      using run = await replacement.forward([tokenizer.bosId, ...tokenizer.encode(text)], {
        capture: () => true,
      });
      for (let layer = 0; layer < n_layers; layer++) {
        const rows = async (hook: ReturnType<typeof replacement.inputHook>): Promise<number[][]> =>
          (await run.activations.get<Tensor2D>(hook).array()).slice(1);
        inputs[layer]!.push(...(await rows(replacement.inputHook(layer))));
        outputs[layer]!.push(...(await rows(replacement.outputHook(layer))));
      }
    }
    for (let layer = 0; layer < n_layers; layer++) {
      const map = leastSquares(
        inputs[layer]!.map((row) => [...row, 1]),
        outputs[layer]!,
      );
      const W_enc = Float32Array.from({ length: d * d }, (_, i) => encoder(Math.floor(i / d), i % d, d));
      const W_dec = Float32Array.from({ length: d * d }, (_, i) => map[(Math.floor(i / d) + 1) % d]![i % d]!);
      const b_dec = map[d]!.map((c, j) => c - BIAS * map.slice(0, d).reduce((sum, row) => sum + row[j]!, 0));
      await writeSafetensors(join(place, `layer_${layer}.safetensors`), [
        { name: 'W_enc', dtype: 'F32', shape: [d, d], data: W_enc },
        { name: 'W_dec', dtype: 'F32', shape: [d, d], data: W_dec },
        { name: 'b_enc', dtype: 'F32', shape: [d], data: new Float32Array(d).fill(BIAS) },
        { name: 'b_dec', dtype: 'F32', shape: [d], data: Float32Array.from(b_dec) },
      ]);
    }
  }
  writeFileSync(
    join(place, 'config.yaml'),
    'model_kind: transcoder_set\nfeature_input_hook: ln2.hook_normalized\nfeature_output_hook: hook_mlp_out\n',
  );
  using session = await goldenSession('tiny-a', 'square', place);
  return await evaluateIn(session, REQUEST);
}

/** B that makes X · B closest to Y, by the normal equations and elimination. */
function leastSquares(X: readonly number[][], Y: readonly number[][]): number[][] {
  const [n, m] = [X[0]!.length, Y[0]!.length];
  const system = Array.from({ length: n }, (_, i) => [
    ...Array.from({ length: n }, (__, j) =>
      X.reduce((sum, row) => sum + row[i]! * row[j]!, i === j ? RIDGE : 0),
    ),
    ...Array.from({ length: m }, (__, j) => X.reduce((sum, row, k) => sum + row[i]! * Y[k]![j]!, 0)),
  ]);
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column; row < n; row++)
      if (Math.abs(system[row]![column]!) > Math.abs(system[pivot]![column]!)) pivot = row;
    [system[column], system[pivot]] = [system[pivot]!, system[column]!];
    for (let row = 0; row < n; row++) {
      if (row === column) continue;
      const factor = system[row]![column]! / system[column]![column]!;
      for (let j = column; j < n + m; j++) system[row]![j]! -= factor * system[column]![j]!;
    }
  }
  return system.map((row, i) => row.slice(n).map((value) => value / row[i]!));
}
