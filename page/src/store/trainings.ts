/** Page, state: the trainings in the served folders, and the one that is shown, which is followed while it runs. */
import { batch, signal } from '@preact/signals';
import type { TrainingEntry } from '../../../src/viewer/api.ts';
import { exported, fetchTraining, fetchTrainings } from '../server.ts';
import { EMPTY_LOG, withEvents, type TrainingLog } from './training-log.ts';
import { announce } from './ui.ts';

export interface OpenedTraining {
  readonly name: string;
  readonly log: TrainingLog;
  readonly error: Error | null;
}

const PARAMETER = 'training';
const AGAIN_MS = 2000;

export const trainings = signal<readonly TrainingEntry[]>([]);
export const openedTraining = signal<OpenedTraining | null>(null);

let following: AbortController | undefined;

/** Reads the list, and opens the training that the address names. */
export async function startTrainings(): Promise<void> {
  if (exported !== null) return;
  window.addEventListener('popstate', openFromAddress);
  openFromAddress();
  try {
    trainings.value = (await fetchTrainings()).trainings;
  } catch (error) {
    announce((error as Error).message);
  }
}

export function openTraining(name: string): void {
  if (openedTraining.value?.name === name) return;
  setAddress(name);
  follow(name);
}

export function closeTraining(): void {
  if (openedTraining.value === null) return;
  stop();
  setAddress(null);
}

/** Without touching the address: another view is about to write its own. */
export function leaveTraining(): void {
  if (openedTraining.value !== null) stop();
}

/** The query of a training; without one, the other parameters alone. */
export function writeTrainingName(name: string | null, before: string): string {
  const params = new URLSearchParams(before);
  if (name === null) params.delete(PARAMETER);
  else params.set(PARAMETER, name);
  return params.toString();
}

/** After an error. */
export function retryTraining(): void {
  const name = openedTraining.value?.name;
  if (name !== undefined) follow(name);
}

function openFromAddress(): void {
  const name = new URLSearchParams(location.search).get(PARAMETER);
  if (name === null) stop();
  else if (openedTraining.value?.name !== name) follow(name);
}

function stop(): void {
  following?.abort();
  following = undefined;
  openedTraining.value = null;
}

/** Asks for what is new until the training has ended or another one is opened. */
function follow(name: string): void {
  following?.abort();
  const controller = new AbortController();
  following = controller;
  openedTraining.value = { name, log: EMPTY_LOG, error: null };
  let from = 0;
  const ask = async (): Promise<void> => {
    try {
      const { events, next, is_restarted } = await fetchTraining(name, from, controller.signal);
      if (controller.signal.aborted) return;
      from = next;
      const before = is_restarted ? EMPTY_LOG : openedTraining.value!.log;
      const log = events.length === 0 ? before : withEvents(before, events);
      batch(() => (openedTraining.value = { name, log, error: null }));
    } catch (error) {
      if (controller.signal.aborted) return;
      openedTraining.value = { name, log: openedTraining.value!.log, error: error as Error };
      return;
    }
    // Also after the end: a finished training can be resumed with more tokens.
    setTimeout(() => void (controller.signal.aborted || ask()), AGAIN_MS);
  };
  void ask();
}

function setAddress(name: string | null): void {
  const query = writeTrainingName(name, location.search.slice(1));
  history.pushState(null, '', query === '' ? location.pathname : `?${query}`);
}
