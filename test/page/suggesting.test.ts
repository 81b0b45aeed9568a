/** A graph that nobody has annotated opens with a suggested circuit, which one key takes away. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { eventually, GRAPH_FILES, isDrawn, serve, type Served } from './served.ts';

const FILE = join(GRAPH_FILES, 'graph-plt-jumprelu-p3.json');
/** Longer than the page waits before it saves. */
const SAVED_BY_NOW_MS = 1_500;

let served: Served;
let slug = '';
let made = 0;
beforeAll(async () => {
  served = await serve([FILE], [], { suggest: true });
}, 120_000);
afterAll(async () => served[Symbol.asyncDispose]());
beforeEach(() => {
  slug = `graph-${++made}`;
  copyFileSync(FILE, join(served.folder, `${slug}.json`));
});
afterEach(() => expect(served.complaints).toEqual([]));

const annotationFile = (): string => join(served.folder, `${slug}.annotations.json`);
const boxes = (page: Page) => page.locator('.subgraph-box');
const badge = (page: Page) => page.locator('#subgraph .suggested');
const pinned = (): readonly string[] =>
  (JSON.parse(readFileSync(annotationFile(), 'utf8')) as { pinnedIds: string[] }).pinnedIds;

async function opened(query = ''): Promise<Page> {
  const page = await served.open(`?slug=${slug}${query}`);
  await isDrawn(page);
  return page;
}

describe('a suggested circuit', () => {
  it('is drawn and marked at first sight, and is neither saved nor in the address', async () => {
    const page = await opened();
    await eventually(async () => expect(await boxes(page).count()).toBeGreaterThan(5));
    expect(await boxes(page).count()).toBeLessThanOrEqual(12);
    expect(await badge(page).innerText()).toBe('Suggested');
    await page.waitForTimeout(SAVED_BY_NOW_MS);
    expect(existsSync(annotationFile())).toBe(false);
    expect(new URL(page.url()).searchParams.has('pinnedIds')).toBe(false);
    await page.reload();
    await eventually(async () => expect(await badge(page).count()).toBe(1));
  });

  it('is taken away by one key, and stays away', async () => {
    const page = await opened();
    await eventually(async () => expect(await badge(page).count()).toBe(1));
    await page.keyboard.press('s');
    await eventually(async () => expect(await boxes(page).count()).toBe(0));
    await eventually(() => expect(pinned()).toEqual([]));
    const later = await served.open(`?slug=${slug}`);
    await isDrawn(later);
    expect(await boxes(later).count()).toBe(0);
    expect(await badge(later).count()).toBe(0);
  });

  it('is taken away by Undo as well, and comes back with Redo', async () => {
    const page = await opened();
    await eventually(async () => expect(await badge(page).count()).toBe(1));
    await page.keyboard.press('Control+z');
    await eventually(async () => expect(await boxes(page).count()).toBe(0));
    await page.keyboard.press('Control+y');
    await eventually(async () => expect(await badge(page).count()).toBe(1));
  });

  it("becomes the person's own with the first change", async () => {
    const page = await opened();
    await eventually(async () => expect(await badge(page).count()).toBe(1));
    const before = await boxes(page).count();
    await boxes(page).first().focus();
    await page.keyboard.press('Delete');
    await eventually(async () => expect(await boxes(page).count()).toBe(before - 1));
    expect(await badge(page).count()).toBe(0);
    await eventually(() => expect(pinned().length).toBeGreaterThan(0));
  });

  it('never takes the place of annotations', async () => {
    const { nodes } = JSON.parse(readFileSync(FILE, 'utf8')) as { nodes: { node_id: string }[] };
    const own = JSON.stringify({ pinnedIds: [nodes[0]!.node_id] });
    writeFileSync(annotationFile(), own);
    const page = await opened();
    await eventually(async () => expect(await boxes(page).count()).toBe(1));
    expect(await badge(page).count()).toBe(0);
    expect(readFileSync(annotationFile(), 'utf8')).toBe(own);
  });

  it('has labels of links that no box covers', async () => {
    const page = await opened();
    await eventually(async () => expect(await badge(page).count()).toBe(1));
    await boxes(page).last().hover();
    const labels = page.locator('#subgraph-drawing svg > g:last-child > text');
    await eventually(async () => expect(await labels.count()).toBeGreaterThan(0));
    const covered = await labels.evaluateAll(
      (texts) =>
        texts.filter((text) => {
          const { x, y, width, height } = text.getBoundingClientRect();
          return document
            .elementsFromPoint(x + width / 2, y + height / 2)
            .some((element) => element.closest('.subgraph-box') !== null);
        }).length,
    );
    expect(covered).toBe(0);
  });
});

describe('pins of an address', () => {
  it('that the graph does not hold are said and not counted', async () => {
    const { nodes } = JSON.parse(readFileSync(FILE, 'utf8')) as { nodes: { node_id: string }[] };
    const page = await opened(`&pinnedIds=${nodes[0]!.node_id},9_9_9,8_8_8`);
    await eventually(async () => expect(await boxes(page).count()).toBe(1));
    expect(await page.locator('#subgraph-summary').innerText()).toMatch(/^1 pinned/);
    expect(await page.locator('#subgraph .lost-pins').innerText()).toBe('2 pins are not in this graph');
  });
});
