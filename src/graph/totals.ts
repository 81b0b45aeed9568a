/** Graph, analysis: features summed over positions, so that graphs of different prompts can be compared. */

import { UsageError } from '../errors.ts';
import { featureOf, type Graph } from './graph.ts';

/** A feature over all positions of one graph. */
export interface FeatureTotal {
  readonly layer: number;
  readonly feature: number;
  /** Sum over positions. */
  readonly influence: number;
  /** Sum over positions. */
  readonly activation: number;
  readonly positions: readonly number[];
  /** The tokens at those positions. */
  readonly tokens: readonly string[];
}

/** `layer_feature`, the same in all graphs of one transcoder set. */
export function featureKey(layer: number, feature: number): string {
  return `${layer}_${feature}`;
}

/** Selected features by `featureKey`, in order of layer, then as they first occur. */
export function featureTotals(graph: Graph): Map<string, FeatureTotal> {
  const totals = new Map<string, FeatureTotal>();
  for (let node = 0; node < graph.layout.n_features; node++) {
    const { layer, position, feature, activation } = featureOf(graph, node);
    const key = featureKey(layer, feature);
    const before = totals.get(key);
    totals.set(key, {
      layer,
      feature,
      influence: (before?.influence ?? 0) + graph.node_influence[node]!,
      activation: (before?.activation ?? 0) + activation,
      positions: [...(before?.positions ?? []), position],
      tokens: [...(before?.tokens ?? []), graph.provenance.token_strings[position]!],
    });
  }
  return totals;
}

/**
 * Throws `UsageError` unless all graphs were made with one transcoder set: feature numbers of different sets are unrelated. A
 * graph that does not say which version of the set it was (one of another program) is taken to be of that of the others.
 */
export function requireOneSet(graphs: readonly Graph[]): void {
  const sets = new Set(graphs.map(setName));
  const names = new Set(graphs.map(nameAndLayers));
  const versions = new Set(graphs.flatMap((graph) => versionOf(graph) ?? []));
  if (names.size <= 1 && versions.size <= 1) return;
  throw new UsageError({
    code: 'different_sets',
    message: `The graphs were made with different transcoder sets: ${[...sets].join('; ')}.`,
    hint: 'Features can only be matched within one set: attribute both prompts with the same --transcoders.',
  });
}

function versionOf({ provenance: { transcoders } }: Graph): string | null {
  return transcoders.revision ?? transcoders.config_sha256;
}

function nameAndLayers({ layout, provenance: { transcoders } }: Graph): string {
  return `${transcoders.name}, ${layout.n_layers} layers`;
}

function setName(graph: Graph): string {
  const version = versionOf(graph);
  const { layout, provenance } = graph;
  return `${provenance.transcoders.name}${version === null ? '' : ` (${version})`}, ${layout.n_layers} layers`;
}
