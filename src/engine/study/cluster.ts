/** Engine, verb `graph cluster`: prompts by what their graphs share. */
import { UsageError } from '../../errors.ts';
import { treeSvg, type DrawnTree } from '../../picture/tree-svg.ts';
import { Random } from '../../random.ts';
import { clusterGraphs, distances, medoid, type ClusterTree } from '../../study/cluster.ts';
import { openStudy } from '../../study/open.ts';
import { readSample, type MeasuredFeature } from '../../study/sample.ts';
import { selectGraphs, type SelectedGraph } from '../../study/selection.ts';
import { plural } from '../../plural.ts';
import { withLabels } from './labels.ts';
import { refuseStudyFiles, writePicture } from './pictures.ts';
import { STUDY_DEFAULTS, type ClusterRequest, type ClusterResult } from './types.ts';

const LEAST_GRAPHS = 3;
/** Branches of the picture: more would not fit a page. */
const MOST_BRANCHES = 60;

/** Errors are those of `openStudy` and `selectGraphs`; `UsageError` for too few graphs, or fewer than clusters. */
export async function cluster(request: ClusterRequest): Promise<ClusterResult> {
  const { by, clusters: wanted, top = STUDY_DEFAULTS.top, signal } = request;
  await refuseStudyFiles(request.study, [request.svg]);
  using study = await openStudy(request.study);
  const all = await selectGraphs(study, request);
  checkCount(all.length, wanted);
  const selected = sampled(all, request.seed ?? STUDY_DEFAULTS.seed);
  const sample = await readSample(
    study,
    selected.map(({ graph }) => graph),
  );
  const matrix = distances(sample.features, selected.length);
  signal?.throwIfAborted();
  const { tree, clusters, silhouette } = clusterGraphs(matrix, wanted);
  const features = await withLabels(
    clusters.map((own) => characteristic(sample.features, own, selected.length).slice(0, top)),
    study.description,
    request.cacheDir,
  );
  const described = clusters.map((own, i) => ({
    n_graphs: own.length,
    typical: selected[medoid(matrix, own)]!.slug,
    groups: by === undefined ? [] : countsOf(own.map((graph) => selected[graph]!.group)),
    features: features[i]!,
    graphs: own.map((graph) => selected[graph]!.slug),
  }));
  const clusterOf = new Map(clusters.flatMap((own, i) => own.map((graph) => [graph, i] as const)));
  const draw = (): string =>
    treeSvg({
      title: `Prompts of ${request.study} by what their graphs share`,
      description: `${plural(selected.length, 'graph')} in ${plural(clusters.length, 'cluster')}, as a tree: what meets further right has more features in common.`,
      axis: 'distance at which branches meet: 1 without common features (left), 0 with the same (right)',
      tree: drawnTree(tree, selected, clusterOf),
    });
  return {
    study: request.study,
    by: by ?? null,
    n_graphs: selected.length,
    n_selected: all.length,
    silhouette,
    clusters: described,
    files: await writePicture(request.svg, draw, signal),
  };
}

function checkCount(count: number, wanted: number | undefined): void {
  const least = Math.max(LEAST_GRAPHS, wanted ?? 0);
  if (count >= least) return;
  throw new UsageError({
    code: 'too_few_graphs',
    message: `${plural(count, 'graph')} selected; ${wanted === undefined ? 'clusters' : `${wanted} clusters`} need at least ${least}`,
    hint: 'Select more graphs, or ask for fewer clusters.',
  });
}

/** All, or so many as can be clustered, drawn at random and in their order. */
function sampled(all: readonly SelectedGraph[], seed: number): readonly SelectedGraph[] {
  if (all.length <= STUDY_DEFAULTS.mostClustered) return all;
  const drawn = new Random(seed).shuffled(all).slice(0, STUDY_DEFAULTS.mostClustered);
  return drawn.sort((a, b) => a.graph - b.graph);
}

function characteristic(features: readonly MeasuredFeature[], own: readonly number[], total: number) {
  const inside = new Set(own);
  const others = Math.max(1, total - own.length);
  return features
    .map(({ layer, feature, at }) => {
      const n_inside = at.filter((graph) => inside.has(graph)).length;
      const share = n_inside / own.length;
      return { layer, feature, share, share_elsewhere: (at.length - n_inside) / others };
    })
    .filter(({ share, share_elsewhere }) => share > share_elsewhere)
    .sort((a, b) => b.share - b.share_elsewhere - (a.share - a.share_elsewhere));
}

function countsOf(groups: readonly (string | null)[]): { group: string | null; n_graphs: number }[] {
  const counts = new Map<string | null, number>();
  for (const group of groups) counts.set(group, (counts.get(group) ?? 0) + 1);
  return [...counts]
    .map(([group, n_graphs]) => ({ group, n_graphs }))
    .sort((a, b) => b.n_graphs - a.n_graphs || String(a.group).localeCompare(String(b.group), 'en'));
}

/** The tree from its root down to so many branches; what is below them is drawn as one leaf. */
function drawnTree(
  root: ClusterTree,
  graphs: readonly SelectedGraph[],
  clusterOf: ReadonlyMap<number, number>,
): DrawnTree {
  const opened = new Set<ClusterTree>();
  const open: ClusterTree[] = [root];
  while (open.length < MOST_BRANCHES) {
    open.sort((a, b) => b.height - a.height);
    const next = open.find(({ children }) => children.length > 0);
    if (next === undefined) break;
    opened.add(next);
    open.splice(open.indexOf(next), 1, ...next.children);
  }
  const leavesOf = (tree: ClusterTree): number[] =>
    tree.graph === null ? tree.children.flatMap(leavesOf) : [tree.graph];
  const draw = (tree: ClusterTree): DrawnTree => {
    const leaves = leavesOf(tree);
    const clusters = new Set(leaves.map((leaf) => clusterOf.get(leaf)!));
    const first = graphs[leaves[0]!]!.slug;
    return {
      height: tree.height,
      label: leaves.length === 1 ? first : `${first} and ${leaves.length - 1} more`,
      cluster: clusters.size === 1 ? [...clusters][0]! : null,
      children: opened.has(tree) ? tree.children.map(draw) : [],
    };
  };
  return draw(root);
}
