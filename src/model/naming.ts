/** Model: where a checkpoint has each parameter. A family gives a table of these values. */

/** A part of a fused tensor: `length` entries of an axis from `offset` on, and again after every `stride`. */
export interface Part {
  readonly axis: 0 | 1;
  readonly offset: number;
  readonly length: number;
  readonly stride: number;
}

/** Where a checkpoint has a parameter. */
export interface Place {
  readonly key: string;
  /** The tensor is stored [input, output]. */
  readonly isTransposed?: boolean;
  /** Of the stored tensor, before it is turned. */
  readonly part?: Part;
  /**
   * Numbers of a head, where its rows are stored as llama.cpp rotates them: the first of the first half, the first of the second
   * half, the second of the first half, and so on.
   */
  readonly interleaved?: number;
  /** The tensor is one of `size` that lie one after the other in one, [size, …]. */
  readonly stack?: { readonly index: number; readonly size: number };
  /** Blocks and scales are two tensors (`mxfp4.ts`), whose keys are `key` and an ending. */
  readonly packing?: 'mxfp4';
}

/** Places by parameter, such as `attn.W_Q` of a block. */
export type Places = Readonly<Record<string, Place>>;

/** Where checkpoints of a model have its parameters. */
export interface Naming {
  /** What all keys but that of W_U begin with. */
  readonly prefix: string;
  /** `embed.W_E`, `pos_embed.W_pos`, `ln_final.w`, `ln_final.b`, `unembed.W_U`. */
  readonly model: Places;
  readonly block: (layer: number) => Places;
}
