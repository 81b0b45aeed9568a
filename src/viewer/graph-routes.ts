/** Viewer, routes of graphs: list, open, annotate, label, export. `api.ts` describes them. */
import { Hono, type Context } from 'hono';
import { packageVersion } from '../engine/provenance.ts';
import { NotFoundError } from '../errors.ts';
import { annotationsSchema, withAnnotations } from '../graph/annotations.ts';
import { nodeId } from '../graph/nodes.ts';
import { subgraphScores } from '../graph/scores.ts';
import { asciiName, viewerSlug } from '../graph/slug.ts';
import type { ViewerEnv } from './access.ts';
import { saveAnnotations } from './annotations-file.ts';
import { keptAttention } from './attention-file.ts';
import type { ExportedPage, GraphList, OpenedGraph, ServerInfo, SubgraphScores } from './api.ts';
import { LabelSchema, PinnedSchema, readBody, readCount, readThresholds } from './request-bodies.ts';
import type { FeatureLookup } from './feature-lookup.ts';
import type { ChosenModel } from './held-model.ts';
import { annotationsFor, drawnGraph, type GraphCache, type OpenGraph } from './graph-cache.ts';
import type { Suggestions } from './suggestions.ts';
import { entryOf, type GraphStore, type StoredGraph } from './graph-store.ts';

export interface GraphServices {
  readonly store: GraphStore;
  readonly cache: GraphCache;
  readonly chosen: ChosenModel;
  readonly features: FeatureLookup;
  readonly suggestions: Suggestions;
}

export function graphRoutes(services: GraphServices): Hono<ViewerEnv> {
  const { store, cache, chosen, features, suggestions } = services;
  const routes = new Hono<ViewerEnv>();
  const openNamed = async (context: Context): Promise<{ stored: StoredGraph; open: OpenGraph }> => {
    const stored = await store.find(context.req.param('slug') ?? '');
    return { stored, open: await cache.open(stored) };
  };
  const featureOf = (context: Context): [layer: number, feature: number] => [
    readCount('layer', context.req.param('layer') ?? ''),
    readCount('feature', context.req.param('feature') ?? ''),
  ];

  routes.get('/info', (context) => {
    const { model, why } = chosen;
    const info: ServerInfo = { version: packageVersion(), model: model?.identity.names ?? null, why };
    return context.json(info);
  });
  // Where a token is needed, only a right one gets here, and the answer sets the cookie.
  routes.post('/token', (context) => context.body(null, 204));
  routes.get('/graphs', async (context) => {
    const list: GraphList = { graphs: (await store.list()).map(entryOf) };
    return context.json(list);
  });
  routes.get('/graphs/:slug', async (context) => {
    const thresholds = readThresholds(context);
    const { stored, open } = await openNamed(context);
    return context.json(await openedGraph(services, stored, open, thresholds));
  });
  routes.post('/graphs/:slug/scores', async (context) => {
    const { pinnedIds } = await readBody(context, PinnedSchema);
    const { open } = await openNamed(context);
    return context.json(pinnedScores(open, pinnedIds));
  });
  routes.put('/graphs/:slug/annotations', async (context) => {
    const annotations = await readBody(context, annotationsSchema);
    const stored = await store.find(context.req.param('slug'));
    await saveAnnotations(stored.annotationsFile, annotations);
    return context.json(annotations);
  });
  routes.get('/graphs/:slug/export.json', async (context) => {
    const thresholds = readThresholds(context);
    const { stored, open } = await openNamed(context);
    const annotations = await annotationsFor(stored, open);
    const drawn = drawnGraph(open, stored.slug, thresholds, annotations);
    const annotated = withAnnotations(drawn, annotations, await features.labels(open, drawn));
    return download(context, `${JSON.stringify(annotated)}\n`, viewerSlug(stored.slug), '.json');
  });
  routes.get('/graphs/:slug/export.html', async (context) => {
    const thresholds = readThresholds(context);
    const { stored, open } = await openNamed(context);
    const drawn = await openedGraph(services, stored, open, thresholds);
    const page: ExportedPage = {
      version: packageVersion(),
      slug: stored.slug,
      opened: { ...drawn, can_steer: false },
      features: await features.details(open, drawn.graph),
      attention: await keptAttention(stored),
    };
    const { exportedHtml } = await import('../engine/graph/html.ts');
    const html = await exportedHtml(page, { title: stored.slug });
    return download(context, html, stored.slug, '.html');
  });
  routes.get('/graphs/:slug/features/:layer/:feature', async (context) => {
    const [layer, feature] = featureOf(context);
    const { open } = await openNamed(context);
    return context.json(await features.detail(open, layer, feature));
  });
  routes.put('/graphs/:slug/labels/:layer/:feature', async (context) => {
    const [layer, feature] = featureOf(context);
    const { text } = await readBody(context, LabelSchema);
    const { open } = await openNamed(context);
    const detail = await features.setLabel(open, layer, feature, text);
    suggestions.forget();
    return context.json(detail);
  });
  return routes;
}

async function openedGraph(
  { chosen, features, suggestions }: GraphServices,
  stored: StoredGraph,
  open: OpenGraph,
  thresholds: ReturnType<typeof readThresholds>,
): Promise<OpenedGraph> {
  const annotations = await annotationsFor(stored, open);
  const suggestion = await suggestions.suggestionFor(stored, open);
  const graph = drawnGraph(open, stored.slug, thresholds, suggestion ?? annotations);
  return {
    kind: open.kind,
    graph,
    annotations,
    suggestion,
    scores: open.kind === 'graph' ? open.scores : null,
    can_steer: chosen.model?.fits(open) ?? false,
    labels: await features.labels(open, graph),
  };
}

function pinnedScores(open: OpenGraph, pinnedIds: readonly string[]): SubgraphScores {
  if (open.kind === 'viewer') {
    throw new NotFoundError({
      code: 'no_scores',
      message: 'scores need the whole graph; this file holds a pruned one',
      hint: 'Keep the graph file: `tracer attribute … --output FILE.safetensors`.',
    });
  }
  const { graph } = open;
  const pinned = new Set(pinnedIds);
  const features = Array.from({ length: graph.layout.n_features }, (_, node) => node);
  return subgraphScores(
    graph,
    features.filter((node) => pinned.has(nodeId(graph, node))),
  );
}

const CONTENT_TYPES = { '.json': 'application/json', '.html': 'text/html' } as const;

/** A header is ASCII; other names are in its extended form (RFC 6266), in front of which older programs find a plain one. */
function download(
  context: Context,
  text: string,
  slug: string,
  ending: keyof typeof CONTENT_TYPES,
): Response {
  const plain = asciiName(slug);
  const extended = plain === slug ? '' : `; filename*=UTF-8''${percentEncoded(slug + ending)}`;
  context.header('content-disposition', `attachment; filename="${plain}${ending}"${extended}`);
  context.header('content-type', `${CONTENT_TYPES[ending]}; charset=utf-8`);
  return context.body(text);
}

/** As RFC 8187 has it, which encodes more signs than an address has to. */
function percentEncoded(text: string): string {
  return encodeURIComponent(text).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
}
