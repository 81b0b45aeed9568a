/** Transcoder: what a set is, whatever its layout. A layout makes it from configuration files; everything after works on it. */
import type { TensorFile } from '../formats/tensor-file.ts';
import type { BlockSite, OutputSite } from '../model/hooks.ts';
import type { LayerSource } from './sources/source.ts';

/** `none`: there is no set (`no-set.ts`). */
export type SetKind = 'transcoder_set' | 'cross_layer_transcoder' | 'none';

export interface SetDescription {
  /** The name of its layout, for people. */
  readonly layout: string;
  readonly kind: SetKind;
  /** Where features read and write, as sites of a block (`ln2.hook_normalized`, `hook_mlp_out`). */
  readonly feature_input_hook: BlockSite;
  readonly feature_output_hook: OutputSite;
  /** The model that the set says it was made for; may be empty. */
  readonly model_name: string;
  /** The name under which feature pages are looked up, when the set gives one. */
  readonly scan: string | null;
  /** The files that say all this, as paths of the set, in order. */
  readonly configFiles: readonly string[];
  /** The layers that the set has, ascending. */
  readonly layers: readonly LayerDescription[];
  /** The file of a layer, in layouts where its name follows from the layer. */
  readonly fileOf?: (layer: number) => string;
}

/** One layer of a set, before its files are opened. */
export interface LayerDescription {
  readonly layer: number;
  /** Paths of the set, absolute paths or `hf://` addresses. */
  readonly files: readonly string[];
  /** Where its tensors lie in the opened files. Throws `BadFileError` for what does not fit the layout. */
  readonly source: (files: readonly TensorFile[], model: ModelSize) => LayerSource;
}

/** Sizes of the model that a layer is read for. */
export interface ModelSize {
  readonly n_layers: number;
  readonly d_model: number;
}

/** Sites for which the backward pass has a rule (golden README, section 5). */
export const INPUT_SITES: readonly BlockSite[] = ['ln2.hook_normalized', 'mlp.hook_in', 'hook_resid_mid'];
export const OUTPUT_SITES: readonly OutputSite[] = ['hook_mlp_out', 'mlp.hook_out'];
