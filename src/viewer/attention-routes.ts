/** Viewer, routes of attention: what jobs have answered about a graph. `api.ts` describes them. */
import { Hono } from 'hono';
import type { ViewerEnv } from './access.ts';
import { keptAttention } from './attention-file.ts';
import type { GraphStore } from './graph-store.ts';

export function attentionRoutes(store: GraphStore): Hono<ViewerEnv> {
  const routes = new Hono<ViewerEnv>();
  routes.get('/graphs/:slug/attention', async (context) =>
    context.json(await keptAttention(await store.find(context.req.param('slug')))),
  );
  return routes;
}
