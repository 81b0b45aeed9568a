/** Trainings as the server tells of them: found by their logs, read from a byte on, thinned, and followed through a resumption. */
import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { TrainingEvents, TrainingList } from '../../src/viewer/api.ts';
import { answer, errorCode, openedViewer, type OpenedViewer } from './opened.ts';
import { begin, END, logText, step } from './training-logs.ts';

const LOG = 'train.jsonl';

async function opened(text: string, name = 'set') {
  const viewer = await openedViewer((folder) => {
    mkdirSync(path.join(folder, name));
    writeFileSync(path.join(folder, name, LOG), text);
  });
  return { file: path.join(viewer.folder, name, LOG), viewer };
}

async function events(viewer: OpenedViewer, address: string): Promise<TrainingEvents> {
  return answer<TrainingEvents>(await viewer.ask(address));
}

describe('trainings', () => {
  it('are found in a served folder and in those below it', async () => {
    await using viewer = await openedViewer((folder) => {
      writeFileSync(path.join(folder, LOG), logText([begin()]));
      for (const name of ['a', 'b']) mkdirSync(path.join(folder, name));
      writeFileSync(path.join(folder, 'b', LOG), logText([begin(), END]));
    });
    const { trainings } = answer<TrainingList>(await viewer.ask('/api/trainings'));
    expect(trainings.map(({ name, has_ended }) => [name, has_ended]).sort()).toEqual([
      ['b', true],
      [path.basename(viewer.folder), false],
    ]);
    expect(answer<TrainingEvents>(await viewer.ask('/api/trainings/b')).events).toHaveLength(2);
  });

  it('are read on from where an answer ended, whole lines only', async () => {
    const { viewer, file } = await opened(logText([begin(), step(1)]));
    await using _viewer = viewer;
    const first = await events(viewer, '/api/trainings/set');
    expect(first.events.map(({ event }) => event)).toEqual(['begin', 'step']);
    appendFileSync(file, logText([step(2)]) + '{"event":"st');
    const second = await events(viewer, `/api/trainings/set?from=${first.next}`);
    expect(second).toMatchObject({ events: [{ event: 'step', step: 2 }], is_restarted: false });
    const third = await events(viewer, `/api/trainings/set?from=${second.next}`);
    expect(third).toEqual({ events: [], next: second.next, is_restarted: false });
  });

  it('are told from the beginning when a resumed run cut its log off', async () => {
    const { viewer, file } = await opened(logText([begin(), step(1), step(2)]));
    await using _viewer = viewer;
    const { next } = await events(viewer, '/api/trainings/set');
    truncateSync(file, logText([begin()]).length);
    appendFileSync(file, logText([{ event: 'resume', pass: 1, step: 0 }]));
    const again = await events(viewer, `/api/trainings/set?from=${next}`);
    expect(again.is_restarted).toBe(true);
    expect(again.events.map(({ event }) => event)).toEqual(['begin', 'resume']);
  });

  it('with very many steps are told in part, from the first to nearly the last', async () => {
    const steps = Array.from({ length: 30_000 }, (_, i) => step(i + 1));
    const { viewer } = await opened(logText([begin(), ...steps, END]));
    await using _viewer = viewer;
    const { events: told } = await events(viewer, '/api/trainings/set');
    const shown = told.filter((one) => one.event === 'step').map((one) => one.step);
    expect(shown.length).toBeGreaterThan(900);
    expect(shown.length).toBeLessThanOrEqual(2000);
    expect(shown[0]).toBe(1);
    expect(shown.at(-1)).toBeGreaterThan(29_900);
    expect(told.at(-1)).toMatchObject({ event: 'end' });
  });

  it.each([
    ['/api/trainings/other', 404, 'training_not_found'],
    ['/api/trainings/..%2Fset', 404, 'training_not_found'],
    ['/api/trainings/set?from=-1', 400, 'bad_value'],
  ])('%s is answered with %d', async (address, status, code) => {
    const { viewer } = await opened(logText([begin()]));
    await using _viewer = viewer;
    const reply = await viewer.ask(address);
    expect([reply.status, errorCode(reply)]).toEqual([status, code]);
  });

  it('whose log was damaged are refused by the line', async () => {
    const { viewer } = await opened(`${logText([begin()])}nonsense\n`);
    await using _viewer = viewer;
    expect(errorCode(await viewer.ask('/api/trainings/set'))).toBe('bad_log');
  });
});
