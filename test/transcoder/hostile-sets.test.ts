/** Sets of every layout in odd forms: damaged files, sets of other models, several layouts at once, pickles. Only typed errors. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { TracerError } from '../../src/errors.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { readActivation } from '../../src/transcoder/activations/read.ts';
import { openSet, type OpenSetOptions } from '../../src/transcoder/open.ts';
import { describeSet, mayBelongToSet } from '../../src/transcoder/recognise.ts';
import { editJson, editTensors, editText } from '../support/damage.ts';
import { folder, goldenPath, LAYOUT_FIXTURES, setFolder, type Fixture } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';

const scratch = scratchFolder();
afterAll(() => scratch[Symbol.dispose]());

interface Subject {
  readonly name: string;
  readonly model: Fixture;
  readonly set: string;
}

const GEMMA_3 = ['transcoders', 'transcoders-affine', 'clt', 'clt-affine'].map((set): Subject => ({
  name: `gemma3 ${set}`,
  model: 'families/gemma3',
  set: goldenPath('families/gemma3', 'transcoders', set),
}));
const SUBJECTS: readonly Subject[] = [
  ...LAYOUT_FIXTURES.map((name): Subject => ({
    name,
    model: 'tiny-a',
    set: goldenPath(name, 'transcoders', 'set'),
  })),
  ...GEMMA_3,
];

/** Opens a set and reads its thresholds, for as long as nothing is wrong. */
async function open(set: string, model: Fixture, options: OpenSetOptions = {}) {
  using checkpoint = await openCheckpoint(folder(goldenPath(model, 'model')));
  const files = setFolder(set);
  using opened = await openSet(files, await describeSet(files), checkpoint.config, options);
  for (const layer of opened.layers) await readActivation(layer);
  return { config: opened.config, layers: opened.layers.map(({ layer }) => layer) };
}

let copies = 0;
function copyOf({ set }: Pick<Subject, 'set'>): string {
  const target = join(scratch.path, String(copies++));
  cpSync(set, target, { recursive: true });
  return target;
}

function filesOf(set: string): string[] {
  return [...setFolder(set).paths];
}

/** Values that a field of a configuration may be given by mistake. */
const ODD = fc.constantFrom(
  null,
  true,
  'x',
  '',
  -1,
  0,
  1.5,
  1e9,
  [],
  {},
  'blocks.0.hook_mlp_in',
  'layers.0.mlp',
);

/** Text in which one value of an object is another one. */
function withValue(text: string, pick: number, odd: unknown): string {
  const value = JSON.parse(text) as Record<string, unknown>;
  const keys = Object.keys(value);
  const key = keys[pick % keys.length]!;
  return JSON.stringify(odd === null ? { ...value, [key]: undefined } : { ...value, [key]: odd });
}

describe.each(SUBJECTS)('$name', (subject) => {
  it('is opened as it is', async () => {
    expect((await open(subject.set, subject.model)).layers).toEqual([0, 1, 2, 3]);
  });

  it('damaged anywhere is opened or refused with a typed error', async () => {
    const names = filesOf(subject.set);
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.nat(255), ODD, fc.nat(3), async (file, at, byte, odd, kind) => {
        const set = copyOf(subject);
        const path = join(set, names[file % names.length]!);
        const bytes = readFileSync(path);
        if (kind === 0) writeFileSync(path, bytes.subarray(0, at % bytes.length));
        // Headers and configurations are where damage is met; the numbers behind them are checked when they are used.
        else if (kind === 1)
          writeFileSync(path, bytes.fill(byte, at % Math.min(bytes.length, 700), (at % Math.min(bytes.length, 700)) + 1)); // prettier-ignore
        else if (kind === 2) rmSync(path);
        else if (path.endsWith('.json')) writeFileSync(path, withValue(bytes.toString(), at, odd));
        else if (path.endsWith('.yaml'))
          writeFileSync(path, bytes.toString().replace(/: .*$/m, `: ${JSON.stringify(odd)}`)); // prettier-ignore
        else
          editTensors(path, (tensors) => {
            const keys = [...tensors.keys()];
            tensors.delete(keys[at % keys.length]!);
          });
        try {
          await open(set, subject.model, { allowMissingLayers: byte % 2 === 0 });
        } catch (error) {
          expect(error).toBeInstanceOf(TracerError);
        } finally {
          rmSync(set, { recursive: true });
        }
      }),
      { numRuns: 40 },
    );
  });

  it.each(['tiny-b', 'families/llama', 'families/qwen3', 'families/gpt2', 'families/gpt-neox'] as const)(
    'is refused for %s, by the name of what differs',
    async (other) => {
      await expect(open(subject.set, other)).rejects.toMatchObject({
        exitCode: 4,
        message: expect.stringMatching(/layers|d_model|d_in|hook/) as unknown,
      });
    },
  );
});

describe('a folder', () => {
  it.each([
    ['sparsify and SAELens', ['layouts/sparsify', 'layouts/saelens'], /two layouts.*sparsify.*SAELens/],
    [
      'config.yaml and sparsify',
      ['layouts/sparsify', 'layouts/crv'],
      /two layouts.*circuit-tracer.*sparsify/,
    ],
  ] as const)('with the files of %s is refused', async (_, sets, message) => {
    const set = copyOf({ set: goldenPath(sets[0], 'transcoders', 'set') });
    cpSync(goldenPath(sets[1], 'transcoders', 'set'), set, { recursive: true });
    await expect(open(set, 'tiny-a')).rejects.toMatchObject({ exitCode: 4, code: 'ambiguous_layout', message: expect.stringMatching(message) as unknown }); // prettier-ignore
  });

  it('with both forms of Gemma Scope 2 is refused', async () => {
    const bare = (...below: string[]) => goldenPath('families/gemma3', 'transcoders', ...below);
    const set = copyOf({ set: bare('transcoders', 'transcoder_all') });
    cpSync(bare('clt', 'clt/width_48_l0_medium'), set, { recursive: true });
    await expect(open(set, 'families/gemma3')).rejects.toMatchObject({
      exitCode: 4,
      code: 'ambiguous_layout',
    });
  });

  it('without a set says what was looked for', async () => {
    const set = join(scratch.path, 'nothing');
    mkdirSync(set);
    writeFileSync(join(set, 'model.safetensors'), '');
    await expect(open(set, 'tiny-a')).rejects.toMatchObject({
      exitCode: 3,
      code: 'no_set_config',
      message: expect.stringMatching(/config\.yaml.*layers\.<i>\.mlp.*sae_weights.*params/s) as unknown,
    });
  });

  it.each([
    ['beside config.yaml', 'layouts/crv', /layer_(\d)\.safetensors$/, 'layer_$1.pt'],
    ['in a layout of its own', 'layouts/sparsify', /sae\.safetensors$/, 'sae.bin'],
  ] as const)(
    'of pickles is refused with the command that converts them: %s',
    async (_, fixture, from, to) => {
      const set = copyOf({ set: goldenPath(fixture, 'transcoders', 'set') });
      for (const name of filesOf(set)) {
        if (!from.test(name)) continue;
        writeFileSync(join(set, name.replace(from, to)), '\x80\x02}q\x00.');
        rmSync(join(set, name));
      }
      await expect(open(set, 'tiny-a')).rejects.toMatchObject({
        exitCode: 4,
        message: expect.stringContaining('pickle') as unknown,
        hint: expect.stringMatching(/python -c .*weights_only=True.*save|save.*weights_only=True/) as unknown,
      });
    },
  );

  it.each([
    ['layouts/crv', 'layer_1.safetensors', 'layer_1.pt'],
    ['layouts/sparsify', 'layers.1.mlp/sae.safetensors', 'layers.1.mlp/sae.bin'],
    ['layouts/saelens', 'layer_1/sae_weights.safetensors', 'layer_1/sae_weights.PTH'],
  ] as const)(
    'with one pickle among other files is refused by its name, and not taken for a set that lacks a layer: %s',
    async (fixture, from, to) => {
      const set = copyOf({ set: goldenPath(fixture, 'transcoders', 'set') });
      renameSync(join(set, from), join(set, to));
      await expect(open(set, 'tiny-a', { allowMissingLayers: true })).rejects.toMatchObject({
        exitCode: 4,
        code: 'unknown_format',
        message: expect.stringContaining(`${set}/${to} is a Python pickle;`) as unknown,
      });
    },
  );

  it('with pickles that are no weights of its layers is read', async () => {
    const set = copyOf({ set: goldenPath('layouts/sparsify', 'transcoders', 'set') });
    for (const name of ['state.pt', 'optimizer_0.pt', 'layers.0.mlp/sae.pt'])
      writeFileSync(join(set, name), '\x80\x02}q\x00.');
    expect((await open(set, 'tiny-a')).layers).toEqual([0, 1, 2, 3]);
  });

  it('that lists a pickle is refused', async () => {
    const set = copyOf({ set: goldenPath('families/gemma3', 'transcoders', 'transcoders') });
    const config = join(set, 'config.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replaceAll('params.safetensors', 'params.pt'));
    await expect(open(set, 'families/gemma3')).rejects.toMatchObject({ exitCode: 4, code: 'unknown_format' });
  });
});

describe('A layer whose weights are there without the file that says what they are', () => {
  it.each([
    ['tiny-a', goldenPath('layouts/sparsify', 'transcoders', 'set'), 'layers.1.mlp/cfg.json'],
    ['tiny-a', goldenPath('layouts/saelens', 'transcoders', 'set'), 'layer_1/cfg.json'],
    [
      'families/gemma3',
      goldenPath('families/gemma3', 'transcoders', 'transcoders', 'transcoder_all'),
      'layer_1_width_72_l0_small/config.json',
    ],
  ] as const)('is no layer that the set lacks: %s, %s', async (model, original, config) => {
    const set = copyOf({ set: original });
    rmSync(join(set, config));
    await expect(open(set, model, { allowMissingLayers: true })).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringContaining(config) as unknown,
    });
  });
});

describe('Gemma Scope 2 without config.yaml', () => {
  it.each([
    { set: 'transcoders', below: 'transcoder_all', kind: 'transcoder_set' },
    { set: 'transcoders-affine', below: 'transcoder_all', kind: 'transcoder_set' },
    { set: 'clt', below: 'clt/width_48_l0_medium', kind: 'cross_layer_transcoder' },
  ])('is recognised by its files: $set', async ({ set, below, kind }) => {
    const bare = goldenPath('families/gemma3', 'transcoders', set, below);
    const { config, layers } = await open(bare, 'families/gemma3');
    expect(layers).toEqual([0, 1, 2, 3]);
    expect(config).toMatchObject({
      kind,
      feature_input_hook: 'mlp.hook_in',
      feature_output_hook: 'hook_mlp_out',
    });
  });

  it('with two widths of a layer says which, and how to choose', async () => {
    const set = copyOf({ set: goldenPath('families/gemma3', 'transcoders', 'transcoders', 'transcoder_all') });
    cpSync(goldenPath('families/gemma3', 'transcoders', 'transcoders-affine', 'transcoder_all'), set, { recursive: true });
    await expect(open(set, 'families/gemma3')).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/layer 0.*width_72_l0_small\/.*width_72_l0_small_affine\//s) as unknown,
      hint: expect.stringContaining('config.yaml') as unknown,
    });
  }); // prettier-ignore

  it('may be one folder of a layer, where the others may be missing', async () => {
    const set = copyOf({
      set: goldenPath('families/gemma3', 'transcoders', 'transcoders', 'transcoder_all'),
    });
    const one = join(set, 'layer_2_width_72_l0_small');
    expect((await open(one, 'families/gemma3', { allowMissingLayers: true })).layers).toEqual([2]);
    expect(mayBelongToSet('config.json')).toBe(true);
  });
});

describe('Gemma Scope 2 with config.yaml', () => {
  it.each(['w_enc', 'w_dec', 'threshold', 'b_enc', 'b_dec'])(
    'without the tensor %s names it',
    async (key) => {
      const set = copyOf({ set: goldenPath('families/gemma3', 'transcoders', 'transcoders') });
      editTensors(join(set, 'transcoder_all/layer_1_width_72_l0_small/params.safetensors'), (tensors) => tensors.delete(key)); // prettier-ignore
      await expect(open(set, 'families/gemma3')).rejects.toMatchObject({
        exitCode: 4,
        message: expect.stringContaining(`layer_1_width_72_l0_small/params.safetensors has no tensor ${key}`) as unknown, // prettier-ignore
      });
    },
  );
});

describe('A folder of one sparsify layer', () => {
  it('does not say which layer it is: the folder above does', async () => {
    const set = goldenPath('layouts/sparsify', 'transcoders', 'set', 'layers.1.mlp');
    await expect(open(set, 'tiny-a', { allowMissingLayers: true })).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringContaining('expected layers.<i>.mlp') as unknown,
      hint: 'Name the folder that it lies in.',
    });
  });
});

describe('A configuration', () => {
  it.each(['constructor', '__proto__', 'toString'])(
    'whose scan is %s has no k that is known',
    async (scan) => {
      const set = copyOf({ set: goldenPath('layouts/crv', 'transcoders', 'set') });
      editText(join(set, 'config.yaml'), (text) => text.replace(/^scan: .*$/m, `scan: ${scan}`));
      await expect(open(set, 'tiny-a')).rejects.toMatchObject({
        exitCode: 4,
        message: expect.stringContaining('k is null') as unknown,
      });
    },
  );

  it('of SAELens that says another number of features than its tensors have is refused', async () => {
    const set = copyOf({ set: goldenPath('layouts/saelens', 'transcoders', 'set') });
    editJson(join(set, 'layer_1', 'cfg.json'), (config) => (config['d_sae'] = 95));
    await expect(open(set, 'tiny-a')).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(
        /layer_1.*W_enc is \[32, 80\], expected \[32, 95\] \(.*d_sae/,
      ) as unknown,
    });
  });
});
