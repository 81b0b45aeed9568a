/** Engine, a part of `features fetch`: what a request asks for. */
import { UsageError } from '../../errors.ts';
import type { Graph } from '../../graph/graph.ts';
import { templateOf, type SourceTemplate } from '../../neuronpedia/source-name.ts';
import { neuronpediaSource } from '../../neuronpedia/sources.ts';
import { chosenFeatures, type Place } from './chosen.ts';
import type { FeaturesFetchRequest } from './fetch-types.ts';

/** Throws `UsageError` unless exactly one way to name features was used. */
export function checkWay({ chosen = [], graph, bulk, layers }: FeaturesFetchRequest): void {
  const given = [chosen.length > 0, graph !== undefined, bulk === true].filter(Boolean).length;
  const refuse = (code: string, message: string): never => {
    const hint =
      'Give LAYER:FEATURE (repeatable), --graph FILE, or --bulk for all features; --layers names some layers of the latter two.';
    throw new UsageError({ code, message, hint });
  };
  if (given === 0) refuse('no_features', 'no feature is named that should be fetched');
  if (given > 1)
    refuse(
      'flags_exclude_each_other',
      'features are named in more than one way: by number, with --graph or with --bulk',
    );
  if (chosen.length > 0 && layers !== undefined)
    refuse('flags_exclude_each_other', '--layers does not go with features that are named by number');
}

/** Throws `UsageError` for a set that is not known to have pages on Neuronpedia. */
export function knownSource(name: string, scan: string): SourceTemplate {
  const known = neuronpediaSource(name) ?? neuronpediaSource(scan);
  if (known !== null) return templateOf(known);
  throw new UsageError({
    code: 'no_source',
    message: `it is not known which sources of Neuronpedia are those of ${name}`,
    hint: "Name them with --source 'MODEL/{layer}-NAME', as in the address of a feature's page there.",
  });
}

export function placesOf(
  { chosen, layers }: FeaturesFetchRequest,
  graph: Graph | undefined,
  counts: readonly number[],
): Place[] {
  const all = chosenFeatures({ chosen }, graph, counts);
  if (layers === undefined) return all;
  const wanted = new Set(layersOf(layers, counts));
  return all.filter(({ layer }) => wanted.has(layer));
}

/** By rising number. Throws `UsageError` for a layer that has no features. */
export function layersOf(layers: readonly number[] | undefined, counts: readonly number[]): number[] {
  const present = counts.flatMap((count, layer) => (count > 0 ? [layer] : []));
  if (layers === undefined) return present;
  const wrong = layers.find((layer) => !present.includes(layer));
  if (wrong === undefined && layers.length > 0) return [...new Set(layers)].sort((a, b) => a - b);
  throw new UsageError({
    code: 'out_of_range',
    message:
      wrong === undefined
        ? '--layers names no layer'
        : `--layers: the set has no transcoder for layer ${wrong}`,
    hint: `It has those of ${present.join(', ')}.`,
  });
}
