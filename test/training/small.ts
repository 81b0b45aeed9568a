/** A model and a corpus small enough to train within a test. */
import '../support/gradients.ts';
import type { TransformerConfig } from '../../src/model/config.ts';
import { transformerConfig } from '../../src/model/families.ts';
import type { RowSource } from '../../src/training/train-model.ts';
import { Random } from '../../src/random.ts';

export const VOCABULARY = 12;

export const SMALL: TransformerConfig = transformerConfig(
  {
    model_type: 'gemma2',
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 4,
    intermediate_size: 24,
    vocab_size: VOCABULARY,
    max_position_embeddings: 16,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    query_pre_attn_scalar: 4,
    sliding_window: 3,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    attention_bias: false,
    tie_word_embeddings: true,
  },
  'a small model',
);

/** Rows that count: 1, 2, 3, …, of several lengths. */
export function counting(seed: number): RowSource {
  const random = new Random(seed);
  return {
    batch: (n_rows) =>
      Array.from({ length: n_rows }, () => {
        const first = random.below(VOCABULARY - 1);
        const length = 4 + random.below(4);
        return [0, ...Array.from({ length }, (_, i) => 1 + ((first + i) % (VOCABULARY - 1)))];
      }),
  };
}
