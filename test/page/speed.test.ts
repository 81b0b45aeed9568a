/**
 * The page on a graph of 3,000 nodes and 50,000 links, measured by the browser's own tracing. On a machine that is busy with other
 * things the clock tells nothing, so there the processor time of the page's main thread counts.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import type { CDPSession, Page } from 'playwright-core';
import { largeGraph } from './large-graph.ts';
import { isDrawn, serve, type Served } from './served.ts';

const SIZE = { nodes: 3000, links: 50_000, tokens: 24 } as const;
const FIRST_PICTURE_MS = 1000;
const FRAME_MS = 16;
const TRIES = 5;
const MOVES = 240;
/** At 60 frames a second. */
const MOVE_EVERY_MS = 16;
/** The event of the trace that a new frame begins with. */
const FRAME = 'FireAnimationFrame';

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  /** In microseconds: on the clock, and of the processor. */
  readonly dur?: number;
  readonly tdur?: number;
}

let served: Served;
beforeAll(async () => {
  served = await serve([
    { name: 'large.json', content: largeGraph('large', SIZE.nodes, SIZE.links, SIZE.tokens) },
  ]);
}, 120_000);
afterAll(async () => served[Symbol.asyncDispose]());

describe('a graph of 3,000 nodes and 50,000 links', () => {
  it('is drawn in less than a second after its page was asked for', async () => {
    const tries: FirstPicture[] = [];
    const isBusy = loadavg()[0]! > availableParallelism() / 2;
    const best = () => Math.min(...tries.map(({ clockMs, processorMs }) => (isBusy ? processorMs : clockMs)));
    while (tries.length < TRIES && best() >= FIRST_PICTURE_MS) tries.push(await firstPicture());
    for (const { clockMs, processorMs } of tries) {
      console.log(
        `first picture: ${Math.round(clockMs)} ms, ${Math.round(processorMs)} ms of processor time in the page`,
      );
    }
    expect(best()).toBeLessThan(FIRST_PICTURE_MS);
  }, 180_000);

  it.each([
    { width: 1280, height: 800 },
    { width: 2400, height: 1500 },
  ])(
    'follows the mouse from mark to mark within a frame at $width x $height',
    async (viewport) => {
      const slow: number[] = [];
      while (slow.length < TRIES && Math.min(...slow) >= FRAME_MS) {
        const page = await served.open('?slug=large', { viewport });
        await isDrawn(page);
        const { work, intervals, hovered } = await hoverTraced(page);
        expect(hovered).toBeGreaterThan(20);
        slow.push(at(work, 0.95));
        console.log(
          `hovering at ${viewport.width} x ${viewport.height}: work ${quantiles(work)}; from frame to frame ${quantiles(intervals)}`,
        );
        await page.context().close();
      }
      expect(Math.min(...slow)).toBeLessThan(FRAME_MS);
    },
    240_000,
  );
});

function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * share)]!;
}

function quantiles(values: readonly number[]): string {
  const [middle, high, worst] = [0.5, 0.95, 1].map((share) => at(values, share).toFixed(1));
  return `of ${values.length}: median ${middle}, 95 % ${high}, worst ${worst} ms`;
}

interface FirstPicture {
  readonly clockMs: number;
  readonly processorMs: number;
}

/** From the start of the navigation until the frame after all links are drawn. */
async function firstPicture(): Promise<FirstPicture> {
  const page = await served.open('');
  await page.addInitScript(() => {
    new MutationObserver((_changes, observer) => {
      if (document.querySelector('#graph-drawing[data-drawn]') === null) return;
      observer.disconnect();
      requestAnimationFrame(() => {
        requestAnimationFrame(
          () => (document.documentElement.dataset['firstMs'] = String(performance.now())),
        );
      });
    }).observe(document, {
      subtree: true,
      childList: true,
      attributes: true,
      attributeFilter: ['data-drawn'],
    });
  });
  const client = await startTracing(page);
  await page.goto(`${served.address}?slug=large`);
  const time = page.locator('html[data-first-ms]');
  await time.waitFor({ state: 'attached' });
  const clockMs = Number(await time.getAttribute('data-first-ms'));
  const processorMs = tasksOf(await endTracing(client)).reduce((sum, task) => sum + taskMs(task), 0);
  await page.context().close();
  return { clockMs, processorMs };
}

interface Hovering {
  /** Milliseconds: of the main thread from frame to frame, and on the clock between frames. */
  readonly work: number[];
  readonly intervals: number[];
  /** How many different marks the mouse met. */
  readonly hovered: number;
}

/** The mouse goes over the drawing as a hand's does: it does not wait for the page. */
async function hoverTraced(page: Page): Promise<Hovering> {
  const box = (await page.locator('#graph-drawing').boundingBox())!;
  const client = await startTracing(page);
  await page.evaluate(() => {
    const drawing = document.querySelector('#graph-drawing')!;
    const met = new Set<string>();
    new MutationObserver(() => {
      met.add(drawing.getAttribute('data-hovered') ?? '');
      document.documentElement.dataset['met'] = String(met.size);
    }).observe(drawing, { attributeFilter: ['data-hovered'] });
  });
  const moves: Promise<void>[] = [];
  for (let i = 0; i < MOVES; i++) {
    const x = box.x + box.width * (0.15 + 0.8 * (i / MOVES));
    moves.push(page.mouse.move(x, box.y + box.height * (0.1 + 0.6 * ((i % 40) / 40))));
    await new Promise((resolve) => setTimeout(resolve, MOVE_EVERY_MS));
  }
  await Promise.all(moves);
  const events = await endTracing(client);
  const hovered = Number(await page.locator('html').getAttribute('data-met'));
  return { work: framesOf(events), intervals: intervalsOf(events), hovered };
}

async function startTracing(page: Page): Promise<CDPSession> {
  const client = await page.context().newCDPSession(page);
  await client.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['devtools.timeline', 'disabled-by-default-devtools.timeline'] },
  });
  return client;
}

async function endTracing(client: CDPSession): Promise<TraceEvent[]> {
  const events: TraceEvent[] = [];
  client.on('Tracing.dataCollected', ({ value }) => events.push(...(value as unknown as TraceEvent[])));
  const complete = once(client as unknown as NodeJS.EventEmitter, 'Tracing.tracingComplete');
  await client.send('Tracing.end');
  await complete;
  return events;
}

/** The tasks of the page's main thread, in their order. */
function tasksOf(events: readonly TraceEvent[]): TraceEvent[] {
  const first = events.find(({ name }) => name === FRAME);
  if (first === undefined) throw new Error('The trace has no animation frame.');
  return events
    .filter(
      ({ name, ph, pid, tid }) => name === 'RunTask' && ph === 'X' && pid === first.pid && tid === first.tid,
    )
    .sort((a, b) => a.ts - b.ts);
}

function taskMs({ tdur, dur = 0 }: TraceEvent): number {
  return (tdur ?? dur) / 1000;
}

/** Milliseconds that tasks of the main thread took from one animation frame to the next. */
function framesOf(events: readonly TraceEvent[]): number[] {
  const marks = marksOf(events);
  const frames: number[] = [];
  let [sum, next] = [0, 0];
  for (const task of tasksOf(events)) {
    sum += taskMs(task);
    const end = task.ts + (task.dur ?? 0);
    if (next >= marks.length || end < marks[next]!) continue;
    frames.push(sum);
    sum = 0;
    while (next < marks.length && marks[next]! <= end) next++;
  }
  return frames;
}

/** Longer ones are also those where the mouse met nothing new, so that no frame was wanted. */
function intervalsOf(events: readonly TraceEvent[]): number[] {
  const marks = marksOf(events);
  return marks.slice(1).map((mark, i) => (mark - marks[i]!) / 1000);
}

/** When animation frames began, in microseconds. */
function marksOf(events: readonly TraceEvent[]): number[] {
  return events
    .filter(({ name }) => name === FRAME)
    .map(({ ts }) => ts)
    .sort((a, b) => a - b);
}
