/** Viewer, work with the model over HTTP: a job is made, listened to, cancelled. The addresses are those of `api.ts`. */
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { ViewerEnv } from './access.ts';
import { JobSchema, readBody } from './bodies.ts';
import { workFor, type Bench } from './experiments.ts';
import type { JobQueue } from './jobs.ts';

/** A page need not hear of every row. */
const SHORTEST_PAUSE_MS = 50;
/** Keeps the connection open, and shows when nobody is at its other end. */
const HEARTBEAT_MS = 15_000;
/** A comment: no event for the page. */
const HEARTBEAT = ':\n\n';

export function jobRoutes(queue: JobQueue, bench: Bench): Hono<ViewerEnv> {
  const routes = new Hono<ViewerEnv>();
  routes.post('/', async (context) => {
    const request = await readBody(context, JobSchema);
    const job = queue.add(await workFor(request, bench));
    return context.json(job.status, 202);
  });
  routes.delete('/:id', async (context) => {
    const job = queue.find(context.req.param('id'));
    await queue.cancel(job);
    return context.json(job.status);
  });
  routes.get('/:id/events', (context) => {
    const job = queue.find(context.req.param('id'));
    context.header('x-accel-buffering', 'no'); // nginx would keep the events until they fill its buffer
    return streamSSE(context, async (stream) => {
      using _listening = job.listen();
      const closed = new Promise<void>((resolve) => stream.onAbort(resolve));
      const heartbeat = setInterval(() => void stream.write(HEARTBEAT), HEARTBEAT_MS);
      try {
        while (!stream.aborted) {
          const news = job.news();
          const { status } = job;
          await stream.writeSSE({ data: JSON.stringify(status) });
          if (status.state !== 'queued' && status.state !== 'running') return;
          await Promise.race([news, closed]);
          await Promise.race([stream.sleep(SHORTEST_PAUSE_MS), closed]);
        }
      } finally {
        clearInterval(heartbeat);
      }
    });
  });
  return routes;
}
