/** Sets that lack layers of the model, and sets whose layers have different widths. */
import { describe, expect, it } from '@jest/globals';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { attribute } from '../../src/attribution/attribute.ts';
import { verifyAttribution } from '../../src/attribution/verify.ts';
import { observePreActivations } from '../../src/intervention/observe.ts';
import { originalPass } from '../../src/intervention/intervene.ts';
import { Freeze } from '../../src/intervention/freeze.ts';
import { resolveInterventions } from '../../src/intervention/resolve.ts';
import { summarize } from '../../src/replacement/summary.ts';
import { prepare } from '../attribution/prepare.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { copyFixture, editTensors, type FixtureCopy } from '../support/damage.ts';
import { prompts } from '../support/golden.ts';
import { loadFixture, loadSubject } from '../support/replacement.ts';

const MISSING = 1;
const NARROW = 2;
const N_NARROW = 40;
const N_WIDE = 128;

/** tiny-a's set without the transcoder of a layer, and with fewer features in another. */
function partial(kind: 'plt-jumprelu' | 'plt-topk' | 'plt-relu-skip' = 'plt-jumprelu'): FixtureCopy {
  const copy = copyFixture('tiny-a', kind);
  rmSync(join(copy.set, `layer_${MISSING}.safetensors`));
  narrow(join(copy.set, `layer_${NARROW}.safetensors`));
  return copy;
}

/** Keeps the first features. All tensors but b_dec and W_skip have one row a feature. */
function narrow(file: string): void {
  editTensors(file, (tensors) => {
    for (const [name, { dtype, shape, bytes }] of tensors) {
      if (shape[0] !== N_WIDE) continue;
      const rest = shape.slice(1);
      const kept = bytes.subarray(0, (bytes.length / N_WIDE) * N_NARROW);
      tensors.set(name, { dtype, shape: [N_NARROW, ...rest], bytes: kept });
    }
  });
}

const { token_ids: tokens } = prompts('tiny-a').p2;

describe.each(TEST_DEVICES)('on %s, a set that lacks a layer', (device) => {
  it('is refused, with the flag that allows it', async () => {
    using copy = partial();
    await expect(loadSubject(device, 'tiny-a', copy.set)).rejects.toMatchObject({
      code: 'missing_transcoder',
      message: expect.stringContaining(`lacks layer_${MISSING}.safetensors`) as unknown,
      hint: expect.stringContaining('--allow-missing-layers') as unknown,
    });
  });

  it('leaves that layer its own MLP, whose output is an error node, and all other features as they are', async () => {
    using copy = partial();
    using loaded = await loadSubject(device, 'tiny-a', copy.set, { allowMissingLayers: true });
    using whole = await loadFixture(device, 'tiny-a', 'plt-jumprelu');
    expect(summarize(loaded.replacement)).toMatchObject({
      n_transcoders: 3,
      layers_without_transcoder: [MISSING],
    });
    using prepared = await prepare(loaded.replacement, tokens);
    using expected = await prepare(whole.replacement, tokens);
    const kept = [...expected.pass.features.values].flatMap((value, i) => {
      const [layer, position, feature] = expected.pass.features.indices.subarray(3 * i, 3 * i + 3);
      const isThere = layer !== MISSING && !(layer === NARROW && feature! >= N_NARROW);
      return isThere ? [[layer!, position!, feature!, value]] : [];
    });
    const { indices, values } = prepared.pass.features;
    expect([...values].map((value, i) => [...indices.subarray(3 * i, 3 * i + 3), value])).toEqual(kept);

    const errors = await prepared.errorVectors();
    const { d_model } = loaded.replacement.model.config;
    const size = tokens.length * d_model;
    const output = await prepared.pass.activations.get(loaded.replacement.outputHook(MISSING)).data();
    const error = errors.subarray(MISSING * size, (MISSING + 1) * size);
    expect([...error.subarray(d_model)]).toEqual([...output.subarray(d_model)]);
  });

  it.each(['plt-jumprelu', 'plt-topk', 'plt-relu-skip'] as const)(
    'is traced, and its edges are those that passes of the model measure: %s',
    async (kind) => {
      using copy = partial(kind);
      using loaded = await loadSubject(device, 'tiny-a', copy.set, { allowMissingLayers: true });
      using result = await attribute(loaded.replacement, loaded.tokenizer, tokens, {
        targets: { kind: 'most_likely', maxLogits: 3, desiredProbability: 0.9 },
        maxFeatureNodes: 60,
        batchSize: 16,
        updateInterval: 4,
        selection: 'exact',
      });
      const verified = await verifyAttribution(loaded.replacement, result, {
        n_edges: 40,
        arithmetic: 'float32',
      });
      expect(verified).toMatchObject({ ok: true });
    },
  );

  it('has pre-activations as wide as its widest layer, 0 beyond each layer', async () => {
    using copy = partial();
    using loaded = await loadSubject(device, 'tiny-a', copy.set, { allowMissingLayers: true });
    const { replacement } = loaded;
    const n_layers = replacement.model.config.n_layers;
    using pass = await originalPass(replacement, tokens, new Freeze({}, n_layers));
    const { values, shape } = await observePreActivations(replacement, pass.activations, { ignored: 1 });
    expect(shape).toEqual([n_layers, tokens.length, N_WIDE]);
    const row = (layer: number, position: number) => {
      const start = (layer * tokens.length + position) * N_WIDE;
      return [...values.subarray(start, start + N_WIDE)];
    };
    expect(row(MISSING, 2)).toEqual(new Array(N_WIDE).fill(0));
    expect(row(NARROW, 2).slice(N_NARROW)).toEqual(new Array(N_WIDE - N_NARROW).fill(0));
    expect(
      row(NARROW, 2)
        .slice(0, N_NARROW)
        .every((value) => value !== 0),
    ).toBe(true);
    expect(row(0, 2).every((value) => value !== 0)).toBe(true);
  });
});

describe('an intervention in such a set', () => {
  const featureCounts = [N_WIDE, 0, N_NARROW, N_WIDE];
  it.each([
    { layer: MISSING, feature: 0, says: 'no transcoder for layer 1' },
    { layer: NARROW, feature: N_NARROW, says: 'layer 2 has 40 features' },
    { layer: 4, feature: 0, says: 'the model has 4 layers' },
  ])('is refused where there is no such feature: $layer, $feature', ({ layer, feature, says }) => {
    const change = { kind: 'set', value: 0 } as const;
    expect(() =>
      resolveInterventions([{ layer, feature, pos: 1, change }], { featureCounts, n_pos: 5 }),
    ).toThrow(says);
  });
});
