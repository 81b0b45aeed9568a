/** Viewer, routes of trainings: list them, and what happened in one. `api.ts` describes them. */
import { Hono } from 'hono';
import type { ViewerEnv } from './access.ts';
import type { TrainingList } from './api.ts';
import { readCount } from './request-bodies.ts';
import type { Trainings } from './trainings.ts';

export function trainingRoutes(trainings: Trainings): Hono<ViewerEnv> {
  const routes = new Hono<ViewerEnv>();
  routes.get('/', async (context) => {
    const list: TrainingList = { trainings: await trainings.list() };
    return context.json(list);
  });
  routes.get('/:name', async (context) => {
    const from = readCount('from', context.req.query('from') ?? '0');
    return context.json(await trainings.events(context.req.param('name'), from));
  });
  return routes;
}
