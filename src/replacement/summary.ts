/** Replacement: the facts of the configuration summary, counted from the model and its tables. */
import type { BlockSite } from '../model/hooks.ts';
import type { ReplacementModel } from './replacement-model.ts';

export interface ConfigurationSummary {
  readonly n_layers: number;
  readonly n_transcoders: number;
  /** Layers that keep their own MLP, since the set lacks them. Empty without any transcoder. */
  readonly layers_without_transcoder: readonly number[];
  /** Null without transcoders. */
  readonly feature_input_hook: BlockSite | null;
  readonly feature_output_hook: BlockSite | null;
  readonly n_skip_connections: number;
  readonly gradient_enabled_at: readonly string[];
  readonly gradient_stopped_at: readonly string[];
  /** Bytes of parameters held in memory. */
  readonly heldBytes: number;
  /** Bytes of parameters that are read from their files whenever they are used. */
  readonly streamedBytes: number;
}

export function summarize({ model, transcoders, flow }: ReplacementModel): ConfigurationSummary {
  const { W_E, W_pos, W_U, blocks } = model.weights;
  const weights = new Set([W_E, W_U, ...(W_pos ? [W_pos] : [])]);
  for (const { matrices, experts } of blocks) {
    for (const weight of Object.values(matrices)) weights.add(weight);
    for (const { W_gate_up, W_out } of experts ?? []) weights.add(W_gate_up).add(W_out);
  }
  for (const { W_enc, W_skip } of transcoders.layers) {
    weights.add(W_enc);
    if (W_skip) weights.add(W_skip);
  }
  const all = [...weights];
  const hasFeatures = transcoders.layers.length > 0;
  const without = transcoders.featureCounts.flatMap((count, layer) => (count === 0 ? [layer] : []));
  const heldBytes = all.reduce((sum, weight) => sum + weight.heldBytes, 0);
  return {
    n_layers: model.config.n_layers,
    n_transcoders: transcoders.layers.length,
    layers_without_transcoder: hasFeatures ? without : [],
    feature_input_hook: hasFeatures ? transcoders.config.feature_input_hook : null,
    feature_output_hook: hasFeatures ? transcoders.config.feature_output_hook : null,
    n_skip_connections: transcoders.layers.filter((layer) => layer.W_skip).length,
    gradient_enabled_at: flow.enabledAt,
    gradient_stopped_at: flow.stoppedAt,
    heldBytes,
    streamedBytes: all.reduce((sum, weight) => sum + weight.storedBytes, 0) - heldBytes,
  };
}
