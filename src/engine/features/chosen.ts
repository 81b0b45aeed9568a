/** Engine, a part of `features explain` and `features fetch`: which features are meant, in which order. */
import { UsageError } from '../../errors.ts';
import { readGraph } from '../../graph/files.ts';
import type { Graph } from '../../graph/graph.ts';
import { topFeatures } from '../../graph/top.ts';
import type { FeaturesExplainRequest } from './explain-types.ts';
import { checkFeature } from './labels.ts';

export interface Place {
  readonly layer: number;
  readonly feature: number;
}

/** Throws `UsageError` unless exactly one of the three ways to name features was used. */
export function checkChoice({ chosen = [], graph, layers }: FeaturesExplainRequest): void {
  const given = [chosen.length > 0, graph !== undefined, layers !== undefined].filter(Boolean).length;
  if (given === 1) return;
  throw new UsageError({
    code: given === 0 ? 'no_features' : 'flags_exclude_each_other',
    message:
      given === 0
        ? 'no feature is named that should get a label'
        : 'features are named in more than one way: by number, with --graph or with --layers',
    hint: 'Give LAYER:FEATURE (repeatable), --graph FILE, or --layers FROM:TO.',
  });
}

/** The graph of the request, if it names one. */
export async function graphOf({ graph }: Pick<FeaturesExplainRequest, 'graph'>): Promise<Graph | undefined> {
  return graph === undefined ? undefined : await readGraph(graph);
}

/**
 * The features, each once; those of a graph with the most influential first. Throws `UsageError` for one that the set does not have.
 * @param counts features of each layer of the model
 */
export function chosenFeatures(
  { chosen = [], layers }: Pick<FeaturesExplainRequest, 'chosen' | 'layers'>,
  graph: Graph | undefined,
  counts: readonly number[],
): Place[] {
  if (layers !== undefined) return featuresOfLayers(layers, counts);
  const named: readonly Place[] =
    graph === undefined
      ? chosen
      : topFeatures(graph, graph.layout.n_features).map(({ layer, feature }) => ({
          layer: layer!,
          feature: feature!,
        }));
  const unique = new Map(named.map((place) => [`${place.layer}_${place.feature}`, place]));
  for (const { layer, feature } of unique.values()) checkFeature(layer, feature, counts);
  return [...unique.values()];
}

function featuresOfLayers(
  { from, to }: { readonly from: number; readonly to: number },
  counts: readonly number[],
): Place[] {
  if (!(from < to && to <= counts.length)) {
    throw new UsageError({
      code: 'out_of_range',
      message: `--layers ${from}:${to}: the model has ${counts.length} layers`,
      hint: `Give FROM:TO within 0:${counts.length}; the end is excluded.`,
    });
  }
  const places: Place[] = [];
  for (let layer = from; layer < to; layer++) {
    for (let feature = 0; feature < counts[layer]!; feature++) places.push({ layer, feature });
  }
  return places;
}
