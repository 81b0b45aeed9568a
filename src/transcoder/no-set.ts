/** Transcoder: no set at all, for a model alone. It has no layers, so whatever visits the layers of a set does nothing. */
import type { SetDescription } from './description.ts';

/** The name that stands for it. */
export const NO_SET = 'none';

export const NO_SET_DESCRIPTION: SetDescription = {
  layout: NO_SET,
  kind: NO_SET,
  feature_input_hook: 'mlp.hook_in',
  feature_output_hook: 'hook_mlp_out',
  model_name: '',
  scan: null,
  configFiles: [],
  layers: [],
};
