/** Annotating in the page: pins, supernodes, labels; kept by the server, carried by the address, taken back by undo. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { eventually, GRAPH_FILES, isDrawn, serve, type Served } from './served.ts';

const FILE = join(GRAPH_FILES, 'graph-clt-p2.json');

interface Saved {
  readonly pinnedIds: readonly string[];
  readonly supernodes: readonly (readonly string[])[];
  readonly sg_pos: string;
  readonly notes: string;
}

let served: Served;
/** A graph of its own for each test: a page that is left saves once more. */
let slug = '';
let made = 0;
beforeAll(async () => {
  served = await serve([FILE]);
}, 120_000);
afterAll(async () => served[Symbol.asyncDispose]());
beforeEach(() => {
  slug = `graph-${++made}`;
  copyFileSync(FILE, join(served.folder, `${slug}.json`));
});
afterEach(() => expect(served.complaints).toEqual([]));

describe('pins', () => {
  it('appear in the subgraph, are saved beside the graph, and are there after a reload', async () => {
    const page = await opened();
    const ids = await pinFirst(page, 3);
    await eventually(async () => expect(await boxes(page).count()).toBe(3));
    await eventually(() => expect(saved().pinnedIds).toEqual(ids));
    await page.reload();
    await eventually(async () => expect(await boxes(page).count()).toBe(3));

    // Without anything in the address, what the server has saved is shown.
    const other = await opened();
    await eventually(async () => expect(await boxes(other).count()).toBe(3));
  });

  it('open again from a shared link, in a browser that has never seen the graph', async () => {
    const page = await opened();
    const ids = await pinFirst(page, 2);
    await eventually(() => expect(pinnedInAddress(page)).toEqual(ids));
    const link = new URL(page.url()).search;
    await page.context().close();
    rmSync(annotationFile(), { force: true });
    const other = await served.open(link);
    await eventually(async () => expect(await boxes(other).count()).toBe(2));
  });

  it('are scored: what is not pinned counts as error', async () => {
    const page = await opened();
    await pinFirst(page, 2);
    await eventually(async () => {
      expect(await page.locator('#subgraph-summary').innerText()).toMatch(
        /2 pinned.*replacement [\d.]+ %.*completeness [\d.]+ %/,
      );
    });
    await page.getByRole('tab', { name: 'About' }).click();
    expect(await page.locator('#scores tbody tr').count()).toBe(2);
  });

  it('go and come by undo and redo', async () => {
    const page = await opened();
    await pinFirst(page, 1);
    await eventually(async () => expect(await boxes(page).count()).toBe(1));
    await page.locator('#graph h2').click();
    await page.keyboard.press('Control+z');
    await eventually(async () => expect(await boxes(page).count()).toBe(0));
    await page.keyboard.press('Control+Shift+Z');
    await eventually(async () => expect(await boxes(page).count()).toBe(1));
  });
});

describe('supernodes', () => {
  it('are made by dragging one box onto another, and get a name', async () => {
    const page = await opened();
    const ids = await pinFirst(page, 3);
    await eventually(async () => expect(await boxes(page).count()).toBe(3));
    await dragOnto(page, boxes(page).nth(0), boxes(page).nth(1));
    await page.locator('#supernode-name').fill('say Austin');
    await page.keyboard.press('Enter');
    await eventually(async () => expect(await boxes(page).count()).toBe(2));
    await eventually(() => {
      const [[name, ...members] = []] = saved().supernodes;
      expect(name).toBe('say Austin');
      expect(members.length).toBe(2);
      expect(ids).toEqual(expect.arrayContaining(members));
    });
    await page.reload();
    await eventually(async () =>
      expect(await page.locator('#subgraph-drawing').innerText()).toContain('say Austin'),
    );
  });

  it('are made by keys alone', async () => {
    const page = await opened();
    for (const place of [1, 2]) {
      await openNodes(page);
      await page.locator('#upper .row-main').nth(place).focus();
      await page.keyboard.press('Enter');
      await page.keyboard.press('g');
    }
    await eventually(async () => expect(await boxes(page).count()).toBe(2));
    await page.keyboard.press('Shift+G');
    await page.locator('#supernode-name:focus').waitFor();
    await page.keyboard.type('by keys');
    await page.keyboard.press('Enter');
    await eventually(() => expect(saved().supernodes.map(([name]) => name)).toEqual(['by keys']));
    await eventually(async () => expect(await boxes(page).count()).toBe(1));
  });

  it('keep the place they were dragged to', async () => {
    const page = await opened();
    await pinFirst(page, 1);
    const box = boxes(page).first();
    await box.waitFor();
    const before = (await box.boundingBox())!;
    await page.mouse.move(before.x + before.width / 2, before.y + before.height / 2);
    await page.mouse.down();
    await page.mouse.move(before.x + before.width / 2 + 30, before.y + 20, { steps: 4 });
    await page.mouse.move(before.x + before.width / 2 + 90, before.y + 40, { steps: 4 });
    await page.mouse.up();
    await eventually(() => expect(saved().sg_pos).toMatch(/:/));
    const moved = (await box.boundingBox())!;
    expect(moved.x).toBeGreaterThan(before.x + 40);
    await page.reload();
    await box.waitFor();
    await eventually(async () => expect(Math.abs((await box.boundingBox())!.x - moved.x)).toBeLessThan(3));
  });
});

describe('labels and notes', () => {
  it('of a feature are edited in place, seen everywhere at once and kept for the set', async () => {
    const page = await opened();
    await openNodes(page);
    await page.locator('#upper .row[data-kind=feature] .row-main').first().click();
    await page.keyboard.press('e');
    await page.locator('.feature-label input').fill('capitals <b>of</b> states');
    await page.keyboard.press('Enter');
    await eventually(async () => {
      expect(await page.locator('.feature-label-text').innerText()).toBe('capitals <b>of</b> states');
    });
    expect(await page.locator('#upper .row[aria-current=true] .row-label').textContent()).toBe(
      'capitals <b>of</b> states',
    );
    const other = await opened();
    await other.keyboard.press('/');
    await other.keyboard.type('capitals of'.slice(0, 8));
    await eventually(async () => expect(await other.locator('#search-hits').innerText()).toMatch(/^[1-9]/));
  });

  it('of other nodes and notes are kept with the graph', async () => {
    const page = await opened();
    await openNodes(page);
    await page.locator('#upper .row[data-kind=embedding] .row-main').first().click();
    await page.keyboard.press('e');
    await page.locator('.feature-label input').fill('where it starts');
    await page.keyboard.press('Enter');
    await page.getByRole('tab', { name: 'About' }).click();
    await page.locator('#notes').fill('A first look.');
    await page.locator('#notes').blur();
    await eventually(() => expect(saved().notes).toBe('A first look.'));
    await page.reload();
    await eventually(async () =>
      expect(await page.locator('.feature-label-text').innerText()).toBe('where it starts'),
    );
  });
});

describe('a save that fails', () => {
  it('is shown, and can be tried again', async () => {
    const page = await opened();
    await page.route('**/annotations', (route) => route.abort());
    await pinFirst(page, 1);
    const problem = page.locator('.save-failed');
    await problem.waitFor();
    expect(await problem.innerText()).toContain('Not saved');
    await page.unroute('**/annotations');
    await problem.getByRole('button', { name: 'Try again' }).click();
    await eventually(() => expect(saved().pinnedIds.length).toBe(1));
    await problem.waitFor({ state: 'detached' });
    forgiveFailedRequests();
  });

  it('is made good after another graph was opened, without anybody asking', async () => {
    const other = `${slug}-other`;
    copyFileSync(FILE, join(served.folder, `${other}.json`));
    const page = await opened();
    await page.clock.install();
    await page.route('**/annotations', (route) => route.abort());
    const ids = await pinFirst(page, 1);
    await page.keyboard.press('o');
    await page.locator('.graph-row', { hasText: other }).getByRole('button').click();
    await eventually(() => expect(new URL(page.url()).searchParams.get('slug')).toBe(other));
    await page.locator('.save-failed', { hasText: `Not saved (${slug})` }).waitFor();
    expect(existsSync(annotationFile())).toBe(false);

    await page.unroute('**/annotations');
    await page.clock.fastForward(60_000);
    await eventually(() => expect(saved().pinnedIds).toEqual(ids));
    await page.locator('#save-state[data-state=saved]').waitFor();
    expect(existsSync(join(served.folder, `${other}.annotations.json`))).toBe(false);
    forgiveFailedRequests();
  });

  it('because the graph is gone is not repeated until someone asks, and can be given up', async () => {
    const page = await opened();
    await page.clock.install();
    let saves = 0;
    page.on('request', (request) => (saves += +(request.method() === 'PUT')));
    rmSync(join(served.folder, `${slug}.json`));
    await pinFirst(page, 1);
    const problem = page.locator('.save-failed');
    await problem.waitFor();
    expect(await problem.innerText()).toContain('no graph is called');
    for (let minute = 0; minute < 10; minute++) await page.clock.fastForward(60_000);
    expect(saves).toBe(1);

    await problem.getByRole('button', { name: 'Try again' }).click();
    await eventually(() => expect(saves).toBe(2));
    await problem.getByRole('button', { name: 'Discard' }).click();
    await problem.waitFor({ state: 'detached' });
    expect(existsSync(annotationFile())).toBe(false);
  });
});

async function opened(): Promise<Page> {
  const page = await served.open(`?slug=${slug}`);
  await isDrawn(page);
  return page;
}

function boxes(page: Page): Locator {
  return page.locator('.subgraph-box');
}

async function openNodes(page: Page): Promise<void> {
  await page.getByRole('tab', { name: 'Nodes' }).click();
}

/** Pins the first nodes of the list; gives their ids. */
async function pinFirst(page: Page, count: number): Promise<string[]> {
  await openNodes(page);
  const ids: string[] = [];
  for (let place = 0; place < count; place++) {
    const row = page.locator('#upper .row').nth(place);
    ids.push((await row.getAttribute('data-id'))!);
    await row.locator('.pin').click();
  }
  return ids;
}

async function dragOnto(page: Page, box: Locator, target: Locator): Promise<void> {
  const [from, to] = [(await box.boundingBox())!, (await target.boundingBox())!];
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(to.x + to.width / 3, to.y + to.height / 3, { steps: 8 });
  await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2, { steps: 4 });
  await page.mouse.up();
}

function pinnedInAddress(page: Page): string[] {
  return (new URL(page.url()).searchParams.get('pinnedIds') ?? '').split(',').filter(Boolean);
}

/** Chromium writes to the console what the test itself has cut off. */
function forgiveFailedRequests(): void {
  const others = served.complaints.filter((text) => !text.includes('ERR_FAILED'));
  served.complaints.splice(0, served.complaints.length, ...others);
}

function annotationFile(): string {
  return join(served.folder, `${slug}.annotations.json`);
}

function saved(): Saved {
  return JSON.parse(readFileSync(annotationFile(), 'utf8')) as Saved;
}
