/** Attention, step 1: a prompt's frozen pass with its linear model and all its sources, which every question here starts from. */
import type { Tensor, Tensor2D, Tensor3D } from '../backend/backend.ts';
import { FrozenPass } from '../attribution/frozen-pass.ts';
import { LinearModel } from '../attribution/linear-model.ts';
import { Sources } from '../attribution/sources.ts';
import { RowColumns } from '../graph/row-columns.ts';
import { blockHook, type BlockSite, type HookName } from '../model/hooks.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { layerConstants, type LayerConstants } from './constants.ts';
import { SourceList } from './source-list.ts';

/** What scores are explained by. */
const SCORE_SITES: readonly BlockSite[] = [
  'attn.hook_q',
  'attn.hook_k',
  'attn.hook_rot_q',
  'attn.hook_rot_k',
  'attn.q_norm.hook_scale',
  'attn.k_norm.hook_scale',
];

export interface TracedPromptOptions {
  /** Layers whose queries and keys are kept; default none. */
  readonly scoresOf?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

/** Belongs to a prompt. Dispose it, or take it with `using`. */
export class TracedPrompt implements Disposable {
  readonly replacement: ReplacementModel;
  readonly pass: FrozenPass;
  readonly linear: LinearModel;
  readonly sources: Sources;
  readonly list: SourceList;
  readonly signal: AbortSignal | undefined;

  private constructor(replacement: ReplacementModel, pass: FrozenPass, signal: AbortSignal | undefined) {
    const { n_layers, positions } = replacement.model.config;
    const { features, n_pos } = pass;
    this.replacement = replacement;
    this.pass = pass;
    this.linear = new LinearModel(replacement, pass);
    this.sources = new Sources(replacement, pass, RowColumns.ofAll(features.indices, n_layers, n_pos));
    this.list = new SourceList(features, { n_layers, n_pos, hasPositions: positions === 'learned' });
    this.signal = signal;
  }

  /** Runs a prompt. Throws what `forward` throws. */
  static async of(
    replacement: ReplacementModel,
    tokens: readonly number[],
    { scoresOf = [], signal }: TracedPromptOptions = {},
  ): Promise<TracedPrompt> {
    const { n_layers } = replacement.model.config;
    const names = new Set<HookName>(['hook_pos_embed']);
    for (const layer of scoresOf) for (const site of SCORE_SITES) names.add(blockHook(layer, site));
    for (let layer = 0; layer < n_layers; layer++) names.add(blockHook(layer, 'attn.hook_v'));
    const pass = await FrozenPass.of(replacement, tokens, {
      firstPosition: replacement.ignoredPositions(tokens),
      capture: (name) => names.has(name),
      signal,
    });
    return new TracedPrompt(replacement, pass, signal);
  }

  get n_pos(): number {
    return this.pass.n_pos;
  }

  /** What was captured in a block; it stays the pass's. */
  at<T extends Tensor>(layer: number, site: BlockSite): T {
    return this.pass.activations.get<T>(blockHook(layer, site));
  }

  /** Learned positions as they enter the residual stream, [pos, d_model]; null without. They stay the pass's. */
  get positionVectors(): Tensor2D | null {
    const { positions } = this.replacement.model.config;
    return positions === 'learned' ? this.pass.activations.get<Tensor2D>('hook_pos_embed') : null;
  }

  /** Queries of a layer as they are multiplied with keys, [pos, n_heads, d_head]; they stay the pass's. */
  queries(layer: number): Tensor3D {
    return this.at(layer, this.replacement.model.config.rotary ? 'attn.hook_rot_q' : 'attn.hook_q');
  }

  /** Keys of a layer as they are multiplied with queries, [pos, n_kv_heads, d_head]; they stay the pass's. */
  keys(layer: number): Tensor3D {
    return this.at(layer, this.replacement.model.config.rotary ? 'attn.hook_rot_k' : 'attn.hook_k');
  }

  /** Dispose it after use. */
  constants(layer: number): Promise<LayerConstants> {
    return layerConstants(this.replacement, this.pass, this.linear, layer);
  }

  /** The first key that a query of a layer may see. */
  oldestVisible(layer: number, query: number): number {
    const window = this.window(layer);
    return window === null ? 0 : Math.max(0, query - window + 1);
  }

  /** Keys that a query of a layer sees, its own included; null: all. */
  window(layer: number): number | null {
    const { attn_types, window_size } = this.replacement.model.config;
    return attn_types[layer] === 'local' ? window_size : null;
  }

  [Symbol.dispose](): void {
    this.sources[Symbol.dispose]();
    this.pass[Symbol.dispose]();
  }
}
