import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { envelope, FIXTURE, tracer, type StartOptions } from './start.ts';

const MODEL = join(FIXTURE, 'model');
const SET = join(FIXTURE, 'transcoders', 'plt-jumprelu');
const EMBEDDED_VOCABULARY = 4382;
const FIXTURE_FLAGS = ['--model', MODEL, '--transcoders', SET];
const WASM = ['--device', 'wasm'];

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tracer-commands-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** The `data` of a command that has to succeed. */
async function dataOf(args: readonly string[], options: StartOptions = {}): Promise<Record<string, unknown>> {
  const finished = await tracer([...args, '--json'], options);
  expect({ exitCode: finished.exitCode, error: envelope(finished).error }).toEqual({
    exitCode: 0,
    error: undefined,
  });
  return envelope(finished).data!;
}

/** The error of a command that has to fail. */
async function failureOf(args: readonly string[], options: StartOptions = {}) {
  const finished = await tracer([...args, '--json'], options);
  return { exitCode: finished.exitCode, ...envelope(finished).error };
}

const number = expect.any(Number);
const text = expect.any(String);

describe('tracer load', () => {
  it('lists files, layers with their thresholds, and whether they fit', async () => {
    const data = await dataOf(['load', ...FIXTURE_FLAGS]);
    expect(data).toMatchObject({ model: MODEL, transcoders: SET, fits: true, transcoder_keys: [0, 1, 2, 3] });
    expect(data['files']).toContainEqual({ path: 'model.safetensors', bytes: number, status: 'local' });
    const layers = data['layers'] as Record<string, unknown>[];
    expect(layers).toHaveLength(4);
    const threshold = { min: number, median: number, max: number };
    expect(layers[0]).toMatchObject({ layer: 0, activation: 'jumprelu', threshold, d_transcoder: 128, has_skip: false, dtype: 'float32' }); // prettier-ignore
  });

  it('lists the presets, with size, layers, features and gate', async () => {
    const { models, transcoders } = (await dataOf(['load', '--list'])) as Record<
      string,
      Record<string, unknown>[]
    >;
    const named = (list: Record<string, unknown>[] | undefined, name: string) =>
      list?.find((one) => one['name'] === name);
    expect(named(models, 'gemma-2-2b')).toMatchObject({ n_layers: 26, gated: true, follows_branch: false });
    expect(named(models, 'gpt2')).toMatchObject({ n_layers: 12, gated: false, follows_branch: true });
    expect(named(transcoders, 'llama')).toMatchObject({
      ...{ model: 'llama-3.2-1b', kind: 'per-layer', n_layers: 16, n_features_a_layer: 131_072, gated: true },
      n_parameters: 2 * 16 * 131_072 * 2048,
    });
    expect(named(transcoders, 'clt-426k')).toMatchObject({
      kind: 'cross-layer',
      n_parameters: (26 + 351) * 16_384 * 2304,
    });
    const { stdout } = await tracer(['load', '--list']);
    expect(stdout).toMatch(/^set +kind +layers +features +size +licence$/m);
    expect(stdout).toMatch(/^gemma-3-4b-it-262k-affine +per-layer +34 +262,144 +45\.6B +gated$/m);
    expect(stdout).toMatch(/^llama-3\.1-8b-instruct +8B +32 /m); // names stay whole, to be copied
    expect(stdout).toContain('Pinned to a commit: gemma-2-2b, gemma, gemma-npz.');
  });

  it('reads no weight in a dry run', async () => {
    const data = await dataOf(['load', ...FIXTURE_FLAGS, '--dry-run']);
    expect(data).toMatchObject({ dry_run: true, fits: true });
    expect(data['layers']).toContainEqual(expect.objectContaining({ layer: 3, threshold: null }));
  });
});

describe('tracer configure', () => {
  it('answers with the fields of the summary', async () => {
    expect(await dataOf(['configure', ...FIXTURE_FLAGS, ...WASM])).toMatchObject({
      device: 'wasm', backend: 'wasm', n_layers: 4, n_transcoders: 4, feature_input_hook: 'ln2.hook_normalized',
      feature_output_hook: 'hook_mlp_out', scan: text, dtype: 'float32', all_mlps_replaced: true, unembed_replaced: true,
      n_skip_connections: 0, parameters_frozen: true, gradient_enabled_at: ['hook_embed'], bytes: number,
      gradient_stopped_at: expect.arrayContaining(['blocks.0.attn.hook_pattern', 'ln_final.hook_scale']),
    }); // prettier-ignore
  });

  it('keeps the choice with --save, and later commands follow it from folders below', async () => {
    const file = join(folder, 'tracer.config.json');
    const saved = await dataOf(['configure', ...FIXTURE_FLAGS, ...WASM, '--save'], { cwd: folder });
    expect(saved['saved_to']).toBe(file);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      model: MODEL,
      transcoders: SET,
      device: 'wasm',
    });
    const data = await dataOf(['run', 'Hello'], { cwd: folder });
    expect(data).toMatchObject({ model: MODEL, transcoders: SET, device: 'wasm' });
    const other = join(FIXTURE, 'transcoders', 'plt-topk');
    const overridden = await dataOf(['run', 'Hello'], { cwd: folder, env: { TRACER_TRANSCODERS: other } });
    expect(overridden).toMatchObject({ model: MODEL, transcoders: other });
    await rm(file);
  });
});

describe('tracer run', () => {
  it('answers with tokens, shape, the most likely tokens, features, times and memory', async () => {
    const data = await dataOf([
      'run',
      'Hello, world!',
      ...WASM,
      '--features',
      '2',
      '--top',
      '3',
      '--repeat',
      '2',
    ]);
    const tokens = data['tokens'] as { position: number; id: number; text: string }[];
    expect(tokens[0]).toEqual({ position: 0, id: 2, text: '<bos>' });
    expect(tokens.map((token) => token.text).join('')).toBe('<bos>Hello, world!');
    expect(data['output']).toEqual({ shape: [1, tokens.length, EMBEDDED_VOCABULARY], dtype: 'float32' });
    const top = data['top'] as { token_id: number; text: string; logit: number; probability: number }[];
    expect(top).toHaveLength(3);
    expect(top[0]).toEqual({ token_id: number, text, logit: number, probability: number });
    expect(top.map(({ probability }) => probability)).toEqual(top.map(({ probability }) => probability).sort((a, b) => b - a)); // prettier-ignore
    expect(data['features']).toContainEqual({
      layer: number,
      position: 1,
      feature: number,
      activation: number,
    });
    expect(data['repeats_ms']).toEqual([number, number]);
    expect(data).toMatchObject({ model: 'embedded', transcoders: 'embedded', backend: 'wasm', device: 'wasm', dtype: 'float32' }); // prettier-ignore
    expect(data).toMatchObject({ timings_ms: { forward: number }, peak_rss_bytes: number });
  });

  it('takes the best device that works and says why not a better one', async () => {
    const { stderr, exitCode, stdout } = await tracer(['run', 'Hello', '--device', 'auto']);
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^note: Device (?:cuda|cpu|wasm) /m);
    expect(stdout).toMatch(/^backend +(?:tensorflow on (?:cuda|cpu)|wasm), float32$/m);
  });

  it('is an assertion with --expect and --expect-prob', async () => {
    const [best] = (await dataOf(['run', 'The', ...WASM]))['top'] as {
      text: string;
      probability: number;
    }[];
    const asserted = ['run', 'The', ...WASM, '--expect', ' Austin', '--expect', best!.text];
    const data = await dataOf([...asserted, '--expect-prob', String(best!.probability * 0.99)]);
    expect(data['expectation']).toMatchObject({ expected: [' Austin', best!.text] });
    const tooLow = await failureOf([...asserted, '--expect-prob', '0.99']);
    expect(tooLow).toMatchObject({ exitCode: 6, code: 'unexpected_probability' });
    const other = await failureOf(['run', 'The', ...WASM, '--expect', ' Austin']);
    expect(other).toMatchObject({ exitCode: 6, code: 'unexpected_token' });
    expect(other.message).toContain(JSON.stringify(best!.text));
  });

  it('writes activations and features where it is told', async () => {
    const activations = join(folder, 'new folder', 'a.safetensors');
    const features = join(folder, 'f.safetensors');
    const names = ['--names', 'logits', 'blocks.*.hook_mlp_out'];
    const data = await dataOf(['run', 'Hello', ...WASM, '--save-features', features, '--save-activations', activations, ...names]); // prettier-ignore
    expect((data['files'] as { path: string }[]).map(({ path }) => path).sort()).toEqual(
      [features, activations].sort(),
    );
    const header = (await readFile(activations)).toString('latin1');
    for (const name of ['"logits"', '"blocks.3.hook_mlp_out"']) expect(header).toContain(name);
    expect(header).not.toContain('hook_resid_pre');
    expect(existsSync(features)).toBe(true);
  });
});

describe('tracer inspect', () => {
  it('shows model and set', async () => {
    const data = await dataOf(['inspect']);
    expect(data).toMatchObject({ view: 'summary', model_details: { n_layers: 4, d_model: 128 }, transcoder_details: { d_transcoder: 1024 } }); // prettier-ignore
    expect((await tracer(['inspect'])).stdout).toMatch(/^layers +4$/m);
  });

  it('shows a layer, a feature, hooks and weights', async () => {
    const layer = await dataOf(['inspect', ...FIXTURE_FLAGS, '--layer', '2']);
    expect(layer['hooks']).toContainEqual({
      name: 'blocks.2.attn.hook_pattern',
      shape: [4, 'q_pos', 'k_pos'],
    });
    expect(layer).toMatchObject({
      transcoder: { encoder_norm: { median: number }, threshold: { median: number } },
    });
    const feature = await dataOf([
      'inspect',
      ...FIXTURE_FLAGS,
      '--layer',
      '2',
      '--feature',
      '17',
      '--top',
      '4',
    ]);
    expect(feature).toMatchObject({
      encoder_norm: number,
      decoder_norm: number,
      threshold: number,
      bias: number,
    });
    expect(feature['promotes']).toHaveLength(4);
    expect(feature['suppresses']).toHaveLength(4);
    const hooks = (await dataOf(['inspect', '--hooks', '*.attn.hook_z']))['hooks'];
    expect(hooks).toHaveLength(4);
    const weights = (await dataOf(['inspect', '--weights']))['weights'];
    expect(weights).toContainEqual(expect.objectContaining({ name: 'embed.W_E', dtype: 'bfloat16' })); // prettier-ignore
  });
});

describe('tracer doctor and setup', () => {
  it('report what works, and never the token', async () => {
    const finished = await tracer(['doctor', '--json'], { env: { HF_TOKEN: 'hf_secretSECRETsecret' } });
    expect(finished.exitCode).toBe(0);
    expect(finished.stdout + finished.stderr).not.toContain('secretSECRET');
    const { data } = envelope(finished);
    expect(data).toMatchObject({ works: true, token: { present: true } });
    expect(data?.['backends']).toContainEqual(expect.objectContaining({ device: 'wasm', ok: true }));
  });

  it('warn and go on where TensorFlow cannot be linked, unless it was demanded', async () => {
    // A data folder that cannot be made, as on a machine without a place for it.
    const occupied = join(folder, 'a file');
    await writeFile(occupied, '');
    const env = { TRACER_DATA_DIR: join(occupied, 'data') };
    const data = await dataOf(['setup'], { env });
    expect(data).toMatchObject({ linked: false, code: text, message: text });
    expect((await failureOf(['setup', '--device', 'cpu'], { env })).exitCode).not.toBe(0);
  });
});

describe('an error', () => {
  it.each([
    [['run', 'x', '--model', 'embeded'], 3, "Did you mean 'embedded'?"],
    [['run', 'x', '--model', './no/such/folder', '--transcoders', SET], 3, ''],
    [['inspect', '--layer', '9'], 2, '0 to 3'],
    [['inspect', '--hooks', 'blocks.0.hook_mlp_uot'], 2, "Did you mean 'blocks.0.hook_mlp_out'?"],
    [['run', '--tokens', '2,99999', ...WASM], 2, ''],
    [['run', 'x', '--dtype', 'bfloat16', ...WASM], 2, 'float32'],
    [['load', '--model', 'owner/name', '--transcoders', SET, '--offline'], 69, ''],
  ])('of %j exits with the code of its kind and says what to do', async (args, exitCode, hint) => {
    const failure = await failureOf(args);
    expect(failure.exitCode).toBe(exitCode);
    expect(failure.hint).toContain(hint);
    expect(failure.message).not.toBe('');
  });

  it('about a model that was not typed says who asked for it', async () => {
    const { stderr, exitCode } = await tracer(['inspect'], {
      env: { TRACER_MODEL: './no/such/folder', TRACER_TRANSCODERS: SET },
    });
    expect(exitCode).toBe(3);
    expect(stderr).toContain('note: model is ./no/such/folder, from TRACER_MODEL');
  });

  it('in a settings file names the file', async () => {
    const file = join(folder, 'tracer.config.json');
    await writeFile(file, '{"devise":"cpu"}');
    const failure = await failureOf(['inspect'], { cwd: folder });
    await rm(file);
    expect(failure).toMatchObject({ exitCode: 4, hint: "Did you mean 'device'?" });
    expect(failure.message).toContain('tracer.config.json');
  });
});
