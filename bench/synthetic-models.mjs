/** Benchmark: what a synthetic checkpoint and its set consist of, by model. */
import { SHAPES } from './shapes.mjs';

/** What all layers together add to the residual stream, as a multiple of the variance of the embedding. */
const ADDED_VARIANCE = 12;
const THRESHOLD_DEVIATION = 0.05;
const BIAS_DEVIATION = 0.02;

/**
 * Tensors of the model and of a layer's transcoder, config.json and config.yaml.
 * @param name of `SHAPES`
 * @param blocks the random numbers
 * @param n_active features that are active at a position of a layer, about
 */
export function syntheticModel(name, n_layers, blocks, n_active) {
  const quantile = upperQuantile(n_active / SHAPES[name].d_transcoder);
  const shape = { ...SHAPES[name], n_layers, n_active, quantile };
  const tensors = tensorMaker(blocks);
  return { shape, ...(name === 'llama-3.2-1b' ? llama(shape, tensors) : gemma2(shape, tensors)) };
}

function tensorMaker(blocks) {
  /** A tensor of random numbers; `index` gives tensors of one kind different numbers; `from` maps a piece. */
  const random = (name, kind, index, dtype, shape, deviation, from) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const pieces = () => blocks.pieces(kind, index, dtype, deviation, count);
    return { name, dtype, shape, data: from ? () => [...pieces()].map(from) : pieces };
  };
  /** A vector that is the same number throughout. */
  const constant = (name, dtype, length, value) => {
    const data = new Float32Array(length).fill(value);
    return {
      name,
      dtype,
      shape: [length],
      // Every value used here is a bfloat16 number already, so the upper half is all of it.
      data: dtype === 'BF16' ? new Uint16Array(data.buffer).filter((_, i) => i % 2 === 1) : data,
    };
  };
  /** Matrices of attention and MLP. */
  const matrices = (at, layer, { d_model, d_mlp, n_heads, n_kv_heads, d_head }) => {
    const matrix = (module, kind, rows, columns) =>
      random(`${at}.${module}.weight`, kind, layer, 'BF16', [rows, columns], 1 / Math.sqrt(columns));
    return [
      matrix('self_attn.q_proj', 'W_Q', n_heads * d_head, d_model),
      matrix('self_attn.k_proj', 'W_K', n_kv_heads * d_head, d_model),
      matrix('self_attn.v_proj', 'W_V', n_kv_heads * d_head, d_model),
      matrix('self_attn.o_proj', 'W_O', d_model, n_heads * d_head),
      matrix('mlp.gate_proj', 'W_gate', d_mlp, d_model),
      matrix('mlp.up_proj', 'W_in', d_mlp, d_model),
      matrix('mlp.down_proj', 'W_out', d_model, d_mlp),
    ];
  };
  const embedding = ({ d_vocab, d_model }) =>
    random('model.embed_tokens.weight', 'W_E', 0, 'BF16', [d_vocab, d_model], 1 / Math.sqrt(d_model));
  return { random, constant, matrices, embedding };
}

/** A normal number of variance 1 lies above it with probability `share` (below a tenth), to four digits. */
function upperQuantile(share) {
  let [low, high] = [1, 10];
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (upperTail(middle) > share) low = middle;
    else high = middle;
  }
  return Math.round(low * 1e4) / 1e4;
}

/** Density over the continued fraction x + 1/(x + 2/(x + …)). */
function upperTail(x) {
  let fraction = x;
  for (let term = 200; term > 0; term--) fraction = x + term / fraction;
  return Math.exp(-(x * x) / 2) / Math.sqrt(2 * Math.PI) / fraction;
}

function configOf(shape) {
  return {
    hidden_size: shape.d_model,
    intermediate_size: shape.d_mlp,
    head_dim: shape.d_head,
    num_attention_heads: shape.n_heads,
    num_key_value_heads: shape.n_kv_heads,
    num_hidden_layers: shape.n_layers,
    vocab_size: shape.d_vocab,
    tie_word_embeddings: true,
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
    torch_dtype: 'bfloat16',
  };
}

/** Decoders rebuild about what an MLP adds: n_active rows times activations of about the threshold. */
function decoderDeviation({ n_layers, n_active }) {
  return Math.sqrt(ADDED_VARIANCE / (2 * n_layers) / n_active) / 3;
}

function gemma2(shape, { random, constant, matrices, embedding }) {
  const { n_layers, d_model, d_transcoder, quantile } = shape;
  // A norm multiplies by 1 + w. Post norms set how much a layer adds, so that depth does not change the size of logits.
  const postGain = Math.round((Math.sqrt(ADDED_VARIANCE / (2 * n_layers)) - 1) * 64) / 64;
  const gain = (at, value) => constant(`${at}.weight`, 'BF16', d_model, value);
  const blocks = Array.from({ length: n_layers }, (_, layer) => {
    const at = `model.layers.${layer}`;
    return [
      ...matrices(at, layer, shape),
      gain(`${at}.input_layernorm`, 0),
      gain(`${at}.post_attention_layernorm`, postGain),
      gain(`${at}.pre_feedforward_layernorm`, 0),
      gain(`${at}.post_feedforward_layernorm`, postGain),
    ];
  });
  return {
    model: [embedding(shape), ...blocks.flat(), gain('model.norm', 0)],
    config: {
      architectures: ['Gemma2ForCausalLM'],
      model_type: 'gemma2',
      attention_bias: false,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      query_pre_attn_scalar: 256,
      sliding_window: 4096,
      hidden_activation: 'gelu_pytorch_tanh',
      max_position_embeddings: 8192,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
      ...configOf(shape),
    },
    hooks: { input: 'ln2.hook_normalized', output: 'hook_mlp_out' },
    /** JumpReLU, in float32. */
    transcoder: (layer) => [
      random('W_enc', 'W_enc', layer, 'F32', [d_transcoder, d_model], 1 / Math.sqrt(d_model)),
      random('W_dec', 'W_dec', layer, 'F32', [d_transcoder, d_model], decoderDeviation(shape)),
      random('b_enc', 'b_enc', layer, 'F32', [d_transcoder], BIAS_DEVIATION),
      random('b_dec', 'b_dec', layer, 'F32', [d_model], BIAS_DEVIATION),
      random(
        'activation_function.threshold',
        'threshold',
        layer,
        'F32',
        [d_transcoder],
        THRESHOLD_DEVIATION,
        (piece) => piece.map((x) => quantile + x),
      ),
    ],
  };
}

function llama(shape, { random, constant, matrices, embedding }) {
  const { n_layers, d_model, d_transcoder, quantile } = shape;
  const gain = (at) => constant(`${at}.weight`, 'BF16', d_model, 1);
  const blocks = Array.from({ length: n_layers }, (_, layer) => {
    const at = `model.layers.${layer}`;
    return [
      ...matrices(at, layer, shape),
      gain(`${at}.input_layernorm`),
      gain(`${at}.post_attention_layernorm`),
    ];
  });
  return {
    model: [embedding(shape), ...blocks.flat(), gain('model.norm')],
    config: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_act: 'silu',
      max_position_embeddings: 131072,
      rms_norm_eps: 1e-5,
      rope_theta: 500000,
      rope_scaling: {
        rope_type: 'llama3',
        factor: 32,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
      },
      ...configOf(shape),
    },
    hooks: { input: 'mlp.hook_in', output: 'mlp.hook_out' },
    /** ReLU with a skip connection, in bfloat16. */
    transcoder: (layer) => [
      random('W_enc', 'W_enc', layer, 'BF16', [d_transcoder, d_model], 1 / Math.sqrt(d_model)),
      random('W_dec', 'W_dec', layer, 'BF16', [d_transcoder, d_model], decoderDeviation(shape)),
      random('W_skip', 'W_skip', layer, 'BF16', [d_model, d_model], BIAS_DEVIATION),
      random('b_enc', 'b_enc', layer, 'F32', [d_transcoder], BIAS_DEVIATION, (piece) =>
        piece.map((x) => x - quantile),
      ),
      random('b_dec', 'b_dec', layer, 'F32', [d_model], BIAS_DEVIATION),
    ],
  };
}
