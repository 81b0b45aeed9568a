/** `--transcoders none`: a model alone, in the commands that need no features, and refused by the others. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { goldenPath, prompts } from '../support/golden.ts';
import { expectRefusal } from './refusal.ts';
import { tracer } from './shared.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-no-set-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MODEL = goldenPath('families/gpt2', 'model');
const SET = goldenPath('families/gpt2', 'transcoders', 'plt-jumprelu');
const TOKENS = prompts('families/gpt2').p1.token_ids.join();
const WASM = ['--device', 'wasm'];

async function data<T = Record<string, unknown>>(set: string, ...args: string[]): Promise<T> {
  const finished = await tracer([...args, '--model', MODEL, '--transcoders', set, '--json', '--quiet']);
  if (finished.exitCode !== 0) throw new Error(finished.stdout);
  return (JSON.parse(finished.stdout) as { data: T }).data;
}

describe('a model without a set', () => {
  it('is loaded, with the files of the model alone', async () => {
    const loaded = await data<{ files: { path: string }[] }>('none', 'load');
    expect(loaded).toMatchObject({ transcoders: 'none', transcoder_keys: [], layers: [], fits: true });
    expect(loaded.files.map(({ path: file }) => file)).not.toContain('config.yaml');
    expect(await data('none', 'load', '--dry-run')).toMatchObject({ dry_run: true, layers: [] });
  });

  it('is shown as it is with a set, less the set', async () => {
    const [alone, both] = [await data('none', 'inspect'), await data(SET, 'inspect')];
    expect(alone['model_details']).toEqual(both['model_details']);
    expect(alone['transcoder_details']).toBeNull();
    expect(await data('none', 'inspect', '--layer', '1')).toMatchObject({ layer: 1, transcoder: null });
    const weights = await data<{ weights: { name: string }[] }>('none', 'inspect', '--weights');
    const names = weights.weights.map(({ name }) => name);
    expect(names).toContain('blocks.2.mlp.W_out');
    expect(names.filter((name) => name.startsWith('transcoders.'))).toEqual([]);
  });

  it('gives the logits and continuations that it gives with a set', async () => {
    const run = ['run', '--tokens', TOKENS, ...WASM];
    const [alone, both] = [await data('none', ...run), await data(SET, ...run)];
    expect(alone['top']).toEqual(both['top']);
    expect(alone['transcoders']).toBe('none');
    const generate = ['generate', '--tokens', TOKENS, '--max-new-tokens', '4', ...WASM];
    const file = path.join(folder, 'continued.safetensors');
    const continued = await data('none', ...generate, '--output', file);
    expect(continued['tokens']).toEqual((await data(SET, ...generate))['tokens']);
    using opened = await openSafetensors(file);
    expect(opened.tensors.get('activation_values')!.shape).toEqual([0]);
    expect(opened.tensors.get('logits')!.shape[0]).toBe(4);
  });

  it('is configured and remembered', async () => {
    const saved = path.join(folder, 'tracer.config.json');
    const args = [
      'configure',
      '--model',
      MODEL,
      '--transcoders',
      'none',
      '--save',
      '--json',
      '--quiet',
      ...WASM,
    ];
    const finished = await tracer(args, { cwd: folder });
    const { data: configured } = JSON.parse(finished.stdout) as { data: Record<string, unknown> };
    expect(configured).toMatchObject({ n_transcoders: 0, feature_input_hook: null, scan: null, all_mlps_replaced: false }); // prettier-ignore
    expect(JSON.parse(readFileSync(saved, 'utf8'))).toMatchObject({ transcoders: 'none' });
    const again = await tracer(['run', '--tokens', TOKENS, '--json', '--quiet', ...WASM], { cwd: folder });
    expect(JSON.parse(again.stdout)).toMatchObject({ data: { transcoders: 'none' } });
  });

  it('of no name is the embedded one', async () => {
    const finished = await tracer(['run', 'Hello', '--transcoders', 'none', '--json', '--quiet', ...WASM]);
    expect(JSON.parse(finished.stdout)).toMatchObject({ data: { model: 'embedded', transcoders: 'none' } });
  });

  it.each([
    ['run', ['run', 'x', '--features', '3']],
    ['attribute', ['attribute', 'x y', '--output', path.join(folder, 'graph.safetensors')]],
    ['intervene', ['intervene', 'x y', '--set', '0:1:3=2']],
    ['generate', ['generate', 'x y', '--set', '0:1:3=2']],
    [
      'features build',
      ['features', 'build', '--corpus', goldenPath('families/gpt2', 'model', 'config.json')],
    ],
    ['inspect', ['inspect', '--layer', '0', '--feature', '3']],
  ])('is refused where features are needed: %s', async (command, args) => {
    const finished = await tracer([...args, '--model', MODEL, '--transcoders', 'none', '--json']);
    expectRefusal(finished, command, { exitCode: 2, code: 'no_transcoders', says: ['--transcoders none'], next: 'Name a set' }); // prettier-ignore
  });
});
