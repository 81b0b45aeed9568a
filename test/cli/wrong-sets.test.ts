/** Damaged transcoder sets, given to the real binary: exit code, message, next step. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { copyFixture, cutOff, editHeader, editTensors, editText } from '../support/damage.ts';
import { goldenStays, layerFile, refuses, scopeFile, setConfig } from './damaged.ts';

goldenStays();

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
