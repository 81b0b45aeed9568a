import { describe, expect, it } from '@jest/globals';
import stringWidth from 'string-width';
import type {
  ConfigureResult,
  InspectFeatureResult,
  InspectLayerResult,
  InspectSummaryResult,
  LoadResult,
  RunResult,
} from '../../src/engine/results.ts';
import { configureView, foldLayers } from '../../src/report/configure-view.ts';
import { failureView } from '../../src/report/failure-view.ts';
import { inspectView } from '../../src/report/inspect-view.ts';
import { loadView } from '../../src/report/load-view.ts';
import { runView } from '../../src/report/run-view.ts';
import { screenFor } from '../../src/report/screen.ts';
import { setupView } from '../../src/report/setup-view.ts';

const plain = screenFor({}, {});
const colored = screenFor({ isTTY: true, columns: 100 }, {});

/** The cells of the line that starts with `first`. */
function lineOf(text: string, first: string): string[] {
  const line = text.split('\n').find((candidate) => candidate.trimStart().startsWith(first));
  if (line === undefined) throw new Error(`no line starts with '${first}' in:\n${text}`);
  return line.trim().split(/ {2,}/);
}

const subject = { model: 'embedded', transcoders: 'embedded' };

const runResult: RunResult = {
  ...subject,
  backend: 'tensorflow',
  device: 'cpu',
  dtype: 'float32',
  tokens: [
    { position: 0, id: 2, text: '<bos>' },
    { position: 1, id: 4521, text: ' Hello' },
    { position: 2, id: 99, text: '\x1b[2J' },
  ],
  output: { shape: [1, 3, 256000], dtype: 'float32' },
  top: [
    { token_id: 1, text: ' world', logit: 18.2149, probability: 0.5 },
    { token_id: 2, text: '\n', logit: 3, probability: 0.00001 },
  ],
  features: [
    { layer: 3, position: 1, feature: 104, activation: 30.9 },
    { layer: 0, position: 1, feature: 7, activation: 2 },
    { layer: 1, position: 2, feature: 9, activation: 1 },
  ],
  files: [{ path: 'a.safetensors', bytes: 2048 }],
  timings_ms: { load: 120, forward: 12.3 },
  repeats_ms: [3, 1, 2],
  peak_rss_bytes: 2 ** 30,
};

describe('the view of run', () => {
  const text = runView(runResult, plain);

  it('shows tokens visibly, the shape and the dtype', () => {
    expect(lineOf(text, 'tokens')).toEqual(['tokens', '<bos> ·Hello \\x1b[2J']);
    expect(lineOf(text, 'output')).toEqual(['output', '[1, 3, 256000] float32']);
    expect(lineOf(text, 'backend')).toEqual(['backend', 'tensorflow on cpu, float32']);
  });

  it('ranks the next tokens with a bar in proportion', () => {
    expect(lineOf(text, '1  ')).toEqual(['1', '·world', '1', '50.0 %', '█'.repeat(12), '18.21']);
    expect(lineOf(text, '2  ')).toEqual(['2', '\\n', '2', '< 0.01 %', '3']);
  });

  it('names the position of a group of features once', () => {
    const lines = text.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines).toContainEqual(['1', '·Hello', '3', '104', '30.9']);
    expect(lines).toContainEqual(['0', '7', '2']);
    expect(lines).toContainEqual(['2', '\\x1b[2J', '1', '9', '1']);
  });

  it('says what was written, how long it took and how much memory it needed', () => {
    expect(lineOf(text, 'written')).toEqual(['written', 'a.safetensors (2.00 KiB)']);
    expect(lineOf(text, 'time')).toEqual(['time', 'load 120 ms, forward 12.3 ms']);
    expect(lineOf(text, 'later passes')).toEqual([
      'later passes',
      'median 2.00 ms, 1.00 ms to 3.00 ms, 3 passes',
    ]);
    expect(lineOf(text, 'peak memory')).toEqual(['peak memory', '1.00 GiB']);
  });

  it('has no features unless they were asked for', () => {
    const { features: _, ...without } = runResult;
    expect(runView(without, plain)).not.toContain('Strongest features');
    expect(runView({ ...runResult, features: [] }, plain)).toContain('No feature is active.');
  });

  it('has colours on a terminal only, and fits it', () => {
    expect(text).not.toContain('\x1b');
    expect(runView(runResult, colored)).toContain('\x1b[36m█');
    const narrow = runView(runResult, { ...plain, columns: 50 });
    for (const line of narrow.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(50);
  });
});

describe('the view of configure', () => {
  const result: ConfigureResult = {
    ...subject,
    device: 'cpu',
    backend: 'tensorflow',
    backend_version: 'TensorFlow 2.21.0',
    dtype: 'float32',
    n_layers: 2,
    n_transcoders: 2,
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
    ];
    const lines = text.split('\n').map((line) => line.trim().split(/ {2,}/));
    for (const line of [...expected, ['blocks.*.attn.hook_pattern (2)'], ['ln_final.hook_scale']]) {
      expect(lines).toContainEqual(line);
    }
  });

  it('counts hooks that differ in their layer only', () => {
    expect(foldLayers(['blocks.0.a', 'blocks.10.a', 'b', 'blocks.0.c'])).toEqual([
      'blocks.*.a (2)',
      'b',
      'blocks.*.c (1)',
    ]);
  });
});

describe('the view of load', () => {
  const source = { name: 'embedded', kind: 'preset' as const };
  const result: LoadResult = {
    ...subject,
    dry_run: true,
    sources: { model: source, transcoders: source },
    files: [
      { path: 'model.safetensors', bytes: 5 * 2 ** 30, status: 'missing' },
      { path: 'config.json', bytes: 700, status: 'cached' },
    ],
    transcoder_keys: [0, 1],
    layers: [
      { layer: 0, activation: 'jumprelu', threshold: { min: 0.1, median: 1.23456, max: 2 }, d_transcoder: 16384, has_skip: false, dtype: 'float32' },
      { layer: 1, activation: 'topk', k: 4, threshold: null, d_transcoder: 128, has_skip: true, dtype: 'bfloat16' },
    ],
    fits: false,
    memory: { needed_bytes: 9 * 2 ** 30, available_bytes: 4 * 2 ** 30 },
    disk: { needed_bytes: 5 * 2 ** 30, available_bytes: 100 * 2 ** 30 },
    timings_ms: {},
  }; // prettier-ignore
  const text = loadView(result, plain);

  it('lists files with size and status, and their sum', () => {
    expect(lineOf(text, 'model.safetensors')).toEqual(['model.safetensors', '5.00 GiB', 'to be fetched']);
    expect(lineOf(text, 'config.json')).toEqual(['config.json', '700 B', 'cached']);
    expect(lineOf(text, '2 files')).toEqual(['2 files', '5.00 GiB']);
  });

  it('lists the transcoder keys and one line a layer', () => {
    expect(text).toContain('Transcoder keys: [0, 1]');
    expect(lineOf(text, '0  ')).toEqual(['0', 'jumprelu', '0.1 / 1.235 / 2', '16,384', 'no', 'float32']);
    expect(lineOf(text, '1  ')).toEqual(['1', 'topk (k = 4)', '-', '128', 'yes', 'bfloat16']);
  });

  it('says whether it fits memory and disk', () => {
    expect(lineOf(text, 'fits')).toEqual(['fits', 'no']);
    expect(lineOf(text, 'memory')).toEqual(['memory', '9.00 GiB needed, 4.00 GiB free']);
    expect(lineOf(text, 'disk')).toEqual(['disk', '5.00 GiB needed, 100 GiB free']);
  });
});

describe('the views of inspect', () => {
  const source = { name: 'embedded', kind: 'preset' as const };
  const summary: InspectSummaryResult = {
    ...subject,
    view: 'summary',
    sources: { model: source, transcoders: { ...source, repository: 'owner/name', commit: 'abc' } },
    model_details: {
      architecture: 'Gemma2ForCausalLM', n_layers: 4, d_model: 32, n_heads: 4, n_key_value_heads: 2, d_head: 12, d_mlp: 72,
      d_vocab: 560, n_ctx: 256, window_size: 8, n_parameters: 52224, dtype: 'float32', bytes: 208896, n_hooks: 90, random_weights: true,
    },
    transcoder_details: {
      model_kind: 'cross_layer_transcoder', model_name: 'golden/tiny-a', n_transcoders: 4, activation: 'relu', d_transcoder: 128, n_features: 512,
      n_skip_connections: 0, feature_input_hook: 'ln2.hook_normalized', feature_output_hook: 'hook_mlp_out', scan: 'a/b', dtype: 'float32', bytes: 1024,
    },
  }; // prettier-ignore

  it('mark random weights, and where a name led to', () => {
    const text = inspectView(summary, { ...plain, columns: 120 });
    expect(lineOf(text, 'weights')[1]).toMatch(/^random/);
    expect(text).toContain('embedded, owner/name, commit abc');
    expect(text).toContain('cross-layer');
    const trained = { ...summary, model_details: { ...summary.model_details, random_weights: false } };
    expect(lineOf(inspectView(trained, plain), 'weights')).toEqual(['weights', 'trained']);
  });

  it('show hooks, weights and the transcoder of a layer', () => {
    const layer: InspectLayerResult = {
      ...subject,
      view: 'layer',
      layer: 2,
      hooks: [{ name: 'blocks.2.hook_resid_pre', shape: ['pos', 32] }],
      weights: [{ name: 'blocks.2.attn.W_Q', shape: [4, 32, 12], dtype: 'float32', bytes: 6144 }],
      transcoder: {
        layer: 2, activation: 'relu', threshold: null, d_transcoder: 128, has_skip: true, dtype: 'float32', bytes: 2048,
        encoder_norm: { min: 1, median: 2, max: 3 }, decoder_norm: { min: 1, median: 1, max: 1 }, encoder_bias: { min: -1, median: 0, max: 1 },
      },
    }; // prettier-ignore
    const text = inspectView(layer, plain);
    expect(lineOf(text, 'blocks.2.hook_resid_pre')).toEqual(['blocks.2.hook_resid_pre', '[pos, 32]']);
    expect(lineOf(text, 'blocks.2.attn.W_Q')).toEqual([
      'blocks.2.attn.W_Q',
      '[4, 32, 12]',
      'float32',
      '6.00 KiB',
    ]);
    expect(lineOf(text, 'encoder norm')).toEqual(['encoder norm min / median / max', '1 / 2 / 3']);
    expect(text).not.toContain('threshold');
  });

  it('show what a feature promotes and suppresses', () => {
    const feature: InspectFeatureResult = {
      ...subject, view: 'feature', layer: 1, feature: 17, activation: 'jumprelu', encoder_norm: 1.5, decoder_norm: 2, threshold: 0.25, bias: -0.5,
      promotes: [{ token_id: 5, text: ' Austin', effect: 0.75 }], suppresses: [{ token_id: 6, text: '\t', effect: -0.5 }],
      decoder_norms: [{ layer: 1, norm: 1 }, { layer: 2, norm: 1.7 }],
    }; // prettier-ignore
    const text = inspectView(feature, plain);
    expect(text).toContain('Layer 1, feature 17');
    expect(lineOf(text, '·Austin')).toEqual(['·Austin', '5', '0.75']);
    expect(lineOf(text, '\\t')).toEqual(['\\t', '6', '-0.5']);
    expect(lineOf(text, 'decoder norm into layer 2')).toEqual(['decoder norm into layer 2', '1.7']);
  });

  it('count the hooks and weights of a pattern', () => {
    const hooks = [{ name: 'hook_embed', shape: ['pos', 32] }];
    expect(inspectView({ ...subject, view: 'hooks', pattern: 'hook_e*', hooks }, plain)).toMatch(/\n1 hook$/);
    const weights = [{ name: 'embed.W_E', shape: [560, 32], dtype: 'bfloat16', bytes: 35840 }];
    const text = inspectView({ ...subject, view: 'weights', pattern: null, weights, bytes: 35840 }, plain);
    expect(text).toMatch(/\n1 weight, 35\.0 KiB$/);
  });
});

describe('the view of setup', () => {
  it('says what is linked, or that wasm remains', () => {
    const linked = { linked: true, device: 'cpu', folder: '/data', version: 'TensorFlow 2.21.0', already_set_up: true, seconds: 1.4 } as const;
    expect(lineOf(setupView(linked, plain), 'linked')).toEqual(['linked', 'TensorFlow 2.21.0']);
    const refused = { linked: false, device: 'cpu', code: 'python_missing', message: 'python3 was not found', hint: 'Install it.' } as const;
    const text = setupView(refused, plain);
    expect(text).toContain('wasm');
    expect(text).toContain('python3 was not found\nInstall it.');
  }); // prettier-ignore
});

describe('an error', () => {
  it('is its message and the next step, without anything that a terminal obeys', () => {
    expect(failureView({ message: 'bad \x1b[2J name', hint: 'do this' }, plain)).toBe(
      'error: bad \\x1b[2J name\nhint: do this',
    );
    expect(failureView({ message: 'm', stack: 'Error: m\n  at x' }, plain)).toBe(
      'error: m\nError: m\n  at x',
    );
  });
});
