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
import { DEFAULT_BY, graphsOfGroup, selectGraphs, type SelectedGraph } from '../../study/selection.ts';
import { packageVersion } from '../provenance.ts';
import { writtenFile } from '../written-file.ts';
import { withLabels } from './labels.ts';
import { writePicture } from './pictures.ts';
import { STUDY_DEFAULTS, type CircuitRequest, type CircuitResult } from './types.ts';

const SLUG = 'circuit';
const LEAST_GRAPHS = 2;

/** Errors are those of `openStudy` and `selectGraphs`; `UsageError` for too few graphs, and where nothing recurs. */
export async function circuit(request: CircuitRequest): Promise<CircuitResult> {
  const { group, output, svg, signal, seed = STUDY_DEFAULTS.seed, top = STUDY_DEFAULTS.top } = request;
  const { share = STUDY_DEFAULTS.share, align = STUDY_DEFAULTS.align } = request;
  const by = group === undefined ? request.by : (request.by ?? DEFAULT_BY);
  for (const file of [output, svg]) if (file !== undefined) await checkWritable(file);
  using study = await openStudy(request.study);
  const all = await selectGraphs(study, { ...request, by });
  const selected = group === undefined ? all : graphsOfGroup(all, by!, group);
  const { found, heldOut } = divided(selected, request.holdout, seed);
  const aligned = await readAligned(study, found, align);
  const made = consensusCircuit(aligned, {
    ...{ share, n_layers: study.description.n_layers, vocabulary_size: study.description.vocabulary_size },
    provenance: provenanceOf(study.description, request, { share, align, by, n_graphs: found.length }),
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
): { readonly found: number[]; readonly heldOut: number[] } {
  const graphs = selected.map(({ graph }) => graph);
  const n_heldOut = share === undefined ? 0 : Math.round(share * graphs.length);
  const drawn = new Set(new Random(seed).shuffled(graphs).slice(0, n_heldOut));
  const parts = {
    found: graphs.filter((graph) => !drawn.has(graph)),
    heldOut: graphs.filter((graph) => drawn.has(graph)),
  };
  const isTooSmall = share !== undefined && parts.heldOut.length < LEAST_GRAPHS;
  if (parts.found.length >= LEAST_GRAPHS && !isTooSmall) return parts;
  const held = share === undefined ? '' : `, of which ${parts.heldOut.length} are held out`;
  throw new UsageError({
    code: 'too_few_graphs',
    message: `${graphs.length} graphs were selected${held}; what recurs needs at least ${LEAST_GRAPHS}${share === undefined ? '' : ' in both parts'}`,
    hint: 'Select more graphs.',
  });
}

interface Found {
  readonly share: number;
  readonly align: string;
  readonly by: string | undefined;
  readonly n_graphs: number;
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
        ...{ share: found.share, align: found.align, n_graphs: found.n_graphs },
        ...{ by: found.by ?? null, group: group ?? null, where: where ?? null },
        ...(holdout !== undefined && { holdout, seed: seed ?? STUDY_DEFAULTS.seed }),
      },
    },
    scan,
    created: new Date().toISOString(),
  };
}

function nothingRecurs(share: number, n_graphs: number): UsageError {
  return new UsageError({
    code: 'nothing_recurs',
    message: `no feature with links to the answer is at the same place in ${share} of ${n_graphs} graphs`,
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
