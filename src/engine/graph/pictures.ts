/** Engine, `tracer graph export` as a picture or page: SVG and a single HTML file. */
import { UsageError } from '../../errors.ts';
import { labelsFrom } from '../../picture/labels.ts';
import { makePicture } from '../../picture/picture.ts';
import { supernodeView } from '../../picture/subgraph.ts';
import { subgraphSvg } from '../../picture/subgraph-svg.ts';
import { graphSvg } from '../../picture/svg.ts';
import type { ThemeName } from '../../picture/theme.ts';
import { keepVisible, visibleAt } from '../../picture/visible.ts';
import type { DrawnGraph } from './drawn-graph.ts';
import { exportedHtml } from './html.ts';
import { knownFeatures } from './known-features.ts';
import { packageVersion } from '../provenance.ts';

export interface PictureOptions {
  readonly theme?: ThemeName | undefined;
  /** Only pinned nodes, grouped as in the annotations. */
  readonly subgraph?: boolean | undefined;
  /** The Hugging Face cache. */
  readonly cacheDir?: string | undefined;
}

export interface PictureText {
  readonly text: string;
  readonly n_nodes: number;
  readonly n_links: number;
}

/** The whole picture, or the pinned subgraph with a box for each node or group. Throws `UsageError` when nothing is pinned. */
export async function svgOf(drawn: DrawnGraph, file: string, options: PictureOptions): Promise<PictureText> {
  const { annotations, viewer } = drawn;
  const { theme = 'light', subgraph = false } = options;
  const picture = makePicture(viewer);
  const features = await knownFeatures(drawn, options.cacheDir);
  const labelOf = labelsFrom(picture, annotations.clerps, await features.labels());
  const { pinnedIds, supernodes, sg_pos } = annotations;
  if (subgraph) {
    const boxes = supernodeView(picture, pinnedIds, supernodes, labelOf);
    if (boxes.nodes.length === 0) throw nothingPinned(file);
    const text = subgraphSvg(picture, { theme, pinnedIds, supernodes, sg_pos, labelOf });
    return { text, n_nodes: boxes.nodes.length, n_links: boxes.links.length };
  }
  const pinned = pinnedIds.flatMap((id) => picture.indexById.get(id) ?? []);
  const visible = keepVisible(picture, visibleAt(picture, 1, 1), pinned);
  const text = graphSvg(picture, { theme, visible, labelOf, pinned: pinnedIds });
  return { text, n_nodes: visible.nodeCount, n_links: visible.linkCount };
}

/** The viewer's page with the graph, its annotations, and what is known of its features inside. */
export async function htmlOf(drawn: DrawnGraph, { cacheDir }: PictureOptions): Promise<PictureText> {
  const { kind, slug, viewer, annotations, scores } = drawn;
  const features = await knownFeatures(drawn, cacheDir);
  const text = await exportedHtml({
    version: packageVersion(),
    slug,
    opened: {
      kind,
      graph: viewer,
      annotations,
      suggestion: null,
      scores,
      can_steer: false,
      labels: await features.labels(),
    },
    features: await features.details(),
  });
  return { text, n_nodes: viewer.nodes.length, n_links: viewer.links.length };
}

function nothingPinned(file: string): UsageError {
  return new UsageError({
    code: 'nothing_pinned',
    message: `no node of ${file} is pinned, so there is no subgraph to draw`,
    hint: 'Pin nodes in `tracer serve`, or leave --subgraph out.',
  });
}
