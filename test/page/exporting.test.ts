/** Exporting from the page: SVG, JSON, and one HTML file that works from disk. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { scratchFolder } from '../support/scratch.ts';
import { eventually, GRAPH_FILES, isDrawn, launch, serve, type Served } from './served.ts';

const SLUG = 'graph-clt-p2';

let served: Served;
beforeAll(async () => {
  served = await serve([join(GRAPH_FILES, `${SLUG}.json`)]);
}, 120_000);
afterAll(async () => served[Symbol.asyncDispose]());
afterEach(() => expect(served.complaints).toEqual([]));

describe('export', () => {
  it('saves the whole graph and the pinned subgraph as SVG', async () => {
    const page = await annotated();
    await page.keyboard.press('x');
    const graph = await download(page, '#export-graph');
    expect(graph.name).toBe(`${SLUG}.svg`);
    expect(graph.text).toMatch(/^(<\?xml[^]*)?<svg[^]*<\/svg>\s*$/);
    const subgraph = await download(page, '#export-subgraph');
    expect(subgraph.name).toBe(`${SLUG}-subgraph.svg`);
    expect(subgraph.text).toMatch(/<svg[^]*<\/svg>\s*$/);
  });

  it('saves viewer JSON with the annotations in it', async () => {
    const page = await annotated();
    await page.keyboard.press('x');
    const { text } = await download(page, '#export-json');
    const { qParams } = JSON.parse(text) as { qParams: { pinnedIds: string[] } };
    expect(qParams.pinnedIds.length).toBe(2);
  });

  it('saves one HTML file that shows the same from disk, asks for nothing and can be annotated further', async () => {
    const page = await annotated();
    await page.keyboard.press('x');
    const { text } = await download(page, '#export-html');
    using scratch = scratchFolder();
    const file = join(scratch.path, 'page.html');
    writeFileSync(file, text);

    const browser = await launch();
    try {
      const alone = await browser.newPage();
      const [requests, errors]: [string[], string[]] = [[], []];
      alone.on('request', (request) => requests.push(request.url()));
      alone.on('pageerror', (error) => errors.push(String(error)));
      alone.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
      await alone.goto(pathToFileURL(file).href);
      await isDrawn(alone);
      await eventually(async () => expect(await alone.locator('.subgraph-box').count()).toBe(2));
      await alone.getByRole('tab', { name: 'Nodes' }).click();
      await alone.locator('#upper .row .pin').nth(4).click();
      await eventually(async () => expect(await alone.locator('.subgraph-box').count()).toBe(3));
      await eventually(() => {
        const { hash } = new URL(alone.url());
        expect(new URLSearchParams(hash.slice(1)).get('pinnedIds')?.split(',').length).toBe(3);
      });
      await alone.reload();
      await eventually(async () => expect(await alone.locator('.subgraph-box').count()).toBe(3));
      expect(requests.filter((url) => url.split('#')[0] !== pathToFileURL(file).href)).toEqual([]);
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});

/** A graph with two pinned nodes, saved. */
async function annotated(): Promise<Page> {
  const page = await served.open(`?slug=${SLUG}&pinnedIds=`);
  await isDrawn(page);
  await page.getByRole('tab', { name: 'Nodes' }).click();
  for (const place of [0, 1]) await page.locator('#upper .row .pin').nth(place).click();
  await page.locator('#save-state[data-state=saved]').waitFor();
  await page.locator('#graph h2').click();
  return page;
}

async function download(page: Page, button: string): Promise<{ name: string; text: string }> {
  const [file] = await Promise.all([page.waitForEvent('download'), page.locator(button).click()]);
  return { name: file.suggestedFilename(), text: readFileSync(await file.path(), 'utf8') };
}
