import { describe, expect, it } from '@jest/globals';
import type { ConfigureResult } from '../../src/engine/configure/types.ts';
import { configureView, foldLayers } from '../../src/report/configure-view.ts';
import { plain, subject } from './shown.ts';

describe('the view of configure', () => {
  const result: ConfigureResult = {
    ...subject,
    device: 'cpu',
    backend: 'tensorflow',
    backend_version: 'TensorFlow 2.21.0',
    dtype: 'float32',
    n_layers: 2,
    n_transcoders: 2,
    layers_without_transcoder: [],
    feature_input_hook: 'ln2.hook_normalized',
    feature_output_hook: 'hook_mlp_out',
    scan: null,
    all_mlps_replaced: true,
    unembed_replaced: true,
    n_skip_connections: 0,
    parameters_frozen: true,
    n_parameters: 52224,
    gradient_enabled_at: ['hook_embed'],
    gradient_stopped_at: ['blocks.0.attn.hook_pattern', 'blocks.1.attn.hook_pattern', 'ln_final.hook_scale'],
    bytes: 5 * 2 ** 20,
    streamed_bytes: 0,
    weight_files: { model: ['model.safetensors'], transcoders: ['a', 'b', 'c', 'd', 'e', 'f'] },
    timings_ms: {},
    peak_rss_bytes: 1,
  };

  it("lists every line of the notebook's summary", () => {
    const text = configureView(result, { ...plain, columns: 120 });
    const expected = [
      ['device', 'cpu'],
      ['backend', 'tensorflow (TensorFlow 2.21.0)'],
      ['layers', '2'],
      ['transcoders', '2'],
      ['feature input hook', 'ln2.hook_normalized'],
      ['feature output hook', 'hook_mlp_out'],
      ['scan', 'none'],
      ['dtype', 'float32'],
      ['all MLPs replaced', 'yes'],
      ['unembed replaced', 'yes'],
      ['skip connections', '0'],
      ['parameters frozen', 'yes (52,224)'],
      ['gradient enabled at', 'hook_embed'],
      ['gradient stopped at', '3 hooks'],
      ['bytes held', '5.00 MiB'],
      ['weights of the model', 'model.safetensors'],
      ['weights of the set', 'a'],
    ];
    const lines = text.split('\n').map((line) => line.trim().split(/ {2,}/));
    for (const line of [
      ...expected,
      ['blocks.*.attn.hook_pattern (2)'],
      ['ln_final.hook_scale'],
      ['and 2 other files'],
    ]) {
      expect(lines).toContainEqual(line);
    }
  });

  it('names layers that keep their own MLP, so that they are not taken for a number', () => {
    const of = (layers: number[]) => configureView({ ...result, layers_without_transcoder: layers }, plain);
    expect(of([2])).toMatch(/own MLP kept +in layer 2\n/);
    expect(of([1, 3])).toMatch(/own MLP kept +in layers 1, 3\n/);
    expect(of([])).not.toContain('own MLP');
  });

  it('counts hooks that differ in their layer only', () => {
    expect(foldLayers(['blocks.0.a', 'blocks.10.a', 'b', 'blocks.0.c'])).toEqual([
      'blocks.*.a (2)',
      'b',
      'blocks.*.c (1)',
    ]);
  });
});
