/** Model: the parameters that a configuration calls for, in TransformerLens' terms, and where a checkpoint has each of them. */
import { ATTENTION_MATRICES, mlpMatricesOf, type BlockMatrix } from './block-spec.ts';
import type { TransformerConfig } from './config.ts';
import type { Naming, Place } from './naming.ts';

/** A parameter that a configuration calls for. */
export interface Parameter {
  /** In TransformerLens' terms, such as `blocks.3.attn.W_Q`. */
  readonly parameter: string;
  /** As it is used: matrices [output, input]. */
  readonly shape: readonly number[];
  readonly place: Place;
  /** The layer it belongs to; undefined for the embedding and the final norm. */
  readonly layer?: number;
}

/** Path of a matrix inside a block, `attn.W_Q`. */
export function matrixPath(name: BlockMatrix): string {
  return `${ATTENTION.includes(name) ? 'attn' : 'mlp'}.${name}`;
}

/** Path of the bias of a matrix, `attn.b_Q`. */
export function biasPath(name: BlockMatrix): string {
  return matrixPath(name).replace('W_', 'b_');
}

const ATTENTION: readonly BlockMatrix[] = ATTENTION_MATRICES;

/** Path of a parameter of an expert inside a block. */
export function expertPath(expert: number, name: 'W_gate_up' | 'b_gate_up' | 'W_out' | 'b_out'): string {
  return `mlp.experts.${expert}.${name}`;
}

function matrixShapes(config: TransformerConfig): Record<BlockMatrix, readonly [number, number]> {
  const { d_model, d_mlp, d_head, n_heads, n_kv_heads, block } = config;
  return {
    W_Q: [n_heads * d_head, d_model],
    W_K: [n_kv_heads * d_head, d_model],
    W_V: [n_kv_heads * d_head, d_model],
    W_O: [d_model, n_heads * d_head],
    W_router: [block.experts?.n_experts ?? 0, d_model],
    W_gate: [d_mlp, d_model],
    W_in: [d_mlp, d_model],
    W_out: [d_model, d_mlp],
  };
}

/** Parameters of a norm by name, `w` and of a layer norm `b`. */
export function normParts(config: TransformerConfig): readonly ('w' | 'b')[] {
  return config.block.norm.kind === 'layer' ? ['w', 'b'] : ['w'];
}

/** Parameters of a block with their shapes, in the order of a pass. */
function blockParameters(config: TransformerConfig): [path: string, shape: readonly number[]][] {
  const { block, d_model, d_mlp, d_head, n_heads, n_kv_heads } = config;
  const shapes = matrixShapes(config);
  const list: [string, readonly number[]][] = [];
  const addNorm = (name: (typeof block.norms)[number]): void => {
    if (block.norms.includes(name))
      for (const part of normParts(config)) list.push([`${name}.${part}`, [d_model]]);
  };
  const addMatrix = (name: BlockMatrix): void => {
    list.push([matrixPath(name), shapes[name]]);
    if (block.biased.includes(name)) list.push([biasPath(name), [shapes[name][0]]]);
  };
  addNorm('ln1');
  for (const name of ATTENTION_MATRICES) addMatrix(name);
  if (block.sinks) list.push(['attn.sinks', [n_heads]]);
  if (block.qkNorm !== 'none') {
    const size = (heads: number): number => (block.qkNorm === 'head' ? d_head : heads * d_head);
    list.push(['attn.q_norm.w', [size(n_heads)]], ['attn.k_norm.w', [size(n_kv_heads)]]);
  }
  addNorm('ln1_post');
  addNorm('ln2');
  for (const name of mlpMatricesOf(block)) addMatrix(name);
  for (let expert = 0; expert < (block.experts?.n_experts ?? 0); expert++) {
    list.push(
      [expertPath(expert, 'W_gate_up'), [2 * d_mlp, d_model]],
      [expertPath(expert, 'b_gate_up'), [2 * d_mlp]],
      [expertPath(expert, 'W_out'), [d_model, d_mlp]],
      [expertPath(expert, 'b_out'), [d_model]],
    );
  }
  addNorm('ln2_post');
  return list;
}

/** All parameters that a configuration calls for, in the order of a pass. */
export function parametersOf(config: TransformerConfig, naming: Naming = config.family.naming): Parameter[] {
  const embedding = [config.d_vocab, config.d_model];
  const ofModel = (parameter: string, shape: readonly number[]): Parameter => ({
    parameter,
    shape,
    place: naming.model[parameter]!,
  });
  const list: Parameter[] = [ofModel('embed.W_E', embedding)];
  if (config.positions === 'learned') list.push(ofModel('pos_embed.W_pos', [config.n_ctx, config.d_model]));
  const block = blockParameters(config);
  for (let layer = 0; layer < config.n_layers; layer++) {
    const places = naming.block(layer);
    for (const [path, shape] of block)
      list.push({ parameter: `blocks.${layer}.${path}`, shape, place: places[path]!, layer });
  }
  for (const part of normParts(config)) list.push(ofModel(`ln_final.${part}`, [config.d_model]));
  if (!config.tie_word_embeddings) list.push(ofModel('unembed.W_U', embedding));
  return list;
}

/** The shape that the tensor at a place has to have in a checkpoint. */
export function storedShape(shape: readonly number[], { isTransposed, part, stack }: Place): number[] {
  const stored = isTransposed ? [...shape].reverse() : [...shape];
  if (part) stored[part.axis] = (stored[part.axis]! / part.length) * part.stride;
  return stack ? [stack.size, ...stored] : stored;
}

/** How many numbers a parameter of a shape has. */
export function numberOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
