/** Page, state: heads that were removed in the model, and what the logits did. */
import { computed, effect, signal } from '@preact/signals';
import type { HeadRemovalResult, JobRequest, JobStatus, RemoveHeadJob } from '../../../src/viewer/api.ts';
import { signed, visibleToken } from '../parts/text.ts';
import { startJob } from './jobs.ts';
import { opened } from './opened.ts';
import { announce } from './ui.ts';

/** What is removed: what a head brings to a query, from one key or (null) from all. */
export type Removal = Pick<HeadRemovalResult, 'layer' | 'head' | 'query' | 'key'>;

const slug = computed(() => opened.value?.slug ?? null);
/** Of the open graph, the latest last. */
const measured = signal<readonly HeadRemovalResult[]>([]);

effect(() => {
  if (slug.value !== null) measured.value = [];
});

export function measuredRemoval(removal: Removal): HeadRemovalResult | null {
  return measured.value.findLast((one) => isSameRemoval(one, removal)) ?? null;
}

export function measure({ layer, head, query, key }: Removal): void {
  const of = slug.value;
  if (of === null) return;
  const which = { kind: 'remove_head', slug: of, layer, head, query } as const;
  const request = key === null ? which : { ...which, key };
  void startJob(request, (status) => takeRemoval(request, status));
}

/** Adds what a job has measured, unless another graph is open by now. */
export function takeRemoval(request: JobRequest, { result }: JobStatus): void {
  if (request.kind !== 'remove_head' || result?.kind !== 'remove_head' || request.slug !== slug.value) return;
  measured.value = [...measured.value, result.result];
  const { layer, head, effects } = result.result;
  const [first] = effects;
  if (first === undefined) return;
  const { text, predicted, held, free } = first;
  announce(
    `Without head ${layer}.${head}, ${visibleToken(text)}: predicted ${signed(predicted)}, measured ${signed(held)} with patterns held, ${signed(free)} with patterns free.`,
  );
}

/** Whether a job measures this removal of the open graph. */
export function isOf(job: RemoveHeadJob, removal: Removal): boolean {
  return job.slug === slug.value && isSameRemoval({ ...job, key: job.key ?? null }, removal);
}

function isSameRemoval(one: Removal, { layer, head, query, key }: Removal): boolean {
  return one.layer === layer && one.head === head && one.query === query && one.key === key;
}
