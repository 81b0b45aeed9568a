/** Model: every place of a forward pass that can be read or changed, with its shape. This table is also the documentation. */
import { UsageError } from '../errors.ts';
import type { Tensor } from '../backend/backend.ts';
import { nearest } from '../nearest.ts';
import { BLOCK_NORMS, type BlockSpec } from './block-spec.ts';
import type { TransformerConfig } from './config.ts';

/** Places inside a block, in the order of a pass; which of them exist depends on the model. */
export const BLOCK_SITES = {
  hook_resid_pre: '[pos, d_model]',
  'ln1.hook_scale': '[pos, 1]',
  'ln1.hook_normalized': '[pos, d_model]',
  'attn.hook_q': '[pos, n_heads, d_head]',
  'attn.hook_k': '[pos, n_kv_heads, d_head]',
  'attn.hook_v': '[pos, n_kv_heads, d_head]',
  'attn.q_norm.hook_scale': '[pos * n_heads, 1]',
  'attn.q_norm.hook_normalized': '[pos * n_heads, d_head]',
  'attn.k_norm.hook_scale': '[pos * n_kv_heads, 1]',
  'attn.k_norm.hook_normalized': '[pos * n_kv_heads, d_head]',
  'attn.hook_rot_q': '[pos, n_heads, d_head]',
  'attn.hook_rot_k': '[pos, n_kv_heads, d_head]',
  'attn.hook_attn_scores': '[n_heads, q_pos, k_pos]',
  'attn.hook_pattern': '[n_heads, q_pos, k_pos]',
  'attn.hook_z': '[pos, n_heads, d_head]',
  'ln1_post.hook_scale': '[pos, 1]',
  'ln1_post.hook_normalized': '[pos, d_model]',
  hook_attn_out: '[pos, d_model]',
  hook_resid_mid: '[pos, d_model]',
  'ln2.hook_scale': '[pos, 1]',
  'ln2.hook_normalized': '[pos, d_model]',
  'mlp.hook_in': '[pos, d_model]',
  'mlp.hook_router_logits': '[pos, n_experts]',
  'mlp.hook_expert_weights': '[pos, n_experts]',
  'mlp.hook_pre': '[pos, d_mlp]',
  'mlp.hook_pre_linear': '[pos, d_mlp]',
  'mlp.hook_post': '[pos, d_mlp]',
  'mlp.hook_out': '[pos, d_model]',
  'mlp.hook_out.hook_out_grad': '[pos, d_model]',
  'ln2_post.hook_scale': '[pos, 1]',
  'ln2_post.hook_normalized': '[pos, d_model]',
  hook_mlp_out: '[pos, d_model]',
  'hook_mlp_out.hook_out_grad': '[pos, d_model]',
  hook_resid_post: '[pos, d_model]',
} as const;

/** Places outside the blocks, before them and after them. */
export const MODEL_SITES = {
  hook_embed: '[pos, d_model]',
  hook_pos_embed: '[pos, d_model]',
  'ln_final.hook_scale': '[pos, 1]',
  'ln_final.hook_normalized': '[pos, d_model]',
  'unembed.hook_pre': '[pos, d_model]',
  'unembed.hook_post': '[pos, d_vocab]',
} as const;

export type BlockSite = keyof typeof BLOCK_SITES;
export type ModelSite = keyof typeof MODEL_SITES;
export type HookName = ModelSite | `blocks.${number}.${BlockSite}`;

export function blockHook(layer: number, site: BlockSite): HookName {
  return `blocks.${layer}.${site}`;
}

/** What features may write to. Behind it stands a hook at which the gradient of the output can be read. */
export type OutputSite = 'hook_mlp_out' | 'mlp.hook_out';

/** What decides which hooks a model has. */
export type HookedConfig = Pick<TransformerConfig, 'n_layers' | 'block' | 'positions'>;

/** Places inside an MLP, and the kinds of MLPs that have them. */
const MLP_SITES: Readonly<Partial<Record<BlockSite, readonly BlockSpec['mlp'][]>>> = {
  'mlp.hook_router_logits': ['experts'],
  'mlp.hook_expert_weights': ['experts'],
  'mlp.hook_pre': ['gated', 'plain'],
  'mlp.hook_pre_linear': ['gated'],
  'mlp.hook_post': ['gated', 'plain'],
};

/** The places that blocks of a model have, in the order of a pass. */
function blockSites({ block, positions }: HookedConfig, output: OutputSite): BlockSite[] {
  const exists = (site: BlockSite): boolean => {
    const norm = BLOCK_NORMS.find((each) => site.startsWith(`${each}.`));
    if (norm) return block.norms.includes(norm);
    if (site.startsWith('attn.hook_rot_')) return positions === 'rotary';
    if (/^attn\.[qk]_norm\./.test(site)) return block.qkNorm !== 'none';
    if (site.endsWith('.hook_out_grad')) return site === `${output}.hook_out_grad`;
    if (site === 'hook_resid_mid') return block.residual === 'sequential';
    const kinds = MLP_SITES[site];
    return !kinds || kinds.includes(block.mlp);
  };
  return (Object.keys(BLOCK_SITES) as BlockSite[]).filter(exists);
}

/** All hook names of a model in the order of a pass. @param output what the features of its set write to */
export function hookNames(config: HookedConfig, output: OutputSite = 'hook_mlp_out'): HookName[] {
  const names: HookName[] = ['hook_embed'];
  if (config.positions === 'learned') names.push('hook_pos_embed');
  const sites = blockSites(config, output);
  for (let layer = 0; layer < config.n_layers; layer++) {
    for (const site of sites) names.push(blockHook(layer, site));
  }
  return [
    ...names,
    'ln_final.hook_scale',
    'ln_final.hook_normalized',
    'unembed.hook_pre',
    'unembed.hook_post',
  ];
}

/** Whether a hook stands before the first block. */
export function isBeforeBlocks(name: HookName): boolean {
  return name === 'hook_embed' || name === 'hook_pos_embed';
}

/** The layer that a hook is in; null outside the blocks. */
export function layerOfHook(name: HookName): number | null {
  const layer = /^blocks\.(\d+)\./.exec(name)?.[1];
  return layer === undefined ? null : Number(layer);
}

/** The shape of a hook as text, such as `[pos, d_model]`. */
export function hookShape(name: HookName, { qkNorm }: Pick<BlockSpec, 'qkNorm'>): string {
  const site = name.replace(/^blocks\.\d+\./, '');
  if (!(site in BLOCK_SITES)) return MODEL_SITES[site as ModelSite];
  const shape = BLOCK_SITES[site as BlockSite];
  // Norms of all heads together have a row a position.
  return qkNorm === 'all' ? shape.replace(/^\[pos \* (\w+), d_head\]$/, '[pos, $1 * d_head]') : shape;
}

/**
 * The hook names that patterns stand for; `*` stands for any text. The reference's spelling of the hooks inside a
 * replaced MLP (`mlp.old_mlp.hook_pre`) is accepted. Throws `UsageError` for a pattern that matches nothing.
 */
export function matchHooks(
  patterns: readonly string[],
  config: HookedConfig,
  extra: readonly string[] = [],
  output?: OutputSite,
): Set<string> {
  const names: string[] = [...hookNames(config, output), ...extra];
  const matched = new Set<string>();
  for (const pattern of patterns) {
    const plain = pattern.replaceAll('.old_mlp.', '.');
    const expression = new RegExp(`^${plain.split('*').map(escapeForRegExp).join('.*')}$`);
    const hits = names.filter((name) => expression.test(name));
    if (hits.length === 0) {
      const near = nearest(plain, names);
      throw new UsageError({
        code: 'unknown_hook',
        message: `no hook matches '${pattern}' in this model of ${config.n_layers} layers`,
        hint: near
          ? `Did you mean '${near}'? \`tracer inspect --hooks\` lists all names.`
          : '`tracer inspect --hooks` lists all names; `*` stands for any text.',
      });
    }
    for (const hit of hits) matched.add(hit);
  }
  return matched;
}

function escapeForRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/**
 * Receives the value at a hook and returns the value that the pass continues with: the same one, or another of the same shape;
 * `undefined` leaves it unchanged.
 *
 * Ownership: no tensor changes its owner. The pass continues with its own handle on the numbers that are returned, so an edit
 * may return its argument, a tensor that it makes (freed with the layer), or one with another owner, such as
 * `cache.get(name)`, which stays the cache's. The argument is the edit's own handle: the edit may dispose it, or keep it beyond
 * the layer with `tf.keep` and dispose it later.
 */
export type Edit = (value: Tensor, name: HookName) => Tensor | undefined;

/**
 * The value after an edit; it belongs to the scope (`tf.tidy`) that this is called in. A clone shares the numbers, so it
 * takes no memory. Throws `UsageError` for a tensor of another shape.
 */
export function applyEdit<T extends Tensor>(edit: Edit, value: T, name: HookName): T {
  const edited = edit(value.clone(), name) ?? value;
  if (edited.shape.join() !== value.shape.join()) {
    throw new UsageError({
      code: 'hook_shape',
      message: `the edit at ${name} returned a tensor of shape [${edited.shape.join(', ')}]; expected [${value.shape.join(', ')}]`,
      hint: 'An edit returns its value, or another tensor of the same shape.',
    });
  }
  return edited.clone() as T;
}

/** Hooks are values passed to one run; nothing is installed, so nothing has to be removed. */
export interface RunHooks {
  readonly edits?: ReadonlyMap<HookName, Edit>;
  /** Which values to keep in the activation cache of the run. */
  readonly capture?: (name: HookName) => boolean;
}

/** Merges edits: at a hook named by both, the first is applied before the second. Each owns what it would own alone. */
export function composeEdits(
  first: ReadonlyMap<HookName, Edit>,
  second: ReadonlyMap<HookName, Edit>,
): ReadonlyMap<HookName, Edit> {
  const merged = new Map(first);
  for (const [name, edit] of second) {
    const earlier = merged.get(name);
    merged.set(name, earlier ? (value, at) => edit(applyEdit(earlier, value, at), at) : edit);
  }
  return merged;
}
