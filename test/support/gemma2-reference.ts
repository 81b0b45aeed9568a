/**
 * Gemma 2 in plain float64 loops, straight from the golden README's section 2 and Hugging Face's configuration fields. It
 * shares no code with the product, so that checkpoints of any shape can be checked against it.
 */

/** The fields of config.json that the mathematics needs, in Hugging Face's words. */
export interface ReferenceConfig {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly intermediate_size: number;
  readonly vocab_size: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  readonly query_pre_attn_scalar: number;
  readonly sliding_window: number;
  readonly layer_types?: readonly string[];
  readonly attn_logit_softcapping: number | null;
  readonly final_logit_softcapping: number | null;
  readonly tie_word_embeddings?: boolean;
}

/** Parameters by their keys in the checkpoint, row-major. */
export type ReferenceWeights = ReadonlyMap<string, ArrayLike<number>>;

/** Values of a pass by hook name, row-major, and `logits` [pos, d_vocab]. */
export type ReferenceValues = Map<string, Float64Array>;

type Rows = Float64Array[];

const dot = (a: ArrayLike<number>, b: ArrayLike<number>, bStart = 0): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[bStart + i]!;
  return sum;
};

/** x · Wᵀ for W stored as [output, input]. */
function project(x: Rows, W: ArrayLike<number>): Rows {
  const nInputs = x[0]!.length;
  return x.map((row) =>
    Float64Array.from({ length: W.length / nInputs }, (_, o) => dot(row, W, o * nInputs)),
  );
}

function rmsNorm(x: Rows, gain: ArrayLike<number>, eps: number): Rows {
  return x.map((row) => {
    const scale = Math.sqrt(dot(row, row) / row.length + eps);
    return row.map((value, i) => (value / scale) * (1 + gain[i]!));
  });
}

function softCap(value: number, cap: number | null): number {
  return cap === null ? value : cap * Math.tanh(value / cap);
}

function softmax(scores: readonly number[]): number[] {
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** The part of a row that belongs to a head, turned by the angles of its position. */
function rotated(head: Float64Array, position: number, theta: number): Float64Array {
  const half = head.length / 2;
  return head.map((value, i) => {
    const angle = position / theta ** ((2 * (i % half)) / head.length);
    const partner = i < half ? -head[i + half]! : head[i - half]!;
    return value * Math.cos(angle) + partner * Math.sin(angle);
  });
}

function flat(rows: readonly ArrayLike<number>[]): Float64Array {
  return Float64Array.from(rows.flatMap((row) => Array.from(row)));
}

const sum = (a: Rows, b: Rows): Rows => a.map((row, p) => row.map((value, i) => value + b[p]![i]!));

/** Runs the model over token ids. */
export function referencePass(
  config: ReferenceConfig,
  weights: ReferenceWeights,
  tokens: readonly number[],
): ReferenceValues {
  const {
    hidden_size: d,
    head_dim,
    num_attention_heads: H,
    num_key_value_heads: K,
    rms_norm_eps: eps,
  } = config;
  const weight = (key: string): ArrayLike<number> => {
    const found = weights.get(key);
    if (!found) throw new Error(`the reference lacks ${key}`);
    return found;
  };
  const values: ReferenceValues = new Map();
  const W_E = Array.from(weight('model.embed_tokens.weight'));
  let residual: Rows = tokens.map((id) =>
    Float64Array.from(W_E.slice(id * d, (id + 1) * d), (x) => x * Math.sqrt(d)),
  );
  values.set('hook_embed', flat(residual));
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = (name: string): ArrayLike<number> => weight(`model.layers.${layer}.${name}.weight`);
    const isLocal = config.layer_types ? config.layer_types[layer] === 'sliding_attention' : layer % 2 === 0;
    const x = rmsNorm(residual, at('input_layernorm'), eps);
    const headsOf = (name: string): Rows => project(x, at(`self_attn.${name}`));
    const [q, k, v] = [headsOf('q_proj'), headsOf('k_proj'), headsOf('v_proj')];
    const head = (rows: Rows, p: number, h: number): Float64Array =>
      rows[p]!.slice(h * head_dim, (h + 1) * head_dim);
    const patterns: number[][] = [];
    const z: Rows = tokens.map(() => new Float64Array(H * head_dim));
    for (let h = 0; h < H; h++) {
      const kv = Math.floor((h * K) / H);
      for (let i = 0; i < tokens.length; i++) {
        const query = rotated(head(q, i, h), i, config.rope_theta);
        const scores = tokens.map((_, j) => {
          if (j > i || (isLocal && j <= i - config.sliding_window)) return -Infinity;
          const score = dot(query, rotated(head(k, j, kv), j, config.rope_theta));
          return softCap(score / Math.sqrt(config.query_pre_attn_scalar), config.attn_logit_softcapping);
        });
        const pattern = softmax(scores);
        patterns.push(pattern);
        pattern.forEach((share, j) => {
          head(v, j, kv).forEach((value, c) => (z[i]![h * head_dim + c]! += share * value));
        });
      }
    }
    values.set(`blocks.${layer}.attn.hook_pattern`, flat(patterns));
    const attended = rmsNorm(project(z, at('self_attn.o_proj')), at('post_attention_layernorm'), eps);
    residual = sum(residual, attended);
    values.set(`blocks.${layer}.hook_resid_mid`, flat(residual));
    const mlpIn = rmsNorm(residual, at('pre_feedforward_layernorm'), eps);
    const up = project(mlpIn, at('mlp.up_proj'));
    const gate = project(mlpIn, at('mlp.gate_proj'));
    const post = gate.map((row, p) => row.map((value, i) => geluTanh(value) * up[p]![i]!));
    const written = rmsNorm(project(post, at('mlp.down_proj')), at('post_feedforward_layernorm'), eps);
    values.set(`blocks.${layer}.hook_mlp_out`, flat(written));
    residual = sum(residual, written);
    values.set(`blocks.${layer}.hook_resid_post`, flat(residual));
  }
  const final = rmsNorm(residual, weight('model.norm.weight'), eps);
  const unembedding = weight(
    (config.tie_word_embeddings ?? true) ? 'model.embed_tokens.weight' : 'lm_head.weight',
  );
  const logits = project(final, unembedding);
  values.set(
    'logits',
    flat(logits).map((value) => softCap(value, config.final_logit_softcapping)),
  );
  return values;
}
