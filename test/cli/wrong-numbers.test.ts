/** NaN and infinite numbers in weights, given to the real binary: the message names where they are. */
import { describe } from '@jest/globals';
import { editTensors, setNumber } from '../support/damage.ts';
import {
  type Damage,
  WASM,
  GAIN,
  goldenStays,
  layerFile,
  modelFile,
  PROMPT,
  refuses,
  RUN,
  shard,
  W_E,
  W_K,
  W_Q,
} from './damaged.ts';

goldenStays();

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
