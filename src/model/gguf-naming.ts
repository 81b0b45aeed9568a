/** Model, GGUF: the names of tensors, which are the same for all families but for those of norms: `blk.3.attn_q.weight`. */
import { BLOCK_MATRICES, type BlockMatrix, type BlockNorm } from './block-spec.ts';
import type { Naming, Place } from './naming.ts';
import { biasPath, matrixPath } from './parameters.ts';

const MODULES: Readonly<Record<BlockMatrix, string>> = {
  W_Q: 'attn_q',
  W_K: 'attn_k',
  W_V: 'attn_v',
  W_O: 'attn_output',
  W_router: 'ffn_gate_inp',
  W_gate: 'ffn_gate',
  W_in: 'ffn_up',
  W_out: 'ffn_down',
};

/** Of families with four norms a block. */
export const GGUF_GEMMA_NORMS = {
  ln1: 'attn_norm',
  ln1_post: 'post_attention_norm',
  ln2: 'ffn_norm',
  ln2_post: 'post_ffw_norm',
} as const;

/** The output matrix; without it the embedding takes its place. */
export const GGUF_OUTPUT = 'output.weight';
/** Divisors of the rotation's frequencies, of models with the scaling of Llama 3.1. */
export const GGUF_ROPE_FREQS = 'rope_freqs.weight';

/**
 * @param norms the module of each norm of a block
 * @param interleaved numbers of a head, where the rows of queries and keys are stored as llama.cpp rotates them
 */
export function ggufNaming(
  norms: Readonly<Partial<Record<BlockNorm, string>>>,
  interleaved: number | null = null,
): Naming {
  const rotated: readonly BlockMatrix[] = interleaved === null ? [] : ['W_Q', 'W_K'];
  return {
    prefix: '',
    model: {
      'embed.W_E': { key: 'token_embd.weight' },
      'ln_final.w': { key: 'output_norm.weight' },
      'unembed.W_U': { key: GGUF_OUTPUT },
    },
    block: (layer) => {
      const at = `blk.${layer}`;
      const places: Record<string, Place> = {
        'attn.q_norm.w': { key: `${at}.attn_q_norm.weight` },
        'attn.k_norm.w': { key: `${at}.attn_k_norm.weight` },
      };
      for (const name of BLOCK_MATRICES) {
        const order = rotated.includes(name) ? { interleaved: interleaved! } : {};
        places[matrixPath(name)] = { key: `${at}.${MODULES[name]}.weight`, ...order };
        places[biasPath(name)] = { key: `${at}.${MODULES[name]}.bias`, ...order };
      }
      for (const [norm, module] of Object.entries(norms))
        places[`${norm}.w`] = { key: `${at}.${module}.weight` };
      return places;
    },
  };
}
