/** Engine, `graph suggest`: the circuit of a graph that is worth talking about. No model is loaded; labels are those on the disk. */
import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { writeFileAtomic, type AtomicOptions } from '../../formats/atomic.ts';
import { withAnnotations, writeAnnotations } from '../../graph/annotations.ts';
import { featuresOf, viewerGraph, type ViewerGraph } from '../../graph/neuronpedia.ts';
import { keptFeatures, type PrunedGraph, type PruneOptions } from '../../graph/prune.ts';
import { subgraphScores, type GraphScores } from '../../graph/scores.ts';
import { markedAnnotations } from '../../suggest/annotate.ts';
import { greedyFeatures } from '../../suggest/greedy.ts';
import { checkLimits, SUGGEST_DEFAULTS, type SuggestLimits } from '../../suggest/limits.ts';
import type { SuggestedCircuit } from '../../suggest/suggest.ts';
import { openFeatureSource } from '../features/source.ts';
import type { SavedFileResult } from '../result.ts';
import { writtenFile } from '../written-file.ts';
import { checkTextOutput } from '../graph-output.ts';
import { refuseInputs } from '../refuse-inputs.ts';
import { withPinned } from './pinned-nodes.ts';
import { openSuggestible, suggestFor } from './suggestible.ts';

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

/** Throws `UsageError` for limits and formats that do not fit, and where annotations exist already. */
export async function suggestForFile(file: string, options: SuggestOptions = {}): Promise<SuggestResult> {
  const { output, format = 'annotations' } = options;
  const limits = limitsOf(options);
  checkLimits(limits);
  if (output !== undefined) await refuseInputs([output], [file]);
  checkOutput(options);
  const opened = await openSuggestible(file, options);
  const { pruned, scan, set, viewer } = opened;
  const { graph } = pruned;
  const source = await openFeatureSource({ scan, set, cacheDir: options.cacheDir, offline: true });
  const { choice, circuit } = await suggestFor(opened, (features) => source.known(features), limits);
  const kept = keptFeatures(pruned);
  if (output !== undefined) {
    if (format === 'annotations') {
      await writeAnnotations(output, markedAnnotations(circuit), { ...options, existing: 'keep' });
    } else {
      const annotations = markedAnnotations(circuit);
      const drawn = viewer ?? drawnWith(pruned, annotations.pinnedIds, output);
      const labels = await source.labels(featuresOf(drawn));
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

function drawnWith(pruned: PrunedGraph, pinnedIds: readonly string[], output: string): ViewerGraph {
  return viewerGraph(withPinned(pruned, pinnedIds), { slug: path.parse(output).name });
}

function limitsOf({ maxBoxes, maxNodes }: SuggestOptions): SuggestLimits {
  return {
    maxBoxes: maxBoxes ?? SUGGEST_DEFAULTS.maxBoxes,
    maxNodes: maxNodes ?? SUGGEST_DEFAULTS.maxNodes,
  };
}

function checkOutput({ output, format }: SuggestOptions): void {
  if (output !== undefined) checkTextOutput(output);
  if (output === undefined && format !== undefined) {
    throw new UsageError({
      code: 'format_without_output',
      message: '--format says how --output is written, which is missing',
      hint: 'Add --output FILE.',
    });
  }
}
