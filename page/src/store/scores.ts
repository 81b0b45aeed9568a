/** Page, state: scores of the pinned nodes. For graph files they are exact, otherwise those of the pruned graph. */
import { computed, effect, signal } from '@preact/signals';
import { pinnedScores as scoresOfPruned, pictureScores } from '../../../src/picture/scores.ts';
import type { SubgraphScores } from '../../../src/viewer/api.ts';
import { exported, fetchScores } from '../server.ts';
import { annotations } from './annotations.ts';
import { opened, picture } from './opened.ts';

export interface Scores extends SubgraphScores {
  /** Whether they are scores of the whole graph and not of the pruned one. */
  readonly exact: boolean;
}

const ASK_AFTER_MS = 250;

const pinnedIds = computed(() => annotations.value.pinnedIds);
const fromServer = signal<{ readonly ids: readonly string[]; readonly scores: SubgraphScores } | null>(null);

export const graphScores = computed<Scores | null>(() => {
  const open = opened.value;
  if (open === null) return null;
  return open.scores === null
    ? { ...pictureScores(open.picture), exact: false }
    : { ...open.scores, exact: true };
});

export const pinnedScores = computed<Scores | null>(() => {
  const [shown, ids] = [picture.value, pinnedIds.value];
  if (shown === null || ids.length === 0) return null;
  if (fromServer.value?.ids === ids) return { ...fromServer.value.scores, exact: true };
  return { ...scoresOfPruned(shown, ids), exact: false };
});

effect(() => {
  const [open, ids] = [opened.value, pinnedIds.value];
  if (open?.kind !== 'graph' || exported !== null || ids.length === 0) return;
  const controller = new AbortController();
  const timer = setTimeout(() => void ask(open.slug, ids, controller.signal), ASK_AFTER_MS);
  return () => {
    clearTimeout(timer);
    controller.abort();
  };
});

async function ask(slug: string, ids: readonly string[], signal: AbortSignal): Promise<void> {
  try {
    fromServer.value = { ids, scores: await fetchScores(slug, ids, signal) };
  } catch {
    fromServer.value = null; // the scores of the pruned graph are shown, and marked as such
  }
}
