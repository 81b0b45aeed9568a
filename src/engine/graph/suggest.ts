/** Engine, `graph suggest`: the circuit of a graph that is worth talking about. No model is loaded; labels are those on the disk. */
import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { writeFileAtomic, type AtomicOptions } from '../../formats/atomic.ts';
import { withAnnotations, writeAnnotations } from '../../graph/annotations.ts';
import { featureOf, type Graph } from '../../graph/graph.ts';
import { readGraph } from '../../graph/files.ts';
import { placeOfNode, viewerGraph, type ViewerGraph } from '../../graph/neuronpedia.ts';
import { nodeId } from '../../graph/nodes.ts';
import { pruneGraph, type PrunedGraph, type PruneOptions } from '../../graph/prune.ts';
import { isViewerFile, readViewerGraph } from '../../graph/read-viewer.ts';
import { subgraphScores, type GraphScores } from '../../graph/scores.ts';
import { markedAnnotations } from '../../suggest/annotate.ts';
import { chooseNodes, type Choice } from '../../suggest/choose.ts';
import { greedyFeatures } from '../../suggest/greedy.ts';
import { checkLimits, SUGGEST_DEFAULTS, type SuggestLimits } from '../../suggest/limits.ts';
import { circuitOf, type SuggestedCircuit } from '../../suggest/suggest.ts';
import { graphOfViewer } from '../../suggest/viewer-graph.ts';
import { openFeatureSource } from '../features/source.ts';
import type { SavedFileResult } from '../result.ts';
import { writtenFile } from '../written-file.ts';
import { refuseInputs } from './export.ts';
import { withPinned } from './pinned-nodes.ts';

/** `annotations`: pins and supernodes, as `tracer serve` keeps them; `neuronpedia`: the graph with them. */
export type SuggestFormat = 'annotations' | 'neuronpedia';

export interface SuggestOptions extends PruneOptions, AtomicOptions, Partial<SuggestLimits> {
  readonly output?: string | undefined;
  readonly format?: SuggestFormat | undefined;
  /** Folder of the Hub's cache, where labels may be. */
  readonly cacheDir?: string | undefined;
}

export interface SuggestResult extends Omit<SuggestedCircuit, 'scores'> {
  readonly file: string;
  readonly prompt: string;
  /** Of the prompt, by position. */
  readonly tokens: readonly string[];
  readonly scores: {
    readonly suggested: GraphScores;
    /** As many features chosen one after the other for completeness alone, among the most influential. */
    readonly greedy: GraphScores;
    /** All features that pruning kept. */
    readonly pruned: GraphScores;
  };
  readonly n_pruned_features: number;
  readonly files: readonly SavedFileResult[];
}

/** Labels of features by `LAYER_FEATURE`. */
export type LabelsOf = (
  features: readonly (readonly [layer: number, feature: number])[],
) => Promise<Readonly<Record<string, string>>>;

/** Throws `UsageError` for limits and formats that do not fit, and where annotations exist already. */
export async function suggestForFile(file: string, options: SuggestOptions = {}): Promise<SuggestResult> {
  const { output, format = 'annotations' } = options;
  const limits = limitsOf(options);
  checkLimits(limits);
  checkOutput(options);
  if (output !== undefined) await refuseInputs([output], [file]);
  const opened = isViewerFile(file) ? await openViewer(file) : await openGraph(file);
  const { graph, idOf, scan, set } = opened;
  const pruned = pruneGraph(graph, options);
  const source = await openFeatureSource({ scan, set, cacheDir: options.cacheDir, offline: true });
  const choice = chooseNodes(pruned, limits);
  const circuit = await suggestFor(choice, idOf, limits, (features) => source.labels(features));
  const kept = keptFeatures(pruned);
  if (output !== undefined) {
    if (format === 'annotations') {
      await writeAnnotations(output, markedAnnotations(circuit), { ...options, existing: 'keep' });
    } else {
      const annotations = markedAnnotations(circuit);
      const drawn = opened.viewer ?? drawnWith(pruned, annotations.pinnedIds, output);
      const labels = await source.labels(featuresIn(drawn));
      const text = `${JSON.stringify(withAnnotations(drawn, annotations, labels))}\n`;
      await writeFileAtomic(output, text, options);
    }
  }
  const { scores, ...rest } = circuit;
  return {
    file,
    prompt: graph.provenance.prompt,
    tokens: graph.provenance.token_strings,
    ...rest,
    scores: {
      suggested: scores,
      greedy: subgraphScores(choice.small, greedyFeatures(choice.small, circuit.n_features)),
      pruned: subgraphScores(graph, kept),
    },
    n_pruned_features: kept.length,
    files: output === undefined ? [] : [await writtenFile(output)],
  };
}

/** The circuit of chosen nodes. */
export async function suggestFor(
  choice: Choice,
  idOf: (node: number) => string,
  limits: SuggestLimits,
  labelsOf: LabelsOf,
): Promise<SuggestedCircuit> {
  const places = choice.features.map((node) => featureOf(choice.small, node));
  return circuitOf(
    choice,
    idOf,
    await labelsOf(places.map(({ layer, feature }) => [layer, feature])),
    limits,
  );
}

interface OpenedFile {
  readonly graph: Graph;
  readonly idOf: (node: number) => string;
  readonly scan: string;
  readonly set?: { readonly name: string; readonly revision: string | null };
  readonly viewer?: ViewerGraph;
}

async function openGraph(file: string): Promise<OpenedFile> {
  const graph = await readGraph(file);
  const { scan, transcoders: set } = graph.provenance;
  return { graph, idOf: (node) => nodeId(graph, node), scan, set };
}

async function openViewer(file: string): Promise<OpenedFile> {
  const viewer = await readViewerGraph(file);
  const found = graphOfViewer(viewer);
  if (found === null) {
    throw new UsageError({
      code: 'nothing_to_suggest',
      message: `${file} has no features or no logits that links could lead to, or more than fit into memory`,
      hint: 'Give a graph with features: a graph file, or the JSON of a viewer.',
    });
  }
  return { graph: found.graph, idOf: (node) => found.ids[node] ?? '', scan: viewer.metadata.scan, viewer };
}

function drawnWith(pruned: PrunedGraph, pinnedIds: readonly string[], output: string): ViewerGraph {
  return viewerGraph(withPinned(pruned, pinnedIds), { slug: path.parse(output).name });
}

function featuresIn({ nodes }: ViewerGraph): (readonly [layer: number, feature: number])[] {
  return nodes.flatMap((node) => {
    const place = placeOfNode(node);
    return place === null ? [] : [[place.layer, place.feature] as const];
  });
}

function keptFeatures({ graph, nodeMask }: PrunedGraph): number[] {
  return Array.from({ length: graph.layout.n_features }, (_, node) => node).filter(
    (node) => nodeMask[node] === 1,
  );
}

function limitsOf({ maxBoxes, maxNodes }: SuggestOptions): SuggestLimits {
  return {
    maxBoxes: maxBoxes ?? SUGGEST_DEFAULTS.maxBoxes,
    maxNodes: maxNodes ?? SUGGEST_DEFAULTS.maxNodes,
  };
}

function checkOutput({ output, format }: SuggestOptions): void {
  if (output === undefined && format !== undefined) {
    throw new UsageError({
      code: 'format_without_output',
      message: '--format says how --output is written, which is missing',
      hint: 'Add --output FILE.',
    });
  }
}
