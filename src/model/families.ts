/** Model: one row a family. What differs between families stands here and nowhere else; block code never sees a name. */
import { BadFileError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import type { AttentionType } from './config.ts';
import { GEMMA_2_NAMES, type WeightNames } from './weight-names.ts';

export interface Family {
  /** `model_type` of config.json. */
  readonly name: string;
  /** `architectures` of config.json. */
  readonly architecture: string;
  /** Activation of the gated MLP. */
  readonly act_fn: 'gelu_pytorch_tanh';
  /** Other spellings of the same function in older configurations. */
  readonly act_fn_aliases: readonly string[];
  /** Norm gains are stored as w and used as w + this. */
  readonly normGainOffset: 0 | 1;
  readonly scalesEmbedding: boolean;
  /** Attention of a layer when config.json does not list `layer_types`. */
  readonly defaultAttention: (layer: number) => AttentionType;
  /** What holds when config.json does not have the key at all; null there means none. */
  readonly defaultWindow: number | null;
  readonly defaultSoftCaps: { readonly attn_scores: number | null; readonly output_logits: number | null };
  /** Tokens that end a text when neither configuration file says which. */
  readonly defaultEndTokens: readonly number[];
  readonly weights: WeightNames;
}

const FAMILIES: readonly Family[] = [
  {
    name: 'gemma2',
    architecture: 'Gemma2ForCausalLM',
    act_fn: 'gelu_pytorch_tanh',
    // Early Gemma configurations say "gelu" or "gelu_new" and mean the tanh form.
    act_fn_aliases: ['gelu', 'gelu_new'],
    normGainOffset: 1,
    scalesEmbedding: true,
    // Layer 0 is local (Hugging Face's Gemma2Config; TransformerLens' built-in table has it the other way round).
    defaultAttention: (layer) => (layer % 2 === 0 ? 'local' : 'global'),
    // As in Hugging Face's Gemma2Config.
    defaultWindow: 4096,
    defaultSoftCaps: { attn_scores: 50, output_logits: 30 },
    // As in Hugging Face's Gemma2Config.
    defaultEndTokens: [1],
    weights: GEMMA_2_NAMES,
  },
];

/** The row of a family. Throws `BadFileError` that lists the known ones. */
export function familyOf(modelType: string, fileName: string): Family {
  const family = FAMILIES.find((row) => row.name === modelType);
  if (family) return family;
  const known = FAMILIES.map((row) => row.name);
  const near = nearest(modelType, known);
  throw new BadFileError({
    code: 'unknown_family',
    message: `${fileName}: model_type is "${modelType}"; known are ${known.map((name) => `"${name}"`).join(', ')}`,
    hint: near ? `Did the author mean "${near}"?` : 'Only these families can be traced so far.',
  });
}
