import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../../src/backend/backend.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { blockHook } from '../../src/model/hooks.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { openSet } from '../../src/transcoder/open.ts';
import { describeSet } from '../../src/transcoder/recognise.ts';
import { loadSet } from '../../src/transcoder/transcoder-set.ts';
import { casesOn, openBackend, GOLDEN_DEVICES } from '../support/backends.ts';
import {
  FAMILIES,
  FIXTURES,
  folder,
  goldenPath,
  LAYOUT_FIXTURES,
  PROMPTS,
  prompts,
  setFolder,
  setsOf,
  tolerances,
} from '../support/golden.ts';
import { expectValues, readTensors } from '../support/tensors.ts';

describe.each(GOLDEN_DEVICES)('on %s', (device) => {
  describe.each(casesOn(device, [...FIXTURES, ...FAMILIES, ...LAYOUT_FIXTURES]))(
    'the transcoders of %s',
    (fixture) => {
      it.each(setsOf(fixture))('find the features of the reference: %s', async (name) => {
        const backend = await openBackend(device);
        const expected = await readTensors(goldenPath(fixture, 'expected', `transcoder-${name}.safetensors`));
        const tolerance = tolerances(fixture).transcoder;
        using checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
        const files = setFolder(goldenPath(fixture, 'transcoders', name));
        using opened = await openSet(files, await describeSet(files), checkpoint.config);
        const before = tf.memory().numTensors;
        {
          using model = await loadTransformer(backend, checkpoint);
          using set = await loadSet(backend, opened);
          for (const prompt of PROMPTS.filter((name) => name in prompts(fixture))) {
            const site = set.config.feature_input_hook;
            using result = await model.forward(prompts(fixture)[prompt].token_ids, {
              capture: (hook) => hook.endsWith(site),
              logits: 'none',
            });
            for (const [suffix, first] of [
              ['', 1],
              ['_first_kept', 0],
            ] as const) {
              const indices: number[] = [];
              const values: number[] = [];
              for (const { layer } of set.layers) {
                const input = result.activations.get<Tensor2D>(blockHook(layer, site));
                const active = await set.encode(layer, input, first);
                active.positions.forEach((position, i) => indices.push(layer, position, active.features[i]!));
                values.push(...active.values);
              }
              expect(indices).toEqual([...expected.get(`${prompt}/indices${suffix}`)!.values]);
              expectValues(
                `${prompt}/values${suffix}`,
                values,
                expected.get(`${prompt}/values${suffix}`)!.values,
                tolerance,
              );
            }
          }
        }
        expect(tf.memory().numTensors).toBe(before);
      });
    },
  );
});
