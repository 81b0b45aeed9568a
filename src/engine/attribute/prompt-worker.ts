/**
 * Engine: a process that traces prompts of a list on one device, for `prompt-workers.ts`, which starts it. It is sent the request, then
 * one task at a time; it asks for the next one while it writes the files of the last.
 */
import type { ViewerMetadata } from '../../graph/neuronpedia.ts';
import { failureOf, type Failure } from '../failure.ts';
import { openSession } from '../session.ts';
import { computeGraph, openLabels } from './attribute.ts';
import { labelsOnce } from './prompt-here.ts';
import type { UsedBackend } from './prompt-queue.ts';
import type { AttributePromptsRequest, AttributeRequest, AttributeResult } from './types.ts';

/** What can be sent: without functions and signals. */
export type SentRequest = Omit<AttributePromptsRequest, 'onProgress' | 'signal' | 'devices'>;

export type ToWorker =
  | { readonly kind: 'begin'; readonly request: SentRequest }
  | { readonly kind: 'task'; readonly index: number; readonly request: AttributeRequest }
  | { readonly kind: 'end' };

export type FromWorker =
  | { readonly kind: 'ready'; readonly used: UsedBackend }
  /** Nothing can be traced here. */
  | { readonly kind: 'unusable'; readonly failure: Failure }
  | { readonly kind: 'warning'; readonly message: string }
  /** The next task can come. */
  | { readonly kind: 'free' }
  | {
      readonly kind: 'done';
      readonly index: number;
      readonly graph: AttributeResult;
      readonly listed: readonly ViewerMetadata[];
    }
  | { readonly kind: 'failed'; readonly index: number; readonly failure: Failure };

// Ctrl-C reaches all processes of a terminal; the one that started this one decides what it means.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());

const tell = (message: FromWorker): void => void process.send!(message);

process.once('message', (message: ToWorker) => {
  if (message.kind === 'begin') void serve(message.request);
});

async function serve(sent: SentRequest): Promise<void> {
  const request: AttributePromptsRequest = {
    ...sent,
    onProgress: (event) => {
      if (event.kind === 'warning') tell({ kind: 'warning', message: event.message });
    },
  };
  try {
    using session = await openSession(request, { preloadEncoders: true });
    const labels = labelsOnce(await openLabels(session, request));
    const { backend, device } = session.description;
    tell({ kind: 'ready', used: { backend, device } });
    let saving: Promise<void> = Promise.resolve();
    for await (const { index, request: one } of tasks()) {
      const failed = (error: unknown): void => tell({ kind: 'failed', index, failure: failureOf(error) });
      try {
        const computed = await computeGraph(session, one, labels);
        await saving;
        const listed: ViewerMetadata[] = [];
        saving = computed
          .save(listed)
          .then((graph) => tell({ kind: 'done', index, graph, listed }))
          .catch(failed);
      } catch (error) {
        failed(error);
      }
    }
    await saving;
  } catch (error) {
    tell({ kind: 'unusable', failure: failureOf(error) });
  }
  process.disconnect();
}

/** Tasks as they come, until the end is told. */
async function* tasks(): AsyncGenerator<{ readonly index: number; readonly request: AttributeRequest }> {
  for (;;) {
    const next = new Promise<ToWorker>((resolve) => process.once('message', resolve));
    tell({ kind: 'free' });
    const message = await next;
    if (message.kind !== 'task') return;
    yield message;
  }
}
