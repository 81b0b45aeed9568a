/** Engine, verb `graph circuit`: the consensus graph of a group as a graph file, and whether it holds on graphs that were held out. */
import { UsageError } from '../../errors.ts';
import { checkWritable } from '../../formats/atomic.ts';
import { writeGraph } from '../../graph/files.ts';
import type { Provenance } from '../../graph/graph.ts';
import { viewerGraph } from '../../graph/neuronpedia.ts';
import { pruneGraph } from '../../graph/prune.ts';
import { labelsFrom } from '../../picture/labels.ts';
import { makePicture } from '../../picture/picture.ts';
import { graphSvg } from '../../picture/svg.ts';
import { Random } from '../../random.ts';
import { readAligned, readKeyed } from '../../study/aligned.ts';
import { consensusCircuit, type Circuit } from '../../study/circuit.ts';
import type { StudyDescription } from '../../study/description.ts';
import { validateOnHeldOut } from '../../study/holdout.ts';
import { openStudy } from '../../study/open.ts';
import {
  DEFAULT_BY,
  graphsOfGroup,
  groupNames,
  selectGraphs,
  type SelectedGraph,
} from '../../study/selection.ts';
import { packageVersion } from '../provenance.ts';
import { checkGraphOutput } from '../graph-output.ts';
import { writtenFile } from '../written-file.ts';
import { plural } from '../../plural.ts';
import { promptDigest } from './consensus.ts';
import { withLabels } from './labels.ts';
import { refuseStudyFiles, writePicture } from './pictures.ts';
import { STUDY_DEFAULTS, type CircuitRequest, type CircuitResult } from './types.ts';

const SLUG = 'circuit';
const LEAST_GRAPHS = 2;
/** Groups that an error names. */
const MOST_NAMED = 20;

/** Errors are those of `openStudy` and `selectGraphs`; `UsageError` for too few graphs, and where nothing recurs. */
export async function circuit(request: CircuitRequest): Promise<CircuitResult> {
  const { group, output, svg, signal, seed = STUDY_DEFAULTS.seed, top = STUDY_DEFAULTS.top } = request;
  const { share = STUDY_DEFAULTS.share, align = STUDY_DEFAULTS.align } = request;
  const by = group === undefined ? request.by : (request.by ?? DEFAULT_BY);
  await refuseStudyFiles(request.study, [output, svg]);
  if (output !== undefined) checkGraphOutput(output);
  for (const file of [output, svg]) if (file !== undefined) await checkWritable(file);
  using study = await openStudy(request.study);
  const all = await selectGraphs(study, { ...request, by });
  if (group === undefined && by !== undefined) throw groupMissing(by, groupNames(all));
  const selected = group === undefined ? all : graphsOfGroup(all, by!, group);
  const parts = divided(selected, request.holdout, seed);
  const [found, heldOut] = [numbersOf(parts.found), numbersOf(parts.heldOut)];
  const aligned = await readAligned(study, found, align);
  const made = consensusCircuit(aligned, {
    ...{ share, n_layers: study.description.n_layers, vocabulary_size: study.description.vocabulary_size },
    provenance: provenanceOf(study.description, request, { share, align, by, graphs: parts.found }),
  });
  if (made.features.length === 0) throw nothingRecurs(share, found.length);
  const keys = new Set(made.features.map(({ key }) => key));
  const holdout =
    heldOut.length === 0
      ? null
      : validateOnHeldOut(
          await readKeyed(study, found, align),
          await readKeyed(study, heldOut, align),
          ...([keys, seed] as const),
        );
  const [features] = await withLabels([listed(made, found.length)], study.description, request.cacheDir);
  if (output !== undefined) await writeGraph(output, made.graph, { signal });
  const labels = new Map(features!.map(({ layer, feature, label }) => [`${layer}_${feature}`, label]));
  const pictures = await writePicture(svg, () => pictureOf(made, labels), signal);
  return {
    ...{ study: request.study, by: by ?? null, group: group ?? null, share, align, n_graphs: found.length },
    ...{ n_features: made.features.length, n_links: made.n_links },
    scores: { replacement: aligned.replacement, completeness: aligned.completeness },
    features: features!.slice(0, top),
    seed: holdout && seed,
    holdout,
    files: [...(output === undefined ? [] : [await writtenFile(output)]), ...pictures],
  };
}

/** Drawn at random; both parts in the order of the study. */
function divided(
  selected: readonly SelectedGraph[],
  share: number | undefined,
  seed: number,
): { readonly found: readonly SelectedGraph[]; readonly heldOut: readonly SelectedGraph[] } {
  const n_heldOut = share === undefined ? 0 : Math.round(share * selected.length);
  const drawn = new Set(new Random(seed).shuffled(selected).slice(0, n_heldOut));
  const parts = {
    found: selected.filter((graph) => !drawn.has(graph)),
    heldOut: selected.filter((graph) => drawn.has(graph)),
  };
  const isTooSmall = share !== undefined && parts.heldOut.length < LEAST_GRAPHS;
  if (parts.found.length >= LEAST_GRAPHS && !isTooSmall) return parts;
  const found =
    share === undefined
      ? `${plural(selected.length, 'graph')} selected`
      : `${plural(parts.found.length, 'graph')} to find a circuit in and ${parts.heldOut.length} held out`;
  throw new UsageError({
    code: 'too_few_graphs',
    message: `there ${selected.length === 1 ? 'is' : 'are'} ${found}; at least ${LEAST_GRAPHS} are needed${share === undefined ? '' : ' in both parts'}`,
    hint: 'Select more graphs, or hold out another share.',
  });
}

function numbersOf(graphs: readonly SelectedGraph[]): number[] {
  return graphs.map(({ graph }) => graph);
}

function groupMissing(by: string, groups: readonly string[]): UsageError {
  return new UsageError({
    code: 'group_missing',
    message: `--by ${by} names the column that --group is a value of, and --group is missing`,
    hint: `Give --group with one of ${groups.slice(0, MOST_NAMED).join(', ')}${groups.length > MOST_NAMED ? ', …' : ''}; without --by it is the circuit of all graphs.`,
  });
}

interface Found {
  readonly share: number;
  readonly align: string;
  readonly by: string | undefined;
  readonly graphs: readonly SelectedGraph[];
}

function provenanceOf(
  { model, transcoders, scan }: StudyDescription,
  { group, where, holdout, seed }: CircuitRequest,
  found: Found,
): Omit<Provenance, 'prompt' | 'token_strings' | 'logit_labels' | 'vocabulary_size' | 'scores'> {
  return {
    tracer_version: packageVersion(),
    model,
    transcoders,
    ...{ backend: 'none', device: 'none', dtype: 'float32' },
    options: {
      store: 'nodes',
      consensus: {
        ...{ share: found.share, align: found.align, n_graphs: found.graphs.length },
        ...{ by: found.by ?? null, group: group ?? null, where: where ?? null },
        ...(holdout !== undefined && { holdout, seed: seed ?? STUDY_DEFAULTS.seed }),
        // So that what it is tried on later is certain not to be among them.
        found_in: found.graphs.map(({ slug, prompt }) => ({ slug, prompt_sha256: promptDigest(prompt) })),
      },
    },
    scan,
    created: new Date().toISOString(),
  };
}

function nothingRecurs(share: number, n_graphs: number): UsageError {
  return new UsageError({
    code: 'nothing_recurs',
    message: `no feature with links to the answer is at the same place in a share of ${share} of ${plural(n_graphs, 'graph')}`,
    hint: 'Lower --share, select prompts of one template with --where, or try --align start.',
  });
}

function listed({ graph, features, firstPlace }: Circuit, n_graphs: number) {
  return features
    .map(({ layer, place, feature, n_graphs: count }, i) => ({
      ...{ layer, feature, place, token: graph.provenance.token_strings[place - firstPlace]! },
      ...{ n_graphs: count, share: count / n_graphs, influence: graph.node_influence[i]! },
    }))
    .sort((a, b) => b.influence - a.influence);
}

function pictureOf({ graph }: Circuit, labels: ReadonlyMap<string, string | null>): string {
  const whole = pruneGraph(graph, { nodeThreshold: 1, edgeThreshold: 1 });
  const picture = makePicture(viewerGraph(whole, { slug: SLUG }));
  const known = [...labels].flatMap(([key, label]) => (label === null ? [] : [[key, label] as const]));
  return graphSvg(picture, { labelOf: labelsFrom(picture, {}, Object.fromEntries(known)) });
}
