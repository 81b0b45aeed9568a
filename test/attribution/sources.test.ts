import { describe, expect, it } from '@jest/globals';
import { readdirSync } from 'node:fs';
import type { Tensor2D } from '../../src/backend/backend.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { FIXTURES, goldenPath, prompts, tolerances } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { prepare } from './prepare.ts';
import { expectValues, readTensors } from '../support/tensors.ts';

describe.each(TEST_DEVICES)('what attribution prepares on %s', (device) => {
  describe.each(FIXTURES)('for %s', (fixture) => {
    it.each(readdirSync(goldenPath(fixture, 'transcoders')))(
      'is that of the reference: %s',
      async (setName) => {
        const golden = await readTensors(
          goldenPath(fixture, 'expected', `transcoder-${setName}.safetensors`),
        );
        const expected = (name: string) => golden.get(`p2/${name}`)!;
        const tolerance = tolerances(fixture).transcoder;
        using loaded = await loadFixture(device, fixture, setName);
        const { replacement } = loaded;
        const { n_layers, d_model } = replacement.model.config;
        using prepared = await prepare(replacement, prompts(fixture).p2.token_ids);
        const { activations, features, n_pos } = prepared.pass;
        const errors = await prepared.errorVectors();
        const sources = await prepared.all();
        const width = n_pos * d_model;
        const ofLayer = (name: string, layer: number, size: number) =>
          expected(name).values.subarray(layer * size, (layer + 1) * size);

        for (let layer = 0; layer < n_layers; layer++) {
          const input = activations.get<Tensor2D>(replacement.inputHook(layer));
          expectValues(
            `mlp_in of layer ${layer}`,
            await input.data(),
            ofLayer('mlp_in', layer, width),
            tolerance,
          );
          const output = await activations.get(replacement.outputHook(layer)).data();
          expectValues(`mlp_out of layer ${layer}`, output, ofLayer('mlp_out', layer, width), tolerance);
          const pre = await replacement.transcoders.preActivations(layer, input);
          const values = (await pre.data()).slice();
          pre.dispose();
          // The reference leaves out position 0 here too, where attribution is concerned.
          const d_transcoder = replacement.transcoders.featureCounts[layer]!;
          values.fill(0, 0, d_transcoder);
          const goldenPre = ofLayer('pre_activations', layer, n_pos * d_transcoder);
          expectValues(`pre_activations of layer ${layer}`, values, goldenPre, tolerance);
          const error = errors.subarray(layer * width, (layer + 1) * width);
          const reconstruction = output.map((value, i) => value - error[i]!);
          // Position 0 has no error vector, so its reconstruction cannot be told from it.
          expectValues(
            `reconstruction of layer ${layer}`,
            reconstruction.subarray(d_model),
            ofLayer('reconstruction', layer, width).subarray(d_model),
            tolerance,
          );
          const skip = await replacement.transcoders.skip(layer, input);
          expect(skip !== null).toBe(golden.has('p2/skip'));
          if (skip)
            expectValues(
              `skip of layer ${layer}`,
              await skip.data(),
              ofLayer('skip', layer, width),
              tolerance,
            );
          skip?.dispose();
        }

        for (let layer = 0, start = 0; layer < n_layers; layer++) {
          const ids: number[] = [];
          for (let i = start; features.indices[3 * i] === layer; i++) ids.push(features.indices[3 * i + 2]!);
          if (ids.length === 0) continue;
          const rows = await replacement.transcoders.encoderRows(layer, Int32Array.from(ids));
          const goldenRows = expected('encoder_vecs').values.subarray(
            start * d_model,
            (start + ids.length) * d_model,
          );
          expectValues(`encoder_vecs of layer ${layer}`, await rows.data(), goldenRows, tolerance);
          rows.dispose();
          start += ids.length;
        }

        const locations = expected('decoder_locations').values;
        const map = expected('encoder_to_decoder_map').values;
        for (let m = 0; m < map.length; m++) {
          const [layer, position] = [locations[m]!, locations[map.length + m]!];
          const { vectors, columns } = sources[layer]![position]!;
          const row = columns.indexOf(map[m]!);
          expect(row).toBeGreaterThanOrEqual(0);
          const found = (await vectors.data()).subarray(row * d_model, (row + 1) * d_model);
          const goldenRow = expected('decoder_vecs').values.subarray(m * d_model, (m + 1) * d_model);
          expectValues(`decoder vector ${m}`, found, goldenRow, tolerance);
        }
        const written = sources.flat().reduce((sum, { columns }) => sum + columns.length - 1, 0);
        expect(written).toBe(map.length);
      },
    );
  });
});
