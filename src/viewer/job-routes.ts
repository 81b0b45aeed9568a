/** Viewer, routes of jobs: create, follow by server-sent events, cancel. `api.ts` describes them. */
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { ViewerEnv } from './access.ts';
import { JobSchema, readBody } from './request-bodies.ts';
import { createWork, type JobServices } from './job-work.ts';
import type { Job, JobQueue } from './jobs.ts';

/** Least time between two events: progress is reported for every row of a trace, more often than a page can show it. */
const SHORTEST_PAUSE_MS = 50;
/** Keeps the connection open, and lets the server notice when the client is gone. */
const HEARTBEAT_MS = 15_000;
/** A comment of the event stream, which clients ignore. */
const HEARTBEAT = ':\n\n';

export interface JobQueues {
  /** Jobs that use the model. */
  readonly model: JobQueue;
  /** Questions about studies. */
  readonly study: JobQueue;
}

export function jobRoutes({ model, study }: JobQueues, services: JobServices): Hono<ViewerEnv> {
  const routes = new Hono<ViewerEnv>();
  const find = (id: string): [JobQueue, Job] =>
    study.has(id) ? [study, study.find(id)] : [model, model.find(id)];
  routes.post('/', async (context) => {
    const request = await readBody(context, JobSchema);
    const queue = request.kind === 'contrast' ? study : model;
    const job = queue.add(await createWork(request, services));
    return context.json(job.status, 202);
  });
  routes.delete('/:id', async (context) => {
    const [queue, job] = find(context.req.param('id'));
    await queue.cancel(job);
    return context.json(job.status);
  });
  routes.get('/:id/events', (context) => {
    const [, job] = find(context.req.param('id'));
    context.header('x-accel-buffering', 'no'); // nginx would keep the events until they fill its buffer
    return streamSSE(context, async (stream) => {
      using _listening = job.listen();
      const closed = new Promise<void>((resolve) => stream.onAbort(resolve));
      const heartbeat = setInterval(() => void stream.write(HEARTBEAT), HEARTBEAT_MS);
      try {
        while (!stream.aborted) {
          const changed = job.nextChange();
          const { status } = job;
          await stream.writeSSE({ data: JSON.stringify(status) });
          if (status.state !== 'queued' && status.state !== 'running') return;
          await Promise.race([changed, closed]);
          await Promise.race([stream.sleep(SHORTEST_PAUSE_MS), closed]);
        }
      } finally {
        clearInterval(heartbeat);
      }
    });
  });
  return routes;
}
