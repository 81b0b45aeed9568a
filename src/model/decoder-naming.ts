/** Model: the keys that most families share since Llama: `model.layers.3.self_attn.q_proj.weight`. */
import { BLOCK_MATRICES, type BlockMatrix, type BlockNorm } from './block-spec.ts';
import { biasPath, matrixPath } from './parameters.ts';
import type { Naming, Place } from './naming.ts';

const MODULES: Readonly<Record<BlockMatrix, string>> = {
  W_Q: 'self_attn.q_proj',
  W_K: 'self_attn.k_proj',
  W_V: 'self_attn.v_proj',
  W_O: 'self_attn.o_proj',
  W_router: 'mlp.router',
  W_gate: 'mlp.gate_proj',
  W_in: 'mlp.up_proj',
  W_out: 'mlp.down_proj',
};

/** @param norms the module of each norm of a block, which families name differently */
export function decoderNaming(norms: Readonly<Partial<Record<BlockNorm, string>>>): Naming {
  return {
    prefix: 'model.',
    model: {
      'embed.W_E': { key: 'model.embed_tokens.weight' },
      'ln_final.w': { key: 'model.norm.weight' },
      'unembed.W_U': { key: 'lm_head.weight' },
    },
    block: (layer) => {
      const at = `model.layers.${layer}`;
      const places: Record<string, Place> = {
        'attn.q_norm.w': { key: `${at}.self_attn.q_norm.weight` },
        'attn.k_norm.w': { key: `${at}.self_attn.k_norm.weight` },
        'attn.sinks': { key: `${at}.self_attn.sinks` },
      };
      for (const name of BLOCK_MATRICES) {
        places[matrixPath(name)] = { key: `${at}.${MODULES[name]}.weight` };
        places[biasPath(name)] = { key: `${at}.${MODULES[name]}.bias` };
      }
      for (const [norm, module] of Object.entries(norms))
        places[`${norm}.w`] = { key: `${at}.${module}.weight` };
      return places;
    },
  };
}
