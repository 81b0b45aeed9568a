/** Dimensions of the embedded model, as in its config.json. */
import type { TransformerConfig } from '../src/model/config.ts';
import { transformerConfig } from '../src/model/families.ts';

export const N_FEATURES = 1024;

const LAYER_TYPES = ['sliding_attention', 'full_attention', 'full_attention', 'full_attention'];

/** The content of config.json for a vocabulary of so many tokens. */
export function configFile(d_vocab: number) {
  return {
    architectures: ['Gemma2ForCausalLM'],
    model_type: 'gemma2',
    vocab_size: d_vocab,
    hidden_size: 128,
    intermediate_size: 512,
    num_hidden_layers: LAYER_TYPES.length,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 32,
    query_pre_attn_scalar: 32,
    max_position_embeddings: 64,
    sliding_window: 32,
    layer_types: LAYER_TYPES,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    hidden_activation: 'gelu_pytorch_tanh',
    attention_bias: false,
    attention_dropout: 0,
    tie_word_embeddings: true,
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
    dtype: 'bfloat16',
    use_cache: true,
  };
}

export function shapeOf(d_vocab: number): TransformerConfig {
  return transformerConfig(configFile(d_vocab), 'training/shape.ts');
}
