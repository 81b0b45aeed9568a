/** Engine: a circuit from a graph file or a viewer's file that is in memory. Used by `graph suggest` and the viewer. */
import { UsageError } from '../../errors.ts';
import { featureOf } from '../../graph/graph.ts';
import type { GraphOfLinks } from '../../graph/links.ts';
import type { ViewerGraph } from '../../graph/neuronpedia.ts';
import { nodeId } from '../../graph/nodes.ts';
import { pruneGraph, type PrunedGraph, type PruneOptions } from '../../graph/prune.ts';
import { graphOfViewer } from '../../graph/viewer-arrays.ts';
import { chooseNodes, type Choice } from '../../suggest/choose.ts';
import type { KnownFeatures } from '../../suggest/known.ts';
import { SUGGEST_DEFAULTS, type SuggestLimits } from '../../suggest/limits.ts';
import { circuitOf, type SuggestedCircuit } from '../../suggest/suggest.ts';
import { graphInMemory, type GraphInMemory } from './in-memory.ts';

export type Suggestible = Named & (OfGraphFile | OfViewerFile);

interface Named {
  /** The id of a node in its file. */
  readonly idOf: (node: number) => string;
  readonly scan: string;
  readonly set?: { readonly name: string; readonly revision: string | null };
}

interface OfGraphFile {
  readonly pruned: PrunedGraph;
  readonly viewer?: undefined;
}

interface OfViewerFile {
  /** Without a matrix: it has few links. */
  readonly pruned: PrunedGraph<GraphOfLinks>;
  /** What the file holds. */
  readonly viewer: ViewerGraph;
}

/** What is known of features beside the graph. */
export type KnownOf = (
  features: readonly (readonly [layer: number, feature: number])[],
) => Promise<KnownFeatures>;

/** A graph with what its file calls its nodes; null for a viewer's file that no circuit can be made of. */
export function suggestible(open: GraphInMemory, options: PruneOptions = {}): Suggestible | null {
  if (open.kind === 'graph') {
    const { graph } = open;
    const { scan, transcoders: set } = graph.provenance;
    return { pruned: pruneGraph(graph, options), idOf: (node) => nodeId(graph, node), scan, set };
  }
  const found = graphOfViewer(open.viewer);
  if (found === null) return null;
  // It is pruned already: without thresholds all of it is kept.
  const { nodeThreshold = 1, edgeThreshold = 1 } = options;
  return {
    pruned: pruneGraph(found.graph, { nodeThreshold, edgeThreshold }),
    idOf: (node) => found.ids[node]!,
    scan: open.viewer.metadata.scan,
    viewer: open.viewer,
  };
}

/** As `suggestible`, of a file. Throws as `suggestibleOf`, and what reading throws. */
export async function openSuggestible(file: string, options: PruneOptions = {}): Promise<Suggestible> {
  return suggestibleOf(file, await graphInMemory(file), options);
}

/** Throws `UsageError` where there is nothing that a circuit could be made of. */
export function suggestibleOf(file: string, open: GraphInMemory, options: PruneOptions = {}): Suggestible {
  const found = suggestible(open, options);
  if (found !== null) return found;
  throw new UsageError({
    code: 'nothing_to_suggest',
    message: `${file} has no features or no logits that links could lead to, or more than fit into memory`,
    hint: 'Give a graph with features: a graph file, or the JSON of a viewer.',
  });
}

export async function suggestFor(
  { pruned, idOf }: Suggestible,
  knownOf: KnownOf,
  limits: SuggestLimits = SUGGEST_DEFAULTS,
): Promise<{ readonly choice: Choice; readonly circuit: SuggestedCircuit }> {
  const choice = chooseNodes(pruned, limits);
  const known = await knownOf(
    choice.features.map((node) => {
      const { layer, feature } = featureOf(choice.small, node);
      return [layer, feature];
    }),
  );
  return { choice, circuit: circuitOf(choice, idOf, known, limits) };
}
