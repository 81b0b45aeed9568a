/** Engine: prompts of a list traced in this process, one after the other. */
import type { ViewerMetadata } from '../../graph/neuronpedia.ts';
import type { PreparedSession } from '../session.ts';
import { computeGraph, openLabels, type ComputedGraph, type KnownLabels } from './attribute.ts';
import { failureOf } from '../failure.ts';
import type { PromptQueue, Task, UsedBackend } from './prompt-queue.ts';
import type { AttributePromptsRequest } from './types.ts';

/** Loads what was prepared, and traces what is left. */
export async function traceHere(
  request: AttributePromptsRequest,
  prepared: PreparedSession,
  queue: PromptQueue,
): Promise<UsedBackend> {
  using session = await prepared.load();
  const labels = labelsOnce(await openLabels(session, request));
  let saving: Promise<void> = Promise.resolve();
  try {
    for (let task = queue.take(); task; task = queue.take()) {
      request.signal?.throwIfAborted();
      let computed: ComputedGraph | undefined;
      try {
        computed = await computeGraph(session, queue.requestOf(task), labels);
      } catch (error) {
        queue.failed(task, failureOf(error));
      }
      // Files are written while the next graph is computed.
      await saving;
      if (computed) saving = save(queue, task, computed);
      saving.catch(() => undefined); // it is awaited, but maybe not before it fails
    }
    await saving;
  } finally {
    await saving.catch(() => undefined);
  }
  const { backend, device } = session.description;
  return { backend, device };
}

async function save(queue: PromptQueue, task: Task, computed: ComputedGraph): Promise<void> {
  const listed: ViewerMetadata[] = [];
  try {
    const graph = await computed.save(listed);
    await queue.done(task, graph, listed);
  } catch (error) {
    queue.failed(task, failureOf(error));
  }
}

/** Asks for the labels of each feature once: graphs of a list have most features in common, and labels lie in thousands of pages. */
export function labelsOnce(source: KnownLabels): KnownLabels {
  const known = new Map<string, string | undefined>();
  return {
    async labels(features) {
      const wanted = Array.from(features, ([layer, feature]) => ({
        layer,
        feature,
        key: `${layer}_${feature}`,
      }));
      const asked = wanted.filter(({ key }) => !known.has(key));
      const found = await source.labels(asked.map(({ layer, feature }) => [layer, feature]));
      for (const { key } of asked) known.set(key, found[key]);
      const labelled = wanted.flatMap(({ key }) =>
        known.get(key) === undefined ? [] : [[key, known.get(key)!]],
      );
      return Object.fromEntries(labelled) as Record<string, string>;
    },
  };
}
