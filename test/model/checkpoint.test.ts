/** Good checkpoints with parts that nobody needs, in all the places where weights may lie; and what is still refused. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { EXIT } from '../../src/errors.ts';
import { openCheckpoint, weightFiles } from '../../src/model/checkpoint.ts';
import { weightInfo } from '../../src/model/weight-info.ts';
import { refusalOf } from '../formats/support.ts';
import { PAGES, POINTER } from '../formats/saved-instead.ts';
import {
  copyFixture,
  editJson,
  editTensors,
  type FixtureCopy,
  type StoredTensor,
  type StoredTensors,
} from '../support/damage.ts';
import { folder, goldenPath } from '../support/golden.ts';
import { INDEX, shard, SHARDS, type Sharding } from '../support/sharding.ts';

const W_E = 'model.embed_tokens.weight';
const W_Q = 'model.layers.1.self_attn.q_proj.weight';

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

interface Read {
  /** Hashes of the stored bytes, by parameter. */
  readonly weights: Map<string, string>;
  readonly files: string[];
}

async function read(root: string): Promise<Read> {
  using checkpoint = await openCheckpoint(folder(root));
  const weights = new Map<string, string>();
  for (const { parameter, key } of checkpoint.weights)
    weights.set(parameter, digest(await checkpoint.file.read(key)));
  return { weights, files: weightFiles(checkpoint) };
}

/** The parameters of a changed copy have to be those of the golden checkpoint. */
async function expectGolden(root: string): Promise<string[]> {
  const [{ weights, files }, golden] = [await read(root), await read(goldenPath('tiny-a', 'model'))];
  expect(weights).toEqual(golden.weights);
  return files;
}

const modelFile = (copy: FixtureCopy): string => join(copy.model, 'model.safetensors');
const index = (copy: FixtureCopy): string => join(copy.model, INDEX);

/** The same tensors with all numbers changed. */
function scaled(tensors: StoredTensors): StoredTensors {
  const changed = ({ dtype, shape, bytes }: StoredTensor): StoredTensor => {
    const values = new Float32Array(Uint8Array.from(bytes).buffer).map((value) => value * 1.5);
    return { dtype, shape, bytes: new Uint8Array(values.buffer) };
  };
  return new Map([...tensors].map(([key, tensor]) => [key, changed(tensor)]));
}

function renamed(tensors: StoredTensors, rename: (key: string) => string): StoredTensors {
  return new Map([...tensors].map(([key, tensor]) => [rename(key), tensor]));
}

describe('Beside a whole model.safetensors', () => {
  const stale = (copy: FixtureCopy, sharding: Sharding = {}): unknown =>
    shard(copy.model, { tensors: scaled, keepWhole: true, ...sharding });
  const cases: [string, (copy: FixtureCopy) => unknown][] = [
    ['an index with shards of other weights', (copy) => stale(copy)],
    [
      'an index whose shards are gone',
      (copy) => {
        stale(copy);
        for (const name of SHARDS) rmSync(join(copy.model, name));
      },
    ],
    ['an index that is no JSON', (copy) => writeFileSync(index(copy), '{')],
    ['an index that is a page', (copy) => writeFileSync(index(copy), PAGES[0]![1])],
    ['an index that leads out of the folder', (copy) => stale(copy, { index: (map) => (map[W_E] = '../x') })],
    ['an index that is a folder', (copy) => mkdirSync(index(copy))],
    ['shards without an index', (copy) => (stale(copy), rmSync(index(copy)))],
  ];
  it.each(cases)('%s decides nothing', async (_, leave) => {
    using copy = copyFixture('tiny-a');
    leave(copy);
    expect(await expectGolden(copy.model)).toEqual(['model.safetensors']);
  });
});

describe('A sharded checkpoint is read wherever its tensors are', () => {
  const head = 'lm_head.weight';
  const inv_freq = 'model.layers.0.self_attn.rotary_emb.inv_freq';
  const cases: [string, Sharding][] = [
    ['as its index says', {}],
    ['with a tied output matrix that no shard has', { index: (map) => (map[head] = SHARDS[1]) }],
    ['with rotary tables that no shard has', { index: (map) => (map[inv_freq] = SHARDS[0]) }],
    [
      'with a tied output matrix in a shard that is not there',
      { index: (map) => (map[head] = 'model-00003-of-00003.safetensors') },
    ],
    [
      'with a tensor in another shard than the index says',
      { index: (map) => (map[W_E] = otherShard(map[W_E]!)) },
    ],
    [
      'with all tensors in other shards than the index says',
      { index: (map) => Object.keys(map).forEach((key) => (map[key] = otherShard(map[key]!))) },
    ],
    ['with a tied output matrix outside its folder', { index: (map) => (map[head] = '../x.safetensors') }],
    ['with rotary tables at an absolute path', { index: (map) => (map[inv_freq] = '/x.safetensors') }],
    ['with a tensor that the index does not list', { index: (map) => delete map[W_Q] }],
    ['in a folder below', { paths: [`shards/${SHARDS[0]}`, `shards/${SHARDS[1]}`] }],
    ['in two folders', { paths: [`a/${SHARDS[0]}`, `b/c/${SHARDS[1]}`] }],
    ['under other names', { paths: ['pytorch_model-1.safetensors', 'rest.safetensors'] }],
    [
      'with other spellings of the paths',
      { index: (map) => Object.keys(map).forEach((key) => (map[key] = `./x/..//${map[key]}`)) },
    ],
  ];
  it.each(cases)('%s', async (_, sharding) => {
    using copy = copyFixture('tiny-a');
    shard(copy.model, sharding);
    const paths = sharding.paths ?? SHARDS;
    expect(await expectGolden(copy.model)).toEqual([...paths].sort());
  });

  it('with a shard that is damaged, or a pointer, where nobody needs it', async () => {
    for (const content of ['half a file', POINTER]) {
      using copy = copyFixture('tiny-a');
      shard(copy.model, { index: (map) => (map[head] = 'head.safetensors') });
      writeFileSync(join(copy.model, 'head.safetensors'), content);
      expect(await expectGolden(copy.model)).toEqual([...SHARDS]);
    }
  });

  it('from the shard that the index names, where two have a tensor', async () => {
    for (const named of SHARDS) {
      using copy = copyFixture('tiny-a');
      shard(copy.model, { index: (map) => (map[W_E] = named) });
      const wrong = SHARDS.find((name) => name !== named)!;
      let embedding: StoredTensor | undefined;
      for (const name of SHARDS)
        editTensors(join(copy.model, name), (tensors) => (embedding ??= tensors.get(W_E)));
      const other = { ...embedding!, bytes: embedding!.bytes.map((byte) => byte ^ 1) };
      editTensors(join(copy.model, named), (tensors) => tensors.set(W_E, embedding!));
      editTensors(join(copy.model, wrong), (tensors) => tensors.set(W_E, other));
      await expectGolden(copy.model);
    }
  });

  function otherShard(path: string): string {
    return SHARDS.find((name) => name !== path)!;
  }
});

describe('A sharded checkpoint is refused', () => {
  const place = (copy: FixtureCopy, key: string, path: string | undefined): void =>
    editJson(index(copy), (value) => ((value['weight_map'] as Record<string, unknown>)[key] = path));
  const without = (copy: FixtureCopy, key: string): void =>
    SHARDS.forEach((name) => editTensors(join(copy.model, name), (tensors) => tensors.delete(key)));

  it.each([
    ['without a shard that has what is needed', (copy: FixtureCopy) => rmSync(join(copy.model, SHARDS[1])), EXIT.notFound, 'missing_shard', SHARDS[1]], // prettier-ignore
    ['with a page instead of a shard', (copy: FixtureCopy) => writeFileSync(join(copy.model, SHARDS[1]), PAGES[0]![1]), EXIT.badFile, 'unknown_format', 'an HTML page'], // prettier-ignore
    ['without a tensor that is needed and listed', (copy: FixtureCopy) => without(copy, W_Q), EXIT.badFile, 'missing_tensor', W_Q], // prettier-ignore
    ['without a tensor that is needed and not listed', (copy: FixtureCopy) => (place(copy, W_Q, undefined), without(copy, W_Q)), EXIT.badFile, 'missing_tensor', W_Q], // prettier-ignore
    ['with what is needed in a shard outside its folder', (copy: FixtureCopy) => place(copy, W_Q, 'a/../../x'), EXIT.badFile, 'shard_name', 'a/../../x'], // prettier-ignore
    ['with an absolute path', (copy: FixtureCopy) => place(copy, W_E, join(copy.model, SHARDS[0])), EXIT.badFile, 'shard_name', SHARDS[0]], // prettier-ignore
  ] as const)('%s', async (_, damage, exitCode, code, says) => {
    using copy = copyFixture('tiny-a');
    shard(copy.model);
    damage(copy);
    const error = await refusalOf(openCheckpoint(folder(copy.model)));
    expect(error).toMatchObject({ exitCode, code });
    expect(error.message).toContain(says);
  });

  it('with the shard that its index names for a tensor that none has', async () => {
    using copy = copyFixture('tiny-a');
    shard(copy.model, { index: (map) => (map[W_Q] = SHARDS[1]) });
    without(copy, W_Q);
    const error = await refusalOf(openCheckpoint(folder(copy.model)));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'missing_tensor' });
    expect(error.message).toContain(`${W_Q} is in ${join(copy.model, SHARDS[1])}`);
    expect(error.message).toContain('different versions');
    expect(error.hint).toContain('again');
    expect(error.hint).not.toContain('config.json');
  });
});

describe('Keys may have another prefix than the usual one', () => {
  const prefixes = ['', 'language_model.model.', 'model.language_model.', 'base_model.model.model.', '_orig_mod.model.', 'base_model.']; // prettier-ignore
  const withPrefix = (prefix: string) => (tensors: StoredTensors) =>
    renamed(tensors, (key) => key.replace(/^model\./, prefix));

  it.each(prefixes)("'%s' in one file and in shards", async (prefix) => {
    using copy = copyFixture('tiny-a');
    editTensors(modelFile(copy), (tensors) => {
      const changed = [...withPrefix(prefix)(tensors)];
      tensors.clear();
      for (const [key, tensor] of changed) tensors.set(key, tensor);
    });
    await expectGolden(copy.model);
    shard(copy.model);
    await expectGolden(copy.model);
  });

  it.each([
    ['', 'lm_head.weight'],
    ['language_model.model.', 'language_model.lm_head.weight'],
    ['model.language_model.', 'lm_head.weight'],
    ['base_model.model.model.', 'base_model.model.lm_head.weight'],
    ['base_model.', 'lm_head.weight'],
  ])("'%s' with an output matrix of its own at '%s'", async (prefix, head) => {
    using copy = copyFixture('tiny-a');
    editJson(join(copy.model, 'config.json'), (value) => (value['tie_word_embeddings'] = false));
    let output = '';
    editTensors(modelFile(copy), (tensors) => {
      const embedding = tensors.get(W_E)!;
      output = digest(embedding.bytes.map((byte) => byte ^ 1));
      const changed = [...withPrefix(prefix)(tensors), [head, { ...embedding, bytes: embedding.bytes.map((byte) => byte ^ 1) }] as const]; // prettier-ignore
      tensors.clear();
      for (const [key, tensor] of changed) tensors.set(key, tensor);
    });
    const { weights } = await read(copy.model);
    const golden = await read(goldenPath('tiny-a', 'model'));
    expect(weights.get('unembed.W_U')).toEqual(output);
    expect(weights.get('blocks.3.mlp.W_out')).toEqual(golden.weights.get('blocks.3.mlp.W_out'));
  });

  it('the usual one comes first', async () => {
    using copy = copyFixture('tiny-a');
    editTensors(modelFile(copy), (tensors) => {
      for (const [key, tensor] of withPrefix('ema.')(scaled(tensors))) tensors.set(key, tensor);
    });
    await expectGolden(copy.model);
  });

  it('a whole model comes before a part of one', async () => {
    using copy = copyFixture('tiny-a');
    editTensors(modelFile(copy), (tensors) => {
      const all = [...tensors];
      tensors.clear();
      tensors.set('vision.embed_tokens.weight', all.find(([key]) => key === W_E)![1]);
      for (const [key, tensor] of all) tensors.set(key.replace(/^model\./, 'text.'), tensor);
    });
    await expectGolden(copy.model);
  });

  it('several whole models are refused, and a part that is missing is named with its prefix', async () => {
    using copy = copyFixture('tiny-a');
    editTensors(modelFile(copy), (tensors) => {
      const all = [...tensors];
      tensors.clear();
      for (const prefix of ['student.', 'teacher.'])
        for (const [key, tensor] of all) tensors.set(key.replace(/^model\./, prefix), tensor);
    });
    const several = await refusalOf(openCheckpoint(folder(copy.model)));
    expect(several).toMatchObject({ exitCode: EXIT.badFile, code: 'several_models' });
    expect(several.message).toContain("'student.' and 'teacher.'");
    editTensors(modelFile(copy), (tensors) => {
      for (const key of [...tensors.keys()]) if (key.startsWith('student.')) tensors.delete(key);
      tensors.delete('teacher.layers.2.mlp.up_proj.weight');
    });
    const missing = await refusalOf(openCheckpoint(folder(copy.model)));
    expect(missing).toMatchObject({ code: 'missing_tensor' });
    expect(missing.message).toContain('teacher.layers.2.mlp.up_proj.weight [72, 32]');
  });
});

describe('Tensors of types that are not read', () => {
  it.each(['F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'C64', 'F4', 'U16', 'BOOL', 'F31'])(
    'do not matter where nobody needs them (%s)',
    async (dtype) => {
      using copy = copyFixture('tiny-a');
      const bytes = { C64: 64, F4: 4, U16: 16 }[dtype] ?? 8;
      editTensors(modelFile(copy), (tensors) => {
        tensors.set('scaled_fp8', { dtype, shape: [0, 3], bytes: new Uint8Array(0) });
        tensors.set('freqs', { dtype, shape: [8], bytes: new Uint8Array(bytes) });
      });
      await expectGolden(copy.model);
    },
  );
});

describe('A quantised checkpoint is called that, and one that is not is asked for', () => {
  const matrix = (key: string): boolean => key.endsWith('_proj.weight');
  const bytesFor = (dtype: string, n: number): Uint8Array =>
    new Uint8Array(n * (/32/.test(dtype) ? 4 : /16/.test(dtype) ? 2 : 1));
  const stored = (dtype: string, ...shape: number[]): StoredTensor => ({
    dtype,
    shape,
    bytes: bytesFor(
      dtype,
      shape.reduce((a, b) => a * b, 1),
    ),
  });
  /** Replaces each matrix by the tensors that a method stores for it. */
  const packed =
    (parts: (module: string, rows: number, columns: number) => Record<string, StoredTensor>) =>
    (tensors: StoredTensors): void => {
      for (const [key, { shape }] of [...tensors].filter(([name]) => matrix(name))) {
        tensors.delete(key);
        const [rows, columns] = shape as [number, number];
        for (const [name, tensor] of Object.entries(parts(key.slice(0, -'.weight'.length), rows, columns)))
          tensors.set(name, tensor);
      }
    };
  const methods: [string, object, (tensors: StoredTensors) => void][] = [
    ['bitsandbytes, 4 bits', { quant_method: 'bitsandbytes', load_in_4bit: true }, packed((m, r, c) => ({ [`${m}.weight`]: stored('U8', (r * c) / 2, 1), [`${m}.weight.absmax`]: stored('F32', 9), [`${m}.weight.quant_state.bitsandbytes__nf4`]: stored('U8', 7) }))], // prettier-ignore
    ['bitsandbytes, 8 bits', { load_in_8bit: true }, packed((m, r, c) => ({ [`${m}.weight`]: stored('I8', r, c), [`${m}.SCB`]: stored('F32', r) }))], // prettier-ignore
    ['fp8', { quant_method: 'fp8' }, packed((m, r, c) => ({ [`${m}.weight`]: stored('F8_E4M3', r, c), [`${m}.weight_scale_inv`]: stored('F32', 1, 1) }))], // prettier-ignore
    ['fbgemm', { quant_method: 'fbgemm_fp8' }, packed((m, r, c) => ({ [`${m}.weight`]: stored('F8_E5M2', r, c), [`${m}.weight_scale`]: stored('F32', r, 1) }))], // prettier-ignore
    ['gptq', { quant_method: 'gptq', bits: 4 }, packed((m, r, c) => ({ [`${m}.qweight`]: stored('I32', c / 8, r), [`${m}.qzeros`]: stored('I32', 1, r / 8), [`${m}.scales`]: stored('F16', 1, r), [`${m}.g_idx`]: stored('I32', c) }))], // prettier-ignore
    ['awq', { quant_method: 'awq', bits: 4 }, packed((m, r, c) => ({ [`${m}.qweight`]: stored('I32', c, r / 8), [`${m}.qzeros`]: stored('I32', 1, r / 8), [`${m}.scales`]: stored('F16', 1, r) }))], // prettier-ignore
    ['compressed-tensors', { quant_method: 'compressed-tensors', format: 'pack-quantized' }, packed((m, r, c) => ({ [`${m}.weight_packed`]: stored('I32', r, c / 8), [`${m}.weight_scale`]: stored('BF16', r, 1), [`${m}.weight_shape`]: stored('I64', 0) }))], // prettier-ignore
    ['mlx', { group_size: 64, bits: 4 }, packed((m, r, c) => ({ [`${m}.weight`]: stored('U32', r, c / 8), [`${m}.scales`]: stored('F16', r, 1), [`${m}.biases`]: stored('F16', r, 1) }))], // prettier-ignore
    ['quanto', { quant_method: 'quanto' }, packed((m, r, c) => ({ [`${m}.weight._data`]: stored('I8', r, c), [`${m}.weight._scale`]: stored('F32', r, 1) }))], // prettier-ignore
    ['mxfp4', { quant_method: 'mxfp4' }, packed((m, r, c) => ({ [`${m}.weight_blocks`]: stored('U8', r, c / 2), [`${m}.weight_scales`]: stored('U8', r, 1) }))], // prettier-ignore
    ['a type of 4 bits', { quant_method: 'fp4' }, packed((m, r, c) => ({ [`${m}.weight`]: { ...stored('F4', r, c), bytes: new Uint8Array((r * c) / 2) } }))], // prettier-ignore
  ];
  it.each(methods)('%s, by its tensors and by config.json', async (_, settings, change) => {
    using copy = copyFixture('tiny-a');
    editTensors(modelFile(copy), change);
    const byTensors = await refusalOf(openCheckpoint(folder(copy.model)));
    expect(byTensors).toMatchObject({ exitCode: EXIT.badFile });
    expect(byTensors.message).toMatch(/model\.safetensors.*_proj\..*quantised/);
    expect(byTensors.hint).toContain('Name a checkpoint that is not quantised');
    for (const key of ['quantization_config', 'quantization', 'compression_config']) {
      editJson(join(copy.model, 'config.json'), (value) => (value[key] = settings));
      const byConfig = await refusalOf(openCheckpoint(folder(copy.model)));
      expect(byConfig).toMatchObject({ exitCode: EXIT.badFile, code: 'quantised' });
      expect(byConfig.message).toContain(`config.json says that the checkpoint is quantised: ${key} is`);
      expect(byConfig.hint).toContain('Name a checkpoint that is not quantised');
      editJson(join(copy.model, 'config.json'), (value) => delete value[key]);
    }
  });

  it.each([
    ['F64', 'Convert it to one of these types.'],
    ['C64', 'Convert it to one of these types.'],
    ['F4_E2M1', /^Convert it .*checkpoint that is not quantised/],
  ])('which %s does not make it: its hint is to convert', (dtype, hint) => {
    const info = { name: W_Q, dtype, shape: [1], byteLength: 8 };
    const refusal = (owner: 'checkpoint' | 'transcoder set'): unknown => {
      try {
        return weightInfo('x.safetensors', info, owner);
      } catch (error) {
        return error;
      }
    };
    const matches = typeof hint === 'string' ? hint : expect.stringMatching(hint);
    expect(refusal('checkpoint')).toMatchObject({ code: 'tensor_dtype', hint: matches });
    expect(refusal('transcoder set')).toHaveProperty('hint', expect.not.stringContaining('checkpoint'));
  });

  it('which an empty or absent field does not make it', async () => {
    for (const value of [null, {}]) {
      using copy = copyFixture('tiny-a');
      editJson(join(copy.model, 'config.json'), (config) => (config['quantization_config'] = value));
      await expectGolden(copy.model);
    }
  });

  it('while scales beside whole weights are parts that nobody needs', async () => {
    using copy = copyFixture('tiny-a');
    editTensors(modelFile(copy), (tensors) => tensors.set('model.layers.0.self_attn.k_proj.k_scale', stored('F8_E8M0', 1))); // prettier-ignore
    await expectGolden(copy.model);
  });

  it('nor do biases that are missing', async () => {
    using copy = copyFixture('families/llama', 'plt-relu-skip');
    editJson(join(copy.model, 'config.json'), (config) => (config['attention_bias'] = true));
    const error = await refusalOf(openCheckpoint(folder(copy.model)));
    expect(error.message).toMatch(/has no tensor model\.layers\.0\.self_attn\.q_proj\.bias \[48\]$/);
    expect(error.hint).toBe('Does config.json belong to these weights?');
  });

  it('and an adapter that was not merged is called that', async () => {
    using copy = copyFixture('tiny-a');
    editTensors(modelFile(copy), packed((m, r, c) => ({ [`${m}.base_layer.weight`]: stored('F32', r, c), [`${m}.lora_A.default.weight`]: stored('F32', 4, c), [`${m}.lora_B.default.weight`]: stored('F32', r, 4) }))); // prettier-ignore
    const error = await refusalOf(openCheckpoint(folder(copy.model)));
    expect(error.message).toContain('an adapter that was not merged');
    expect(error.hint).toContain('merge_and_unload');
  });
});
