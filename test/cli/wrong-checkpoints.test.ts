/** Damaged checkpoints, given to the real binary: exit code, message, next step. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { cutOff, editHeader, editJson, editTensors, editText } from '../support/damage.ts';
import { config, goldenStays, modelFile, refuses, shard, W_E, W_K, W_Q } from './damaged.ts';

goldenStays();

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
