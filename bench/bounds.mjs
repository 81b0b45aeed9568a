/**
 * Benchmark: the least that a step can cost on a machine, from the bytes it has to read and the operations it has to do.
 * Rates come from `machine.mjs`; nothing here is fitted to a measurement.
 */
import { openSafetensors } from '../dist/formats/safetensors.js';
import { blockNumbers, SHAPE } from './shapes.mjs';

const { d_model, d_vocab, n_heads, n_kv_heads, d_head, d_transcoder } = SHAPE;
const BF16_BYTES = 2;
const F32_BYTES = 4;
/** A product of one row with a matrix takes a multiplication and an addition a number. */
const FLOP = 2;

/** Bytes of parameters that a prompt needs: the model, and the encoders of the set. */
export function parameterBytes(layers) {
  const model = (layers * blockNumbers() + d_vocab * d_model) * BF16_BYTES;
  return model + layers * d_transcoder * d_model * F32_BYTES;
}

/** One pass with encoding: every parameter is read once, and multiplied with one row a token. */
export function passBound(machine, layers, tokens) {
  const numbers = layers * (blockNumbers() + d_transcoder * d_model) + d_vocab * d_model;
  const bytes = parameterBytes(layers);
  const operations = FLOP * tokens * numbers;
  const seconds = Math.max(bytes / machine.memory.read, operations / machine.products[tokens]);
  return { bytes, operations, seconds };
}

/** Bytes of the unembedding, whose mean row an attribution needs. */
export function meanRowBytes() {
  return d_vocab * d_model * BF16_BYTES;
}

/** Reading all parameters from the page cache once, then one pass. */
export function firstPassBound(machine, layers, tokens) {
  const readSeconds = parameterBytes(layers) / machine.files.cached_file;
  return { readSeconds, seconds: readSeconds + passBound(machine, layers, tokens).seconds };
}

/** Operations that take a gradient row at one position across one attention: a product with W_O and one with W_V. */
const W_O_OPERATIONS = FLOP * d_model * n_heads * d_head;
const W_V_OPERATIONS = FLOP * n_kv_heads * d_head * d_model;

/**
 * Operations of a graph's rows, from its own selected features: a row of layer l at position p has one query position in
 * layer l, and positions up to p in that and all lower layers; it meets every source that it can reach once.
 */
export async function graphOperations(graphFile, layers, tokens) {
  const file = await openSafetensors(graphFile);
  const integers = async (name) => new Int32Array((await file.read(name)).buffer);
  try {
    const [active, selected] = [await integers('active_features'), await integers('selected_features')];
    const n_logits = file.tensors.get('logit_token_ids').shape[0];
    // sources[l][p]: what writes into layer l at positions up to p.
    const sources = Array.from({ length: layers }, () => new Float64Array(tokens).fill(1)); // the error node
    for (let i = 0; i < active.length; i += 3) sources[active[i]][active[i + 1]]++;
    for (const row of sources) for (let p = 1; p < tokens; p++) row[p] += row[p - 1];
    const below = (layer, position) => sources.slice(0, layer).reduce((sum, row) => sum + row[position], 0);
    let operations = 0;
    const addRow = (layer, position) => {
      const reach = position + 1;
      operations += W_O_OPERATIONS + reach * W_V_OPERATIONS; // its own layer
      operations += layer * reach * (W_O_OPERATIONS + W_V_OPERATIONS);
      operations += FLOP * d_model * (below(layer, position) + reach);
    };
    for (const index of selected) addRow(active[3 * index], active[3 * index + 1]);
    for (let i = 0; i < n_logits; i++) addRow(layers - 1, tokens - 1);
    return { operations, n_active: active.length / 3 };
  } finally {
    file[Symbol.dispose]();
  }
}

/** Rows of products in a batch, whose rate the walk is held against. */
export const WALK_ROWS = 256;

/** A pass with encoding, one reading of the unembedding for its mean row, and the walks of all rows. */
export async function attributeBound(machine, layers, tokens, graphFile) {
  const { operations, n_active } = await graphOperations(graphFile, layers, tokens);
  const meanSeconds = meanRowBytes() / machine.memory.read;
  const walkSeconds = operations / machine.products[WALK_ROWS];
  const seconds = passBound(machine, layers, tokens).seconds + meanSeconds + walkSeconds;
  return { operations, n_active, walkSeconds, seconds };
}
