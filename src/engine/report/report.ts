/** Engine, verb `report`: a page about one graph for a paper's appendix, as HTML or Markdown. */
import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { writeFileAtomic } from '../../formats/atomic.ts';
import type { ViewerGraph } from '../../graph/neuronpedia.ts';
import { viewerGraph } from '../../graph/neuronpedia.ts';
import { keptFeatures } from '../../graph/prune.ts';
import { graphScores, subgraphScores } from '../../graph/scores.ts';
import { contentOf } from '../../paper/content.ts';
import { htmlOf } from '../../paper/html.ts';
import { markdownOf } from '../../paper/markdown.ts';
import type { Paper, PaperProvenance, PaperScores, PaperTarget } from '../../paper/paper.ts';
import { labelsFrom } from '../../picture/labels.ts';
import { makePicture } from '../../picture/picture.ts';
import { supernodeView } from '../../picture/subgraph.ts';
import { subgraphSvg } from '../../picture/subgraph-svg.ts';
import { openFeatureSource } from '../features/source.ts';
import { prunedFurther } from '../graph/drawn-graph.ts';
import { withPinned } from '../graph/pinned-nodes.ts';
import { packageVersion } from '../provenance.ts';
import type { Session } from '../session.ts';
import { writtenFile } from '../written-file.ts';
import { chooseCircuit, type ChosenCircuit } from './circuit.ts';
import { commandOf } from './command.ts';
import { effectsOf, targetOrder } from './effects.ts';
import { boxesOf, featuresAmong, type CircuitBox } from './members.ts';
import { fileFacts, openGraph, type OpenedGraph } from './open.ts';
import { checkOutputs, formatOf, outputFiles } from './outputs.ts';
import type { ComposedReport, ReportRequest, ReportResult } from './types.ts';

/** Links whose weight stands beside them in the figure. */
const SHOWN_WEIGHTS = 16;
/** Letters of a title that is the prompt. */
const TITLE_LETTERS = 120;
const SPECIAL_TOKEN = /^<.+>$/;

/** Writes the page, and for Markdown its figure beside it. Errors as `composeReport`; an output that replaces an input is refused. */
export async function report(request: ReportRequest): Promise<ReportResult> {
  return await written(request);
}

/** As `report`, measured in a session that is loaded already, if the graph is one of its model. */
export async function reportIn(session: Session, request: ReportRequest): Promise<ReportResult> {
  return await written(request, session);
}

async function written(request: ReportRequest, held?: Session): Promise<ReportResult> {
  const format = formatOf(request);
  const files = outputFiles(request, format);
  await checkOutputs(files, request);
  const composed = await composeReport(request, held);
  const text = pageText(composed, files.svg === null ? null : path.basename(files.svg));
  if (files.svg !== null) await writeFileAtomic(files.svg, composed.svg, request);
  await writeFileAtomic(files.page, text, request);
  const all = [files.page, ...(files.svg === null ? [] : [files.svg])];
  return {
    file: request.file,
    format,
    ...composed.paper,
    files: await Promise.all(all.map(writtenFile)),
  };
}

/** The page as a text. @param svgFile of Markdown: the file beside it that has the figure; null where there is none */
export function pageText({ paper, format, svg }: ComposedReport, svgFile: string | null): string {
  const content = contentOf(paper);
  return format === 'html' ? htmlOf(content, svg) : markdownOf(content, svgFile);
}

/**
 * What the page says, and its figure. The same files give the same page. Throws what reading a graph and its annotations throws,
 * `UsageError` for a circuit that cannot be shown, and what `openSession` throws for a model that the request names.
 */
export async function composeReport(request: ReportRequest, held?: Session): Promise<ComposedReport> {
  const format = formatOf(request);
  const opened = await openGraph(request);
  const { pruned, scan, set } = opened;
  const { prompt, token_strings: tokens } = pruned.graph.provenance;
  const { cacheDir, features: folder } = request;
  const source = await openFeatureSource({ scan, set, folder, cacheDir, offline: true });
  const chosen = await chooseCircuit(request, opened, source);
  const { pinnedIds, supernodes, sg_pos, clerps } = chosen.annotations;
  const drawn = drawnWith(opened, chosen, request);
  const picture = makePicture(drawn);
  const features = pinnedIds.flatMap((id) => {
    const { layer, feature } = picture.nodes[picture.indexById.get(id) ?? -1] ?? {
      layer: null,
      feature: null,
    };
    return layer === null || feature === null ? [] : [[layer, feature] as const];
  });
  const labelOf = labelsFrom(picture, clerps, await source.labels(features));
  const subgraph = supernodeView(picture, pinnedIds, supernodes, labelOf);
  const lost_ids = pinnedIds.filter((id) => !picture.indexById.has(id));
  if (subgraph.nodes.length === 0) throw noneOfThem(chosen, lost_ids);
  const boxes = await boxesOf(opened, picture, subgraph.nodes, clerps, source);
  const placeOf = new Map(boxes.map((box, place) => [box.drawn, place]));
  const title = request.title?.trim() || titleOf(prompt, tokens);
  const paper: Paper = {
    title,
    prompt,
    tokens,
    targets: targetsOf(opened),
    circuit: {
      origin: chosen.origin,
      file: chosen.path === null ? null : path.basename(chosen.path),
      notes: chosen.annotations.notes,
      boxes: boxes.map(({ nodes: _nodes, drawn: _drawn, ...box }) => box),
      links: [...subgraph.links]
        .reverse()
        .map((link) => ({ ...link, source: placeOf.get(link.source)!, target: placeOf.get(link.target)! })),
      lost_ids,
      left_out: chosen.left_out,
      no_pages: whyNoPages(boxes, source.problem, scan),
    },
    effects: await effectsOf(request, opened, boxes, held),
    scores: scoresOf(opened, chosen, boxes),
    provenance: await provenanceOf(request, opened, chosen),
  };
  const svg = subgraphSvg(picture, {
    ...{ pinnedIds, supernodes, sg_pos, labelOf, title },
    weights: SHOWN_WEIGHTS,
    height: 'fitted',
  });
  return { paper, format, svg };
}

/** The graph as it is drawn, with everything that is pinned. */
function drawnWith(
  { pruned, viewer }: OpenedGraph,
  { annotations }: ChosenCircuit,
  { nodeThreshold, edgeThreshold, file }: ReportRequest,
): ViewerGraph {
  if (viewer !== undefined) return prunedFurther(viewer, annotations, { nodeThreshold, edgeThreshold });
  return viewerGraph(withPinned(pruned, annotations.pinnedIds), { slug: path.parse(file).name });
}

/** Without the tokens in front that no person wrote. */
function titleOf(prompt: string, tokens: readonly string[]): string {
  let rest = prompt;
  for (const token of tokens) {
    if (!SPECIAL_TOKEN.test(token) || !rest.startsWith(token)) break;
    rest = rest.slice(token.length);
  }
  const line = (rest.trim() === '' ? prompt : rest).replace(/\s+/g, ' ').trim();
  return line.length <= TITLE_LETTERS ? line : `${line.slice(0, TITLE_LETTERS - 1).trimEnd()}…`;
}

function targetsOf({ pruned: { graph }, viewer }: OpenedGraph): PaperTarget[] {
  const { logit_token_ids: ids, logit_probabilities, provenance } = graph;
  const { vocabulary_size, logit_labels } = provenance;
  return targetOrder(graph).map((logit) => {
    const isDirection = vocabulary_size !== null && ids[logit]! >= vocabulary_size;
    return {
      token: logit_labels[logit]!,
      token_id: viewer !== undefined || isDirection ? null : ids[logit]!,
      probability: logit_probabilities[logit]!,
    };
  });
}

function whyNoPages(boxes: readonly CircuitBox[], problem: string | null, scan: string): string | null {
  const features = boxes.flatMap(({ members }) => members.filter(({ kind }) => kind === 'feature'));
  if (features.length === 0 || features.some(({ label, examples }) => label !== null || examples.length > 0))
    return null;
  const where = `There are no pages of features of ${JSON.stringify(scan)} on this machine, so labels and examples are missing`;
  return `${where}${problem === null ? '' : ` (${problem})`}.`;
}

function scoresOf(
  { pruned, viewer }: OpenedGraph,
  { greedy }: ChosenCircuit,
  boxes: readonly CircuitBox[],
): PaperScores {
  const { graph } = pruned;
  const scored = (nodes: readonly number[]) => ({
    n_features: nodes.length,
    scores: subgraphScores(graph, nodes),
  });
  const isWhole = graph.provenance.scores === undefined;
  return {
    whole:
      viewer === undefined
        ? { n_features: isWhole ? graph.layout.n_features : null, scores: graphScores(graph) }
        : null,
    pruned: scored(keptFeatures(pruned)),
    circuit: scored([...new Set(boxes.flatMap(({ nodes }) => featuresAmong(graph, nodes)))]),
    greedy,
  };
}

async function provenanceOf(
  request: ReportRequest,
  opened: OpenedGraph,
  chosen: ChosenCircuit,
): Promise<PaperProvenance> {
  const { pruned, viewer, file, scan } = opened;
  const { tracer_version, model, transcoders, backend, device, dtype, options, created } =
    pruned.graph.provenance;
  const source = ({ name, revision, config_sha256 }: typeof model) => ({ name, revision, config_sha256 });
  return {
    file,
    annotations: chosen.path === null ? null : await fileFacts(chosen.path),
    graph:
      viewer === undefined
        ? {
            tracer_version,
            model: source(model),
            transcoders: source(transcoders),
            backend,
            device,
            dtype,
            options,
            created,
          }
        : null,
    scan,
    node_threshold: pruned.nodeThreshold,
    edge_threshold: pruned.edgeThreshold,
    tracer_version: packageVersion(),
    command: commandOf(request, file.name),
  };
}

function noneOfThem({ path: file }: ChosenCircuit, lost: readonly string[]): UsageError {
  const of = file === null ? '' : ` of ${file}`;
  return new UsageError({
    code: 'pins_of_other_graph',
    message:
      lost.length === 1
        ? `the pinned node ${lost[0]}${of} is not in this graph`
        : `none of the ${lost.length} pinned nodes${of} is in this graph (${lost[0]}, …)`,
    hint: 'Name the annotations of this graph, or give --circuit suggested.',
  });
}
