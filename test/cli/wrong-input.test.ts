/** Damaged checkpoints and transcoder sets, given to the real binary: exit code, message, next step, every file as it was. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  copyFixture,
  cutOff,
  editHeader,
  editJson,
  editTensors,
  editText,
  fingerprint,
  setNumber,
  type FixtureCopy,
} from '../support/damage.ts';
import { goldenPath, FIXTURES, type Fixture } from '../support/golden.ts';
import { gemmaScopePath } from '../formats/support.ts';
import { refused, type CommandLine, type Refusal } from './refusal.ts';

const WASM = ['--device', 'wasm'];
const PROMPT = 'The capital of the';
const W_Q = 'model.layers.1.self_attn.q_proj.weight';
const W_K = 'model.layers.3.self_attn.k_proj.weight';
const GAIN = 'model.layers.2.post_attention_layernorm.weight';
const W_E = 'model.embed_tokens.weight';

/** One kind of damage. */
interface Damage extends Omit<Refusal, 'exitCode'> {
  readonly title: string;
  readonly fixture?: Fixture;
  readonly set?: string;
  readonly damage: (copy: FixtureCopy) => void;
  /** Default: `load`, which reads headers and small vectors. */
  readonly args?: CommandLine;
  /** Default: 4, a damaged or unsuitable file. */
  readonly exitCode?: number;
}

const RUN = ['run', PROMPT, ...WASM] as const;

function refuses(cases: readonly Damage[]): void {
  it.each(cases.map((one) => [one.title, one] as const))('%s', async (_, one) => {
    using copy = copyFixture(one.fixture ?? 'tiny-a', one.set);
    one.damage(copy);
    const [command, ...args] = one.args ?? ['load'];
    const names = ['--model', copy.model, '--transcoders', copy.set];
    await refused(copy.path, [command, ...args, ...names], { exitCode: 4, ...one });
  });
}

const modelFile = (copy: FixtureCopy): string => join(copy.model, 'model.safetensors');
const layerFile = (copy: FixtureCopy, layer = 1): string => join(copy.set, `layer_${layer}.safetensors`);
const shard = (copy: FixtureCopy, number = 2): string =>
  join(copy.model, `model-0000${number}-of-00003.safetensors`);
const config = (copy: FixtureCopy): string => join(copy.model, 'config.json');
const setConfig = (copy: FixtureCopy): string => join(copy.set, 'config.yaml');
const scopeFile = (copy: FixtureCopy): string =>
  join(copy.set, gemmaScopePath('tiny-a', 1).split('gemmascope/')[1]!);

let goldenBefore: string[];

beforeAll(() => {
  goldenBefore = FIXTURES.map((fixture) => fingerprint(goldenPath(fixture)));
});

afterAll(() => {
  expect(FIXTURES.map((fixture) => fingerprint(goldenPath(fixture)))).toEqual(goldenBefore);
});

describe('a checkpoint in a folder is refused', () => {
  refuses([
    {
      title: 'without a shard that its index names',
      fixture: 'tiny-b',
      damage: (copy) => rmSync(shard(copy)),
      exitCode: 3,
      code: 'missing_shard',
      says: ['model-00002-of-00003.safetensors'],
      next: 'Fetch',
    },
    {
      title: 'with a shard that ends too early',
      fixture: 'tiny-b',
      damage: (copy) => cutOff(shard(copy), 100),
      code: 'file_truncated',
      says: [/model-00002-of-00003\.safetensors: .*describes \d+ bytes.* holds \d+/],
      next: 'Fetch it again',
    },
    {
      title: 'with a shard of which only the beginning of the header came',
      fixture: 'tiny-b',
      damage: (copy) => writeFileSync(shard(copy), Buffer.alloc(5)),
      code: 'safetensors_header',
      says: ['model-00002-of-00003.safetensors', '8 bytes'],
      next: 'Fetch it again',
    },
    {
      title: 'with an index that leads out of its folder',
      fixture: 'tiny-b',
      damage: (copy) =>
        editJson(join(copy.model, 'model.safetensors.index.json'), (index) => {
          (index['weight_map'] as Record<string, string>)[W_E] = '../set/layer_0.safetensors';
        }),
      code: 'shard_name',
      says: ['index.json', '../set/layer_0.safetensors'],
      next: 'index',
    },
    {
      title: 'with a header longer than the file',
      damage: (copy) => {
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(2n ** 40n);
        writeFileSync(modelFile(copy), Buffer.concat([length, Buffer.from('{}')]));
      },
      code: 'safetensors_header',
      says: ['model.safetensors', '1099511627776'],
      next: 'Fetch it again',
    },
    {
      title: 'with a tensor said to be longer than its bytes',
      damage: (copy) => editHeader(modelFile(copy), (header) => (header[W_Q]!.shape[0]! *= 1_000_000)),
      code: 'tensor_offsets',
      says: ['model.safetensors', W_Q, /needs \d+ bytes/],
      next: 'Fetch it again',
    },
    {
      title: 'with two tensors on the same bytes',
      damage: (copy) =>
        editHeader(modelFile(copy), (header) => (header[W_K]!.data_offsets = header['model.layers.0.self_attn.k_proj.weight']!.data_offsets)), // prettier-ignore
      code: 'tensor_offsets',
      says: ['model.safetensors', /overlaps|leaves a hole/],
      next: 'Fetch it again',
    },
    {
      title: 'without a tensor that its configuration calls for',
      damage: (copy) => editTensors(modelFile(copy), (tensors) => tensors.delete(W_Q)),
      code: 'missing_tensor',
      says: ['model.safetensors', `${W_Q} [48, 32]`],
      next: 'config.json',
    },
    {
      title: 'with a tensor of another shape',
      damage: (copy) => editHeader(modelFile(copy), (header) => header[W_Q]!.shape.reverse()),
      code: 'tensor_shape',
      says: ['model.safetensors', W_Q, '[32, 48]', '[48, 32]'],
      next: 'config.json',
    },
    {
      title: 'with quantised numbers',
      damage: (copy) =>
        editTensors(modelFile(copy), (tensors) => {
          const { shape } = tensors.get(W_Q)!;
          tensors.set(W_Q, { dtype: 'I8', shape, bytes: new Uint8Array(48 * 32) });
        }),
      code: 'tensor_dtype',
      says: ['model.safetensors', W_Q, 'I8', 'F32, F16, BF16'],
      next: 'converted',
    },
    {
      title: 'with a type that nobody knows',
      damage: (copy) => editHeader(modelFile(copy), (header) => (header[W_Q]!.dtype = 'F4_E2M1')),
      code: 'tensor_dtype',
      says: ['model.safetensors', W_Q, 'F4_E2M1'],
      next: 'Convert',
    },
    {
      title: 'as a pickled file under the name of a safetensors file',
      damage: (copy) =>
        writeFileSync(modelFile(copy), Buffer.from('\x80\x02}q\x00X\x05\x00\x00\x00model', 'latin1')),
      code: 'unknown_format',
      says: ['model.safetensors', 'pickle'],
      next: 'safetensors',
    },
    {
      title: 'as a pickled file alone',
      damage: (copy) => renameSync(modelFile(copy), join(copy.model, 'pytorch_model.bin')),
      exitCode: 3,
      code: 'no_weights',
      says: ['model.safetensors'],
      next: 'converted to safetensors',
    },
    {
      title: 'with a Git LFS pointer instead of weights',
      damage: (copy) =>
        writeFileSync(
          modelFile(copy),
          `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 262960\n`,
        ),
      code: 'unknown_format',
      says: ['model.safetensors', 'Git LFS pointer'],
      next: 'git lfs pull',
    },
    {
      title: 'as a folder named like the weights',
      damage: (copy) => {
        rmSync(modelFile(copy));
        mkdirSync(modelFile(copy));
      },
      exitCode: 3,
      code: 'no_weights',
      says: ['model.safetensors'],
      next: 'safetensors',
    },
    {
      title: 'without config.json',
      damage: (copy) => rmSync(config(copy)),
      exitCode: 3,
      code: 'no_config',
      says: ['config.json'],
      next: 'config.json',
    },
    {
      title: 'without tokenizer.json',
      damage: (copy) => rmSync(join(copy.model, 'tokenizer.json')),
      exitCode: 3,
      code: 'file_not_found',
      says: ['tokenizer.json'],
      next: 'tokenizer.json',
    },
    {
      title: 'with half a tokenizer.json',
      damage: (copy) => cutOff(join(copy.model, 'tokenizer.json'), 9_000),
      code: 'json_syntax',
      says: ['tokenizer.json', 'not JSON'],
      next: 'fetch it again',
    },
    {
      title: 'with half a config.json',
      damage: (copy) => cutOff(config(copy), 300),
      code: 'json_syntax',
      says: ['config.json', 'not JSON'],
      next: 'fetch it again',
    },
    {
      title: 'with an empty config.json',
      damage: (copy) => writeFileSync(config(copy), ''),
      code: 'json_syntax',
      says: ['config.json'],
      next: /./,
    },
    {
      title: 'of an unknown family',
      damage: (copy) => editJson(config(copy), (value) => (value['model_type'] = 'gemma22')),
      code: 'unknown_family',
      says: ['config.json', 'gemma22', '"gemma2"'],
      next: 'gemma2',
    },
    {
      title: 'with heads that cannot be shared out',
      damage: (copy) => editJson(config(copy), (value) => (value['num_key_value_heads'] = 3)),
      code: 'bad_config',
      says: ['config.json', 'num_key_value_heads is 3', 'num_attention_heads = 4'],
      next: 'checkpoint',
    },
    {
      title: 'with fewer layer types than layers',
      damage: (copy) => editJson(config(copy), (value) => (value['layer_types'] = ['full_attention'])),
      code: 'bad_config',
      says: ['config.json', 'layer_types', '4 entries'],
      next: 'checkpoint',
    },
    {
      title: 'with a number of layers that its weights have not',
      damage: (copy) =>
        editJson(config(copy), (value) => {
          value['num_hidden_layers'] = 6;
          delete value['layer_types'];
        }),
      code: 'missing_tensor',
      says: ['model.safetensors', 'model.layers.4.'],
      next: 'config.json',
    },
    {
      title: 'with a number of layers that is none',
      damage: (copy) => editJson(config(copy), (value) => (value['num_hidden_layers'] = 'four')),
      code: 'bad_field',
      says: ['config.json', 'num_hidden_layers', 'four'],
      next: /./,
    },
    {
      title: 'with more layers than any computer can hold',
      damage: (copy) =>
        editJson(config(copy), (value) => {
          value['num_hidden_layers'] = 2 ** 40;
          delete value['layer_types'];
        }),
      code: 'bad_field',
      says: ['config.json', 'num_hidden_layers'],
      next: /./,
    },
    {
      title: 'with another width than its weights',
      damage: (copy) => editJson(config(copy), (value) => (value['hidden_size'] = 64)),
      code: 'tensor_shape',
      says: ['model.safetensors', W_E, '[560, 32]', '[560, 64]'],
      next: 'config.json',
    },
    {
      title: 'with an activation of another model',
      damage: (copy) => editJson(config(copy), (value) => (value['hidden_activation'] = 'silu')),
      code: 'bad_config',
      says: ['config.json', 'hidden_activation is "silu"', 'gelu_pytorch_tanh'],
      next: 'checkpoint',
    },
    {
      title: 'with a scaled rotation',
      damage: (copy) =>
        editJson(config(copy), (value) => (value['rope_scaling'] = { type: 'linear', factor: 2 })),
      code: 'bad_config',
      says: ['config.json', 'rope_scaling', 'linear'],
      next: 'checkpoint',
    },
    {
      title: 'with a scaled rotation in its new place',
      damage: (copy) =>
        editJson(
          config(copy),
          (value) => (value['rope_parameters'] = { rope_type: 'yarn', rope_theta: 500 }),
        ),
      code: 'bad_config',
      says: ['config.json', 'rope_type is "yarn"'],
      next: 'checkpoint',
    },
    {
      title: 'with an output matrix of its own that is not there',
      damage: (copy) => editJson(config(copy), (value) => (value['tie_word_embeddings'] = false)),
      code: 'missing_tensor',
      says: ['model.safetensors', 'lm_head.weight [560, 32]'],
      next: 'config.json',
    },
    {
      title: 'with a key that changes the pass',
      damage: (copy) => editJson(config(copy), (value) => (value['use_bidirectional_attention'] = true)),
      code: 'bad_config',
      says: ['config.json', 'use_bidirectional_attention is true'],
      next: 'checkpoint',
    },
    {
      title: 'that says that it is quantised',
      damage: (copy) =>
        editJson(config(copy), (value) => (value['quantization_config'] = { load_in_4bit: true })),
      code: 'quantised',
      says: ['config.json', 'quantised', 'load_in_4bit'],
      next: 'not quantised',
    },
    {
      title: 'with a number of Python in its configuration',
      damage: (copy) => editText(config(copy), (text) => text.replace('10000.0', 'Infinity')),
      code: 'json_syntax',
      says: ['config.json', /line \d+, column \d+ has Infinity/, 'Python'],
      next: 'null',
    },
  ]);
});

describe('NaN and infinite numbers are named where they would be used', () => {
  const notFinite = { code: 'not_finite', next: 'damaged' } as const;
  const inMatrix = (key: string, value: number, place = 5): Omit<Damage, 'title'> => ({
    damage: (copy) => setNumber(modelFile(copy), key, place, value),
    args: RUN,
    says: ['model.safetensors', key],
    ...notFinite,
  });
  const lastQ = 'model.layers.3.self_attn.q_proj.weight';
  refuses([
    { title: 'NaN in W_Q', ...inMatrix(W_Q, NaN) },
    {
      title: 'infinity in W_Q of the last layer, which the cap of attention scores would hide',
      ...inMatrix(lastQ, Infinity),
    },
    { title: 'infinity in W_K of the last layer', ...inMatrix(W_K, -Infinity) },
    { title: 'infinity in W_V', ...inMatrix('model.layers.3.self_attn.v_proj.weight', Infinity) },
    { title: 'infinity in W_O', ...inMatrix('model.layers.3.self_attn.o_proj.weight', Infinity) },
    { title: 'infinity in W_gate', ...inMatrix('model.layers.3.mlp.gate_proj.weight', -Infinity) },
    { title: 'infinity in W_in', ...inMatrix('model.layers.3.mlp.up_proj.weight', Infinity) },
    { title: 'infinity in W_out', ...inMatrix('model.layers.3.mlp.down_proj.weight', Infinity) },
    // Token 2 is <bos>, which every prompt starts with; token 500 is not in this one.
    { title: 'NaN in an embedding row that is used', ...inMatrix(W_E, NaN, 2 * 32 + 3) },
    { title: 'NaN in an embedding row that only the unembedding uses', ...inMatrix(W_E, NaN, 500 * 32) },
    {
      title:
        'infinity in an embedding row that only the unembedding uses, which the cap of logits would hide',
      ...inMatrix(W_E, Infinity, 500 * 32),
    },
    { title: 'NaN in a norm gain', ...inMatrix(GAIN, NaN) },
    {
      title: 'infinity in a norm gain, when everything is loaded',
      ...inMatrix(GAIN, -Infinity),
      args: ['configure', ...WASM],
    },
    {
      title: 'NaN in a bfloat16 shard',
      fixture: 'tiny-b',
      damage: (copy) => setNumber(shard(copy, 2), 'model.layers.0.mlp.gate_proj.weight', 0, NaN),
      args: RUN,
      says: ['index.json', 'model.layers.0.mlp.gate_proj.weight'],
      ...notFinite,
    },
    {
      title: 'NaN in an encoder, when features are asked for',
      damage: (copy) => setNumber(layerFile(copy), 'W_enc', 7 * 32, NaN),
      args: [...RUN, '--features', '2'],
      says: ['layer_1.safetensors', 'W_enc'],
      ...notFinite,
    },
    {
      title: 'infinity in an encoder, whatever the sign of what it makes',
      damage: (copy) => {
        for (let i = 0; i < 32; i++) setNumber(layerFile(copy), 'W_enc', 7 * 32 + i, i === 3 ? -Infinity : 0);
      },
      args: [...RUN, '--features', '2'],
      says: ['layer_1.safetensors', 'W_enc'],
      ...notFinite,
    },
    {
      title: 'NaN in an encoder of a TopK set',
      set: 'plt-topk',
      damage: (copy) => setNumber(layerFile(copy), 'W_enc', 7 * 32, NaN),
      args: [...RUN, '--features', '2'],
      says: ['layer_1.safetensors', 'W_enc'],
      ...notFinite,
    },
    {
      title: 'NaN in a threshold',
      damage: (copy) => setNumber(layerFile(copy, 2), 'activation_function.threshold', 9, NaN),
      says: ['layer_2.safetensors', 'activation_function.threshold'],
      ...notFinite,
    },
    {
      title: 'infinity in an encoder bias',
      damage: (copy) => setNumber(layerFile(copy, 2), 'b_enc', 9, Infinity),
      args: RUN,
      says: ['layer_2.safetensors', 'b_enc'],
      ...notFinite,
    },
    {
      title: 'NaN in W_enc of the feature that is looked at',
      damage: (copy) => setNumber(layerFile(copy), 'W_enc', 7 * 32, NaN),
      args: ['inspect', '--layer', '1', '--feature', '7', ...WASM],
      says: ['layer_1.safetensors', 'W_enc'],
      ...notFinite,
    },
    {
      title: 'infinity in W_dec of the layer that is looked at',
      damage: (copy) => setNumber(layerFile(copy), 'W_dec', 7 * 32, Infinity),
      args: ['inspect', '--layer', '1'],
      says: ['layer_1.safetensors', 'W_dec'],
      ...notFinite,
    },
    {
      title: 'NaN in all of W_dec, when a graph is made',
      damage: (copy) =>
        editTensors(layerFile(copy, 0), (tensors) => {
          const { dtype, shape, bytes } = tensors.get('W_dec')!;
          const nan = new Float32Array(bytes.byteLength / 4).fill(NaN);
          tensors.set('W_dec', { dtype, shape, bytes: new Uint8Array(nan.buffer) });
        }),
      args: ['attribute', PROMPT, ...WASM],
      says: ['layer_0.safetensors', 'W_dec'],
      ...notFinite,
    },
  ]);
});

describe('a transcoder set is refused', () => {
  refuses([
    {
      title: 'that was made for another width',
      damage: (copy) => {
        rmSync(copy.set, { recursive: true });
        const other = copyFixture('tiny-b');
        renameSync(other.set, copy.set);
        other[Symbol.dispose]();
      },
      code: 'layer_count',
      says: ['3 transcoders', '4 layers'],
      next: 'another model',
    },
    {
      title: 'of another width in one layer',
      damage: (copy) =>
        editTensors(layerFile(copy), (tensors) => {
          const wider = { dtype: 'F32', shape: [128, 40], bytes: new Uint8Array(128 * 40 * 4) };
          tensors.set('W_enc', wider);
        }),
      code: 'tensor_shape',
      says: ['layer_1.safetensors', 'W_enc', '[128, 40]', '[128, 32]', 'd_model is 32'],
      next: 'another model',
    },
    {
      title: 'of fewer layers than the model',
      damage: (copy) => rmSync(layerFile(copy, 3)),
      code: 'layer_count',
      says: ['3 transcoders', '4 layers'],
      next: 'another model',
    },
    {
      title: 'of more layers than the model',
      damage: (copy) => writeFileSync(layerFile(copy, 4), 'not even looked at'),
      code: 'layer_count',
      says: ['5 transcoders', '4 layers'],
      next: 'another model',
    },
    {
      title: 'that lists more files than the model has layers',
      set: 'gemmascope',
      damage: (copy) => editText(setConfig(copy), (text) => `${text}- layer_0/more/params.npz\n`),
      code: 'layer_count',
      says: ['5 transcoders', '4 layers'],
      next: 'another model',
    },
    {
      title: 'without the file of a layer in the middle',
      damage: (copy) => rmSync(layerFile(copy)),
      exitCode: 3,
      code: 'missing_transcoder',
      says: ['layer_1.safetensors'],
      next: '4 layers',
    },
    {
      title: 'without a file that its list names',
      set: 'gemmascope',
      damage: (copy) => rmSync(scopeFile(copy)),
      exitCode: 3,
      code: 'missing_transcoder',
      says: ['params.npz'],
      next: '4 layers',
    },
    {
      title: 'with an activation that nobody knows',
      damage: (copy) => editText(setConfig(copy), (text) => `${text}activation: topkk\n`),
      code: 'bad_set_config',
      says: ['config.yaml', 'activation is "topkk"', 'relu, jumprelu, batchtopk, topk or groupmax'],
      next: 'topk',
    },
    {
      title: 'with topk and no k',
      set: 'plt-topk',
      damage: (copy) => editText(setConfig(copy), (text) => text.replace(/^k: .*\n/m, '')),
      code: 'bad_set_config',
      says: ['config.yaml', 'k is null', 'positive integer'],
      next: /k/,
    },
    {
      title: 'with a k of 0',
      set: 'plt-topk',
      damage: (copy) => editText(setConfig(copy), (text) => text.replace(/^k: .*$/m, 'k: 0')),
      code: 'bad_field',
      says: ['config.yaml', /\bk\b/],
      next: /./,
    },
    {
      title: 'with more features kept than there are',
      set: 'plt-topk',
      damage: (copy) => editText(setConfig(copy), (text) => text.replace(/^k: .*$/m, 'k: 129')),
      code: 'bad_set_config',
      says: ['k is 129', '128'],
      next: /./,
    },
    {
      title: 'that is JumpReLU by name and has no threshold',
      damage: (copy) => {
        editText(setConfig(copy), (text) => `${text}activation: jumprelu\n`);
        for (let layer = 0; layer < 4; layer++)
          editTensors(layerFile(copy, layer), (tensors) => tensors.delete('activation_function.threshold'));
      },
      code: 'missing_tensor',
      says: ['layer_0.safetensors', 'threshold'],
      next: /./,
    },
    {
      title: 'without config.yaml',
      damage: (copy) => rmSync(setConfig(copy)),
      exitCode: 3,
      code: 'no_set_config',
      says: ['config.yaml'],
      next: 'config.yaml',
    },
    {
      title: 'with a config.yaml that is none',
      damage: (copy) => writeFileSync(setConfig(copy), 'model_kind: [transcoder_set\n  : :'),
      code: 'yaml_syntax',
      says: ['config.yaml'],
      next: /./,
    },
    {
      title: 'that reads from a hook that does not exist',
      damage: (copy) =>
        editText(setConfig(copy), (text) => text.replace('ln2.hook_normalized', 'ln2.hook_normalised')),
      code: 'bad_set_config',
      says: ['config.yaml', 'feature_input_hook', 'ln2.hook_normalised'],
      next: 'ln2.hook_normalized',
    },
    {
      title: 'that reads from a hook that exists, but not for sets',
      damage: (copy) =>
        editText(setConfig(copy), (text) => text.replace('ln2.hook_normalized', 'mlp.hook_pre')),
      code: 'bad_set_config',
      says: [
        'config.yaml',
        'feature_input_hook',
        '"mlp.hook_pre"',
        '"ln2.hook_normalized" or "mlp.hook_in" or "hook_resid_mid"',
      ],
      next: /^(?!.*mlp\.hook_pre)/,
    },
    {
      title: 'that lists the file of a layer twice',
      damage: (copy) =>
        editText(setConfig(copy), (text) => `${text}transcoders:\n${'  - {layer: 0, filepath: layer_0.safetensors}\n'.repeat(4)}`), // prettier-ignore
      code: 'bad_set_config',
      says: ['config.yaml', 'transcoders[1].layer is 0'],
      next: 'one file for each layer',
    },
    {
      title: 'that lists something that is no file',
      damage: (copy) => editText(setConfig(copy), (text) => `${text}transcoders: [{layer: 0}]\n`),
      code: 'bad_set_config',
      says: ['config.yaml', 'transcoders[0]', 'a path, or an object with layer and filepath'],
      next: /./,
    },
    {
      title: 'with a tensor that is needed in a type that is not read',
      damage: (copy) =>
        editHeader(layerFile(copy), (header) => {
          const entry = header['b_dec']!;
          entry.dtype = 'U32';
        }),
      code: 'tensor_dtype',
      says: ['layer_1.safetensors', 'b_dec', 'U32', 'quantised'],
      next: 'Name a transcoder set that is not quantised',
    },
    {
      title: 'with a tensor missing',
      damage: (copy) => editTensors(layerFile(copy), (tensors) => tensors.delete('b_dec')),
      code: 'missing_tensor',
      says: ['layer_1.safetensors', 'b_dec'],
      next: /./,
    },
    {
      title: 'with a pickled file in it',
      set: 'gemmascope',
      damage: (copy) => writeFileSync(scopeFile(copy), Buffer.from('\x80\x04\x95\x00\x00', 'latin1')),
      code: 'unknown_format',
      says: ['params.npz', 'pickle'],
      next: 'safetensors',
    },
    {
      title: 'with an npz archive that ends too early',
      set: 'gemmascope',
      damage: (copy) => cutOff(scopeFile(copy), 200),
      code: 'zip_damaged',
      says: ['params.npz'],
      next: 'Fetch it again',
    },
    {
      title: 'with a Git LFS pointer in it',
      damage: (copy) =>
        writeFileSync(layerFile(copy), 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'),
      code: 'unknown_format',
      says: ['layer_1.safetensors', 'Git LFS pointer'],
      next: 'git lfs pull',
    },
  ]);
});

describe('a cross-layer set is refused', () => {
  refuses([
    {
      title: 'of more layers than the model',
      set: 'clt',
      damage: (copy) => writeFileSync(join(copy.set, 'W_enc_4.safetensors'), ''),
      code: 'layer_count',
      says: ['5 transcoders', '4 layers'],
      next: 'another model',
    },
    {
      title: 'of fewer layers than the model',
      set: 'clt',
      damage: (copy) => ['enc', 'dec'].forEach((part) => rmSync(join(copy.set, `W_${part}_3.safetensors`))),
      code: 'layer_count',
      says: ['3 transcoders', '4 layers'],
      next: 'another model',
    },
    {
      title: 'whose decoder writes into another number of layers',
      set: 'clt',
      damage: (copy) =>
        renameSync(join(copy.set, 'W_dec_1.safetensors'), join(copy.set, 'W_dec_0.safetensors')),
      exitCode: 4,
      code: 'missing_tensor',
      says: ['W_dec_0'],
      next: /./,
    },
  ]);
});
