/** Reading a graph in the page: files of the reference as they are, without a model. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { asciiName } from '../../src/graph/slug.ts';
import { IS_FULL } from '../support/golden.ts';
import { eventually, GRAPH_FILES, isDrawn, serve, type Served } from './served.ts';

const SLUG = 'graph-plt-jumprelu-p3';
/** One in so many files of the reference is opened in `npm test`. */
const EVERY = 4;
const MARKUP = '<img src=x onerror="document.title=\'broken\'"><b>bold</b>';

interface ViewerFile {
  readonly metadata: { readonly scan: string };
  readonly nodes: readonly { readonly node_id: string; readonly feature_type: string }[];
  readonly links: readonly unknown[];
}

const file = JSON.parse(readFileSync(join(GRAPH_FILES, `${SLUG}.json`), 'utf8')) as ViewerFile;

/** The graph as if it had been made with a set that Neuronpedia has pages of. */
function withScan(slug: string, scan: string): string {
  return JSON.stringify({ ...file, metadata: { ...file.metadata, slug, scan } });
}

let served: Served;
beforeAll(async () => {
  const hostile = JSON.stringify({ ...file, nodes: file.nodes.map((node) => ({ ...node, clerp: MARKUP })) });
  served = await serve([
    join(GRAPH_FILES, `${SLUG}.json`),
    join(GRAPH_FILES, 'graph-clt-p2.json'),
    { name: 'hostile.json', content: hostile.replaceAll(`"${SLUG}"`, '"hostile"') },
  ]);
}, 120_000);
afterAll(async () => served[Symbol.asyncDispose]());
afterEach(() => {
  // No request to elsewhere, no refusal by the content policy, no exception, in any of the tests.
  expect(served.complaints).toEqual([]);
});

describe('the list of graphs', () => {
  it('opens a graph that a search finds, and Back leads to the one before', async () => {
    const page = await served.open('');
    await page.getByRole('searchbox', { name: 'Search graphs' }).fill('clt');
    const rows = page.locator('.graph-row');
    await eventually(async () => expect(await rows.count()).toBe(1));
    await rows.getByRole('button').click();
    await isDrawn(page);
    expect(new URL(page.url()).searchParams.get('slug')).toBe('graph-clt-p2');

    await page.keyboard.press('o');
    await page.getByRole('searchbox', { name: 'Search graphs' }).fill('river');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await eventually(() => expect(new URL(page.url()).searchParams.get('slug')).toBe(SLUG));
    await page.goBack();
    await eventually(async () =>
      expect(await page.locator('#open-graphs').innerText()).toContain('graph-clt-p2'),
    );
  });

  it('says why a graph cannot be opened', async () => {
    const page = await served.open('?slug=nowhere');
    expect(await page.getByRole('alert').innerText()).toContain('nowhere');
  });
});

describe('files of the reference', () => {
  it('open, each node under an id of its own, also where two of the file share one', async () => {
    const every = readdirSync(GRAPH_FILES).filter((name) => name !== 'graph-metadata.json');
    expect(every.length).toBeGreaterThan(15);
    const names = every.filter((_, i) => IS_FULL || i % EVERY === 0);
    await using all = await serve(names.map((name) => join(GRAPH_FILES, name)));
    const page = await all.open('');
    for (const name of names) {
      const { nodes, links } = JSON.parse(readFileSync(join(GRAPH_FILES, name), 'utf8')) as ViewerFile;
      await page.goto(`${all.address}?slug=${name.replace('.json', '')}`);
      await isDrawn(page);
      await page.getByRole('tab', { name: 'Nodes' }).click();
      while ((await page.locator('#upper .more').count()) > 0) await page.locator('#upper .more').click();
      const ids = await page
        .locator('#upper .row')
        .evaluateAll((rows) => rows.map((row) => row.getAttribute('data-id')));
      expect(new Set(ids).size).toBe(nodes.length);
      expect(await page.locator('#graph-count').innerText()).toBe(
        `${nodes.length} nodes, ${links.length} links`,
      );
    }
    expect(all.complaints).toEqual([]);
  }, 300_000);
});

describe('the graph', () => {
  it('shows every node and link of the file', async () => {
    const page = await opened();
    const count = await page.locator('#graph-count').innerText();
    expect(count).toBe(`${file.nodes.length} nodes, ${file.links.length} links`);
    expect(await page.getByRole('application').getAttribute('aria-label')).toContain(
      `${file.nodes.length} nodes`,
    );
  });

  it('names the mark under the mouse, and a click shows its connections', async () => {
    const page = await opened();
    const id = await hoverSomeMark(page);
    expect((await page.locator('.drawing-tip').innerText()).length).toBeGreaterThan(0);
    await page.mouse.down();
    await page.mouse.up();
    await eventually(() => expect(new URL(page.url()).searchParams.get('clickedId')).toBe(id));
    expect(await page.locator('#connections-inputs').isVisible()).toBe(true);
  });

  it('is walked with arrow keys, each step spoken', async () => {
    const page = await opened();
    await page.keyboard.press('1');
    await eventually(async () => expect(await focusedId(page)).toBe('graph-drawing'));
    await page.keyboard.press('ArrowUp');
    const first = await hoveredId(page);
    await page.keyboard.press('ArrowRight');
    await eventually(async () => expect(await hoveredId(page)).not.toBe(first));
    const spoken = await page.locator('#announcer').innerText();
    expect(spoken).toMatch(/inputs?.*outputs?/);
    await page.keyboard.press('Enter');
    await page.keyboard.press('p');
    await eventually(async () =>
      expect(await page.locator('#subgraph-summary').innerText()).toContain('1 pinned'),
    );
  });

  it('lists the same nodes for those who do not see it', async () => {
    const page = await opened();
    await page.getByRole('tab', { name: 'Nodes' }).click();
    const list = page.getByRole('list', { name: 'Nodes of the graph' });
    expect(await list.getByRole('listitem').count()).toBe(Math.min(60, file.nodes.length));
    const name = await list.getByRole('button').first().getAttribute('aria-label');
    expect(name).toMatch(/, (feature|error|embedding|logit), /);
  });

  it('loses nodes and links as the sliders go down and gets them back', async () => {
    const page = await opened();
    const all = await page.locator('#graph-count').innerText();
    await page.getByRole('slider', { name: 'Nodes' }).focus();
    for (let i = 0; i < 60; i++) await page.keyboard.press('ArrowLeft');
    await eventually(async () => expect(await nodesShown(page)).toBeLessThan(file.nodes.length));
    const fewer = await nodesShown(page);
    await page.getByRole('slider', { name: 'Links' }).focus();
    for (let i = 0; i < 60; i++) await page.keyboard.press('ArrowLeft');
    await eventually(async () => expect(await nodesShown(page)).toBeLessThanOrEqual(fewer));
    const address = await eventualParam(
      page,
      'pruningThreshold',
      (value) => value !== '' && Number(value) < 0.8,
    );
    await page.reload();
    await isDrawn(page);
    expect(new URL(page.url()).searchParams.get('pruningThreshold')).toBe(address);
    await page.getByRole('slider', { name: 'Nodes' }).press('End');
    await page.getByRole('slider', { name: 'Links' }).press('End');
    await eventually(async () => expect(await page.locator('#graph-count').innerText()).toBe(all));
  });

  it('finds labels and tokens, and n goes through the hits', async () => {
    const page = await opened();
    await page.keyboard.press('/');
    await page.keyboard.type('river');
    expect(await page.locator('#search').inputValue()).toBe('river');
    await eventually(async () =>
      expect(Number(await page.locator('#search-hits').innerText())).toBeGreaterThan(0),
    );
    const hits = Number(await page.locator('#search-hits').innerText());
    await page.keyboard.press('Escape');
    await eventually(async () => expect(await page.locator('#search').inputValue()).toBe(''));
    await page.locator('#search').fill('river');
    await page.keyboard.press('Enter');
    await eventually(async () => expect(await page.locator('#search-hits').innerText()).toBe(`1 / ${hits}`));
    await page.locator('#search').blur();
    await page.keyboard.press('n');
    await eventually(async () => expect(await page.locator('#search-hits').innerText()).toMatch(/^[12] \/ /));
  });
});

describe('connections', () => {
  it('come by falling weight with their share, and lead on by click', async () => {
    const page = await opened();
    await clickNode(page, 'feature', 0);
    // The text of the element: a row that is not on the screen has no rendered one.
    const weights = await page.locator('#connections-inputs .weight-number').allTextContents();
    const sizes = weights.map((text) => Math.abs(Number(text.replace('−', '-'))));
    expect(sizes.length).toBeGreaterThan(1);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    expect(await page.locator('#connections-inputs .weight-share').first().textContent()).toMatch(
      /^[\d.]+ %$/,
    );
    const before = new URL(page.url()).searchParams.get('clickedId');
    await page.locator('#connections-inputs .row-main').first().click();
    const input = await eventualParam(page, 'clickedId', (value) => value !== '' && value !== before);
    await page.keyboard.press('.');
    await eventualParam(page, 'clickedId', (value) => value !== '' && value !== input);
  });
});

describe('the page', () => {
  it('says of a label that a language model wrote by which, and how well it does', async () => {
    const { node_id } = file.nodes.find(({ feature_type }) => feature_type === 'cross layer transcoder')!;
    const [layer, feature] = node_id.split('_');
    const made = {
      text: 'rivers',
      model: 'some-model',
      scorer: 'some-model',
      prompt_version: 1,
      score: 0.875,
    };
    const counts = { n_positive: 4, n_negative: 4, n_true_positive: 4, n_true_negative: 3 };
    const folder = join(served.labels, 'by-model');
    mkdirSync(folder);
    const labels = { [`${layer}_${feature}`]: { ...made, ...counts } };
    const { scan } = file.metadata;
    writeFileSync(
      join(folder, `${asciiName(scan)}.json`),
      JSON.stringify({ format: 'tracer.model_labels', format_version: 1, set: scan, labels }),
    );
    const page = await served.open(`?slug=${SLUG}&clickedId=${node_id}`);
    await isDrawn(page);
    await eventually(async () =>
      expect(await page.locator('.feature-label').innerText()).toMatch(
        /rivers\s+by some-model, score 0\.8[78]/,
      ),
    );
  });

  it('shows a label that holds markup as text', async () => {
    const page = await served.open('?slug=hostile');
    await isDrawn(page);
    await clickNode(page, 'feature', 0);
    expect(await page.locator('.feature-label-text').innerText()).toBe(MARKUP);
    await page.keyboard.press('p');
    await page.locator('.subgraph-box').waitFor();
    await hoverSomeMark(page);
    expect(await page.locator('main img, main b').count()).toBe(0);
    expect(await page.title()).not.toBe('broken');
  });

  it('has a help with every key, and gives the focus back when it is closed', async () => {
    const page = await opened();
    await page.locator('#open-help').focus();
    await page.keyboard.press('?');
    const help = page.getByRole('dialog', { name: 'Keys and gestures' });
    expect(await help.locator('kbd').count()).toBeGreaterThan(30);
    await page.keyboard.press('Escape');
    await help.waitFor({ state: 'detached' });
    expect(await focusedId(page)).toBe('open-help');
  });

  it('is dark where the system is, and as chosen afterwards', async () => {
    const page = await served.open(`?slug=${SLUG}`, { colorScheme: 'dark' });
    await isDrawn(page);
    const theme = () => page.locator('html').getAttribute('data-theme');
    expect(await theme()).toBe('dark');
    await page.keyboard.press('m');
    await eventually(async () => expect(await theme()).toBe('light'));
    await page.reload();
    await isDrawn(page);
    expect(await theme()).toBe('light');
  });

  it('gives every control a name and every panel a role', async () => {
    const page = await opened();
    await clickNode(page, 'feature', 0);
    await page.getByRole('tab', { name: 'About' }).click();
    const nameless = await page
      .locator('button, input, select, textarea, [role=slider], [role=separator]')
      .evaluateAll(
        (controls) =>
          controls.filter((control) => {
            const labelled = control.getAttribute('aria-label') ?? control.textContent;
            const labels =
              control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement
                ? control.labels
                : null;
            return labelled.trim() === '' && (labels?.length ?? 0) === 0;
          }).length,
      );
    expect(nameless).toBe(0);
    for (const name of [
      'Attribution graph',
      'Connections and nodes',
      'Subgraph',
      'Feature, try out, about and attention',
    ]) {
      expect(await page.getByRole('region', { name, exact: true }).count()).toBe(1);
    }
  });

  it.each([
    [1280, 800],
    [3840, 2160],
  ])('fits into %i × %i pixels with text that can be read', async (width, height) => {
    const page = await served.open(`?slug=${SLUG}`, { viewport: { width, height } });
    await isDrawn(page);
    await clickNode(page, 'feature', 0);
    const { scrollWidth, fontPixels } = await page.evaluate(() => ({
      scrollWidth: document.documentElement.scrollWidth,
      fontPixels: Number.parseFloat(getComputedStyle(document.body).fontSize),
    }));
    expect(scrollWidth).toBe(width);
    expect(fontPixels).toBeGreaterThanOrEqual(width === 1280 ? 13 : 20);
    const cut = await page.locator('.top').evaluate((top) => top.scrollWidth - top.clientWidth);
    expect(cut).toBe(0);
  });
});

async function opened(): Promise<Page> {
  const page = await served.open(`?slug=${SLUG}`);
  await isDrawn(page);
  return page;
}

async function clickNode(page: Page, kind: string, place: number): Promise<void> {
  await page.getByRole('tab', { name: 'Nodes' }).click();
  await page.locator(`#upper .row[data-kind=${kind}] .row-main`).nth(place).click();
  await page.getByRole('tab', { name: 'Connections' }).click();
  await page.locator('.connections').waitFor();
}

/** Moves the mouse over the drawing until a mark answers; gives its id. */
async function hoverSomeMark(page: Page): Promise<string> {
  const drawing = page.locator('#graph-drawing');
  const box = (await drawing.boundingBox())!;
  for (let y = box.y + 8; y < box.y + box.height; y += 6) {
    for (let x = box.x + box.width * 0.8; x < box.x + box.width; x += 6) {
      await page.mouse.move(x, y);
      if ((await drawing.getAttribute('data-hovered')) === null) continue;
      // The answer may be to an earlier place: what counts is what stays.
      await page.evaluate(
        () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
      );
      const id = await drawing.getAttribute('data-hovered');
      if (id !== null) return id;
    }
  }
  throw new Error('No mark was found under the mouse.');
}

async function hoveredId(page: Page): Promise<string | null> {
  return page.locator('#graph-drawing').getAttribute('data-hovered');
}

async function focusedId(page: Page): Promise<string> {
  return page.evaluate(() => document.activeElement?.id ?? '');
}

async function nodesShown(page: Page): Promise<number> {
  return Number.parseInt(await page.locator('#graph-count').innerText(), 10);
}

async function eventualParam(page: Page, name: string, holds: (value: string) => boolean): Promise<string> {
  let value = '';
  await eventually(() => {
    value = new URL(page.url()).searchParams.get(name) ?? '';
    expect(holds(value)).toBe(true);
  });
  return value;
}

describe("a link to Neuronpedia's page of a feature", () => {
  const feature = file.nodes.find(({ feature_type }) => feature_type === 'cross layer transcoder')!.node_id;

  it('says of Gemma Scope, and of no other set, that the activations there are others', async () => {
    await using two = await serve([
      { name: 'gemma.json', content: withScan('gemma', 'mwhanna-gemma-scope-transcoders') },
      { name: 'qwen.json', content: withScan('qwen', 'mwhanna-qwen3-4b-transcoders') },
    ]);
    const cases = [
      ['gemma', 'gemma-2-2b', 1],
      ['qwen', 'qwen3-4b', 0],
    ] as const;
    for (const [slug, model, notes] of cases) {
      const page = await two.open(`?slug=${slug}&clickedId=${feature}`);
      const panel = page.locator('article.feature');
      const link = panel.getByRole('link', { name: 'Neuronpedia' });
      await eventually(async () =>
        expect(await link.getAttribute('href')).toContain(`neuronpedia.org/${model}/`),
      );
      const note = panel.getByRole('note');
      expect(await note.count()).toBe(notes);
      if (notes === 1) expect(await note.innerText()).toContain('unnormalised residual');
    }
    expect(two.complaints).toEqual([]);
  });
});
