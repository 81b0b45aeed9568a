/** Page, state: the open graph, its visible part, the clicked and the hovered node, and labels. */
import { batch, computed, signal } from '@preact/signals';
import { labelsFrom, searchNodes } from '../../../src/picture/labels.ts';
import type { PictureGraph } from '../../../src/picture/picture-graph.ts';
import { indexOf, makePicture } from '../../../src/picture/picture.ts';
import { keepVisible, visibleAt } from '../../../src/picture/visible.ts';
import type { FeatureDetail, GraphEntry, OpenedGraph, ServerInfo } from '../../../src/viewer/api.ts';
import { exported, fetchGraph, fetchGraphs, fetchInfo, type Thresholds } from '../server.ts';
import type { AddressState } from '../../../src/picture/address.ts';
import { announce } from './ui.ts';
import { annotations, resetAnnotations, unsaved } from './annotations.ts';

export interface Opened {
  readonly slug: string;
  readonly kind: GraphEntry['kind'];
  readonly graph: OpenedGraph['graph'];
  readonly picture: PictureGraph;
  readonly scores: OpenedGraph['scores'];
  readonly canSteer: boolean;
}

export type Loading =
  | { readonly state: 'idle' }
  | { readonly state: 'loading'; readonly slug: string }
  | { readonly state: 'failed'; readonly slug: string; readonly error: Error };

/** Largest thresholds for graph files: with all nodes of a large model the page would be too slow. */
const LARGEST_THRESHOLDS: Thresholds = { node: 0.98, edge: 0.999 };
/** Thresholds have three decimals at most; smaller differences count as none. */
const SAME_THRESHOLD = 1e-6;

export const info = signal<ServerInfo | null>(null);
export const graphs = signal<readonly GraphEntry[]>([]);
export const graphsError = signal<Error | null>(null);

export const opened = signal<Opened | null>(null);
export const loading = signal<Loading>({ state: 'idle' });
/** Labels of the set's features, by `LAYER_FEATURE`. */
export const labels = signal<Readonly<Record<string, string>>>({});
export const clickedId = signal('');
export const hoveredId = signal<string | null>(null);
export const searchText = signal('');
/** Values of the sliders. */
export const thresholds = signal<Thresholds>({ node: 1, edge: 1 });

export const picture = computed(() => opened.value?.picture ?? null);

/** Upper limits of the sliders: for a viewer file, the thresholds that it was pruned with. */
export const mostThresholds = computed<Thresholds>(() => {
  const open = opened.value;
  if (open === null) return { node: 1, edge: 1 };
  if (open.kind === 'graph') return LARGEST_THRESHOLDS;
  return { node: open.picture.nodeThreshold, edge: open.picture.edgeThreshold };
});

export const clickedIndex = computed(() => indexIn(picture.value, clickedId.value));

export const pinnedIndices = computed(() => {
  const shown = picture.value;
  if (shown === null) return [];
  return annotations.value.pinnedIds.flatMap((id) => indexOf(shown, id) ?? []);
});

/** Ids of pins, from an address or a file, that the graph as it is drawn does not hold. */
export const lostPins = computed<readonly string[]>(() => {
  const shown = picture.value;
  if (shown === null) return [];
  return annotations.value.pinnedIds.filter((id) => indexOf(shown, id) === undefined);
});

/** Of a graph file, more may be drawn with larger thresholds; a viewer's file is all there is. */
export const lostText = computed(() => {
  const lost = lostPins.value.length;
  const where = opened.value?.kind === 'graph' ? 'not in what is drawn of this graph' : 'not in this graph';
  return `${lost} ${lost === 1 ? 'pin is' : 'pins are'} ${where}`;
});

const pruned = computed(() => {
  const shown = picture.value;
  return shown === null ? null : visibleAt(shown, thresholds.value.node, thresholds.value.edge);
});

/** Pinned and clicked nodes are visible at any threshold. */
export const visible = computed(() => {
  const shown = picture.value;
  if (shown === null || pruned.value === null) return null;
  const clicked = clickedIndex.value;
  return keepVisible(
    shown,
    pruned.value,
    clicked === null ? pinnedIndices.value : [...pinnedIndices.value, clicked],
  );
});

const clerps = computed(() => annotations.value.clerps);
export const labelOf = computed(() => {
  const shown = picture.value;
  return shown === null ? () => '' : labelsFrom(shown, clerps.value, labels.value);
});

/** Indices of the visible nodes that the search finds; null without a search. */
export const found = computed<readonly number[] | null>(() => {
  const shown = picture.value;
  const text = searchText.value.trim();
  if (shown === null || text === '' || visible.value === null) return null;
  return searchNodes(shown, text, labelOf.value, visible.value);
});

export async function loadInfo(): Promise<void> {
  info.value = await fetchInfo();
}

export async function loadGraphs(): Promise<void> {
  try {
    graphs.value = (await fetchGraphs()).graphs;
    graphsError.value = null;
  } catch (error) {
    graphsError.value = error as Error;
  }
}

let fetching: AbortController | null = null;

/** Opens a graph with its saved annotations; those in `given` (the address) have precedence. */
export async function openGraph(slug: string, given: Partial<AddressState> = {}): Promise<void> {
  fetching?.abort();
  const controller = new AbortController();
  fetching = controller;
  loading.value = { state: 'loading', slug };
  try {
    const answer = await fetchGraph(slug, wanted(given), controller.signal);
    if (fetching === controller) show(slug, answer, given);
  } catch (error) {
    if (controller.signal.aborted) return;
    loading.value = { state: 'failed', slug, error: error as Error };
  }
}

export function closeGraph(): void {
  fetching?.abort();
  batch(() => {
    opened.value = null;
    loading.value = { state: 'idle' };
  });
}

function show(slug: string, answer: OpenedGraph, given: Partial<AddressState>): void {
  const shown = makePicture(answer.graph);
  const { clickedId: savedClicked, ...saved } = unsaved.get(slug) ?? answer.annotations;
  // An address with pins is complete: parts that it lacks are empty.
  const complete = given.pinnedIds !== undefined;
  const { suggestion } = answer;
  const isFree = suggestion !== null && !complete && !unsaved.has(slug);
  batch(() => {
    opened.value = {
      slug,
      kind: answer.kind,
      graph: answer.graph,
      picture: shown,
      scores: answer.scores,
      canSteer: answer.can_steer,
    };
    labels.value = answer.labels;
    const own = {
      pinnedIds: given.pinnedIds ?? saved.pinnedIds,
      supernodes: given.supernodes ?? (complete ? [] : saved.supernodes),
      sg_pos: given.sg_pos ?? (complete ? '' : saved.sg_pos),
      clerps: { ...saved.clerps, ...given.clerps },
      notes: saved.notes,
    };
    resetAnnotations(own, isFree ? { ...own, ...suggestion } : null);
    hoveredId.value = null;
    clickedId.value = given.clickedId ?? savedClicked;
    thresholds.value = {
      node: Math.min(given.pruningThreshold ?? shown.nodeThreshold, mostThresholds.value.node),
      edge: Math.min(given.edgeThreshold ?? shown.edgeThreshold, mostThresholds.value.edge),
    };
    loading.value = { state: 'idle' };
  });
  const words = [`${slug}: ${shown.nodes.length} nodes, ${shown.linkCount} links.`];
  if (isFree) words.push('A suggested circuit is shown; s takes it away.');
  if (lostPins.value.length > 0) words.push(`${lostText.value}.`);
  announce(words.join(' '));
}

/**
 * Fetches a graph file again if the thresholds are larger than the fetched ones.
 * @param always also if they are not: for nodes that were pinned since
 */
export async function fetchMore(always = false): Promise<void> {
  const open = opened.value;
  if (open?.kind !== 'graph' || exported !== null) return;
  const { node, edge } = thresholds.value;
  const { nodeThreshold, edgeThreshold } = open.picture;
  const isFetched = node <= nodeThreshold + SAME_THRESHOLD && edge <= edgeThreshold + SAME_THRESHOLD;
  if (isFetched && !always) return;
  const more = { node: Math.max(node, nodeThreshold), edge: Math.max(edge, edgeThreshold) };
  fetching?.abort();
  const controller = new AbortController();
  fetching = controller;
  try {
    const answer = await fetchGraph(open.slug, more, controller.signal);
    if (fetching !== controller || opened.value?.slug !== open.slug) return;
    batch(() => {
      opened.value = {
        ...open,
        graph: answer.graph,
        picture: makePicture(answer.graph),
        scores: answer.scores,
      };
      labels.value = answer.labels;
    });
  } catch (error) {
    if (!controller.signal.aborted)
      announce(`The graph could not be pruned again: ${(error as Error).message}`);
  }
}

/** Applies an edited label to all nodes of the feature. */
export function applyLabel({ layer, feature, label }: FeatureDetail): void {
  const key = `${layer}_${feature}`;
  const { [key]: _before, ...others } = labels.value;
  labels.value = label === null ? others : { ...others, [key]: label.text };
}

function wanted(given: Partial<AddressState>): Thresholds | null {
  const { pruningThreshold = null, edgeThreshold = null } = given;
  if (pruningThreshold === null || edgeThreshold === null) return null;
  return {
    node: Math.min(pruningThreshold, LARGEST_THRESHOLDS.node),
    edge: Math.min(edgeThreshold, LARGEST_THRESHOLDS.edge),
  };
}

function indexIn(shown: PictureGraph | null, id: string): number | null {
  return shown === null || id === '' ? null : (indexOf(shown, id) ?? null);
}
