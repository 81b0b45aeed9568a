/** GGUF files through the command line: golden logits on every device, and the ways to name a file. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { gguf, GGUF_FAMILIES, type GgufFamily } from '../support/gguf.ts';
import { changedGguf } from '../support/gguf-writer.ts';
import { goldenPath, prompts, tolerances } from '../support/golden.ts';
import { HubServer } from '../support/hub-server.ts';
import { readTensors } from '../support/tensors.ts';
import { tracer } from './shared.ts';

const NAMES = Object.keys(GGUF_FAMILIES) as GgufFamily[];
const folder = mkdtempSync(path.join(tmpdir(), 'tracer-gguf-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const setOf = (name: GgufFamily) => goldenPath(GGUF_FAMILIES[name][0], 'transcoders', GGUF_FAMILIES[name][1]);

interface Loaded {
  readonly sources: {
    readonly model: { readonly kind: string; readonly folder?: string; readonly file?: string };
  };
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly memory: { readonly needed_bytes: number };
}

async function ask<T>(args: readonly string[], options = {}): Promise<T> {
  const { exitCode, stdout, stderr } = await tracer([...args, '--json', '--quiet'], options);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${stdout}${stderr}`);
  return (JSON.parse(stdout) as { data: T }).data;
}

async function refusal(model: string): Promise<{ code: string; message: string; hint: string }> {
  const { exitCode, stdout } = await tracer([
    'load',
    '--model',
    model,
    '--transcoders',
    setOf('qwen2'),
    '--json',
    '--quiet',
  ]);
  expect(exitCode).not.toBe(0);
  return (JSON.parse(stdout) as { error: { code: string; message: string; hint: string } }).error;
}

describe.each(TEST_DEVICES)('on %s', (device) => {
  it.each(NAMES)('%s: a text gives the golden logits', async (name) => {
    const [fixture] = GGUF_FAMILIES[name];
    const { text, token_ids } = prompts(fixture).p2;
    const saved = path.join(folder, `${name}-${device}.safetensors`);
    const run = await ask<{ tokens: { id: number }[] }>([
      'run',
      text,
      '--model',
      gguf(name),
      '--transcoders',
      setOf(name),
      '--device',
      device,
      '--save-activations',
      saved,
    ]);
    expect(run.tokens.map(({ id }) => id)).toEqual(token_ids);
    const [found, expected] = [
      (await readTensors(saved)).get('logits')!,
      (await readTensors(goldenPath(fixture, 'expected', 'activations.safetensors'))).get('p2/logits')!,
    ];
    const tolerance = tolerances(fixture).logits_and_hooks;
    const worst = found.values.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - expected.values[i]!)),
      0,
    );
    expect(found.values).toHaveLength(expected.values.length);
    expect(worst).toBeLessThan(tolerance);
  });
});

describe('a model in one file', () => {
  it('is attributed and verified, and its graph names the file', async () => {
    const output = path.join(folder, 'graph.safetensors');
    const { text } = prompts('families/llama').p2;
    const traced = await ask<{ verification: { ok: boolean } }>([
      'attribute',
      text,
      '--model',
      gguf('llama'),
      '--transcoders',
      setOf('llama'),
      '--output',
      output,
      '--verify',
      '3',
      '--device',
      'wasm',
    ]);
    expect(traced.verification.ok).toBe(true);
    using graph = await openSafetensors(output);
    const provenance = JSON.parse(graph.metadata['provenance']!) as { model: object };
    expect(provenance.model).toMatchObject({ name: gguf('llama'), weight_files: ['llama.gguf'] });
    expect(provenance.model).toHaveProperty('config_sha256', expect.stringMatching(/^[0-9a-f]{64}$/));
  });

  it('is described by its file, its types and its stored bytes', async () => {
    const loaded = await ask<Loaded>(['load', '--model', gguf('qwen2'), '--transcoders', setOf('qwen2')]);
    expect(loaded.sources.model).toMatchObject({
      kind: 'file',
      folder: path.dirname(gguf('qwen2')),
      file: 'qwen2.gguf',
    });
    const { size } = statSync(gguf('qwen2'));
    expect(loaded.files[0]).toMatchObject({ path: 'qwen2.gguf', bytes: size });
    const configured = await ask<{ storage: string; weight_files: { model: string[] } }>([
      'configure',
      '--model',
      gguf('qwen2'),
      '--transcoders',
      setOf('qwen2'),
      '--device',
      'wasm',
    ]);
    expect(configured.weight_files.model).toEqual(['qwen2.gguf']);
    expect(configured.storage).toContain('float32');
  });

  it('is found in a folder that has no config.json, whatever the name of a named file', async () => {
    const alone = path.join(folder, 'alone');
    mkdirSync(alone);
    copyFileSync(gguf('qwen2'), path.join(alone, 'model.Q8_0.gguf'));
    copyFileSync(gguf('packed'), path.join(alone, 'mmproj-model.gguf'));
    const set = ['--transcoders', setOf('qwen2')];
    expect((await ask<Loaded>(['load', '--model', alone, ...set])).files[0]!.path).toBe('model.Q8_0.gguf');
    const blob = path.join(folder, 'sha256-0123');
    copyFileSync(gguf('qwen2'), blob);
    expect((await ask<Loaded>(['load', '--model', blob, ...set])).files[0]!.path).toBe('sha256-0123');
    copyFileSync(gguf('qwen3'), path.join(alone, 'other.gguf'));
    const { message, hint } = await refusal(alone);
    expect(message).toContain('2 GGUF files (model.Q8_0.gguf, other.gguf) and no config.json');
    expect(hint).toContain(path.join(alone, 'model.Q8_0.gguf'));
  });

  it('may be split, and is refused where a part is missing', async () => {
    const parts = path.join(folder, 'parts');
    mkdirSync(parts);
    const write = async (index: number, only: (tensor: string) => boolean) => {
      const values = { 'split.no': index, 'split.count': 2 };
      const file = path.join(parts, `m-0000${index + 1}-of-00002.gguf`);
      writeFileSync(file, await changedGguf(gguf('qwen2'), { values, only }));
      return file;
    };
    const first = await write(0, (tensor) => tensor.startsWith('blk'));
    expect(await refusal(first)).toMatchObject({ code: 'missing_shard' });
    const second = await write(1, (tensor) => !tensor.startsWith('blk'));
    for (const name of [first, second, parts]) {
      const { files } = await ask<Loaded>(['load', '--model', name, '--transcoders', setOf('qwen2')]);
      const names = files.map((file) => file.path).filter((each) => each.endsWith('.gguf'));
      expect(names).toEqual([path.basename(first), path.basename(second)]);
    }
  });

  it('that is something else is refused by name', async () => {
    const [other, named] = [path.join(folder, 'other.bin'), path.join(folder, 'other.gguf')];
    for (const file of [other, named]) writeFileSync(file, 'not a model');
    expect((await refusal(other)).message).toBe(`${other} is a file, not a folder`);
    expect((await refusal(named)).message).toBe(`${named} does not begin with "GGUF"`);
    expect((await refusal(gguf('packed'))).message).toMatch(/general\.architecture is "packed"/);
  });
});

describe('a GGUF file on the Hub', () => {
  it('is fetched alone, from its address or its path in the repository', async () => {
    await using server = await HubServer.start();
    const bytes = readFileSync(gguf('qwen2'));
    const files = {
      'Q8/m.gguf': bytes,
      'Q8/other.gguf': bytes,
      'config.json': Buffer.from('{}'),
      'm.gguf': bytes,
    };
    server.commit('acme/model-GGUF', files);
    const env = {
      HF_HUB_OFFLINE: '',
      HF_ENDPOINT: server.endpoint,
      HF_HUB_CACHE: path.join(folder, 'cache'),
      HF_HOME: path.join(folder, 'home'),
    };
    const set = ['--transcoders', setOf('qwen2')];
    const wanted = (model: string, ...more: string[]) =>
      ask<Loaded>(['load', '--model', model, ...set, ...more], { env });
    const dry = await wanted('acme/model-GGUF/Q8/m.gguf', '--dry-run');
    expect(dry.files[0]).toMatchObject({ path: 'm.gguf', bytes: bytes.byteLength, status: 'missing' });
    const loaded = await wanted('acme/model-GGUF/Q8/m.gguf');
    expect(loaded.files[0]).toMatchObject({ path: 'm.gguf', status: 'downloaded' });
    expect(loaded.sources.model).toMatchObject({
      kind: 'hub',
      repository: 'acme/model-GGUF',
      subfolder: 'Q8',
    });
    const again = await wanted('hf://acme/model-GGUF/Q8/m.gguf');
    expect(again.files[0]).toMatchObject({ path: 'm.gguf', status: 'cached' });
    expect((await wanted('acme/model-GGUF//m.gguf')).files[0]).toMatchObject({ path: 'm.gguf' });
  });
});
