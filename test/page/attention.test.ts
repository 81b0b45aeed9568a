/** Attention in the page, on the embedded model: heads of a link and of a node, the pattern of a head, pairs and their nodes, groups, contrasts. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Locator, Page } from 'playwright-core';
import { scratchFolder, type Scratch } from '../support/scratch.ts';
import { BINARY, eventually, isDrawn, launch, serve, type Served } from './served.ts';

const PROMPT = 'The capital of the state containing Dallas is';
const JOB_MS = 120_000;
/** Numbers of the page have three digits. */
const DIGITS = 0.01;

let served: Served;
let scratch: Scratch;
beforeAll(async () => {
  scratch = scratchFolder();
  const graph = join(scratch.path, 'dallas.safetensors');
  const made = spawnSync(process.execPath, [BINARY, 'attribute', PROMPT, '--offline', '--output', graph]);
  expect(made.status).toBe(0);
  served = await serve([graph]);
}, 180_000);
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});
afterEach(() => expect(served.complaints).toEqual([]));

describe('a link', () => {
  it(
    'is a list of what is direct, of heads with the token of their key, and of a rest, which add up',
    async () => {
      const page = await opened();
      await explainLink(page);
      const link = page.locator('#attention-link');
      const weight = numberIn(await link.locator('h3 .muted').innerText());
      for (const side of ['Last head', 'First head']) {
        await link.getByRole('radio', { name: side }).check();
        const values = await numbersIn(link.locator('.signed-number'));
        const sum = values.reduce((total, value) => total + value, 0);
        expect(Math.abs(sum - weight)).toBeLessThan(DIGITS * Math.max(1, Math.abs(weight)));
      }
      expect(await link.locator('[data-row=rest] .grey').count()).toBe(1);
      expect(await link.locator('.row-main .token').first().textContent()).toMatch(/\S/);
      await link.getByRole('radio', { name: 'Any head' }).check();
      expect(await link.locator('[data-row=rest]').count()).toBe(0);
    },
    JOB_MS,
  );

  it(
    'is asked about and read with keys alone, and read out',
    async () => {
      const page = await opened();
      await page.keyboard.press('8');
      await eventually(async () =>
        expect(await page.locator('#lower').evaluate((panel) => panel === document.activeElement)).toBe(true),
      );
      await clickLogit(page);
      await movedLink(page).locator('.link-heads').focus();
      await page.keyboard.press('Enter');
      const rows = page.locator('#attention-link .row-main');
      await rows.first().waitFor({ timeout: JOB_MS });
      await eventually(async () =>
        expect(await page.locator('#announcer').innerText()).toMatch(/Link of weight .*by head \d/),
      );
      await rows.first().focus();
      await page.keyboard.press('ArrowDown');
      expect(await rows.nth(1).evaluate((row) => row === document.activeElement)).toBe(true);
      await page.keyboard.press('Enter');
      await page.locator('#attention-head').waitFor({ timeout: JOB_MS });
      await eventually(async () =>
        expect(await page.locator('#announcer').innerText()).toMatch(/Head \d\.\d: .* looks at /),
      );
    },
    JOB_MS,
  );
});

describe('a node', () => {
  it(
    'has a list of the heads that bring most to it, which adds up, is read with keys, and leads to each head',
    async () => {
      const page = await opened();
      await clickLogit(page);
      await page.keyboard.press('8');
      await page.locator('#attention-of-node').focus();
      await page.keyboard.press('Enter');
      const node = page.locator('#attention-node');
      const rows = node.locator('.row-main');
      await rows.first().waitFor({ timeout: JOB_MS });
      await eventually(async () =>
        expect(await page.locator('#announcer').innerText()).toMatch(/Node that takes in .*by head \d/),
      );
      const total = numberIn(await node.locator('h3 .muted').innerText());
      const values = await numbersIn(node.locator('.signed-number'));
      const sum = values.reduce((all, value) => all + value, 0);
      expect(Math.abs(sum - total)).toBeLessThan(DIGITS * Math.max(1, Math.abs(total)));
      expect(await node.locator('[data-row=direct] .grey, [data-row=rest] .grey').count()).toBe(2);
      expect(await rows.first().getAttribute('aria-label')).toMatch(/^Head \d\.\d, key .* at \d, [+−]/);
      await rows.first().focus();
      await page.keyboard.press('ArrowDown');
      expect(await rows.nth(1).evaluate((row) => row === document.activeElement)).toBe(true);
      await page.keyboard.press('Enter');
      await page.locator('#attention-head').waitFor({ timeout: JOB_MS });
      expect(await page.locator('#attention-head-title').innerText()).toMatch(/·is at 8 looks at/);
      expect(await node.locator('[aria-current=true]').count()).toBe(1);
      await page.locator('.answered summary').click();
      await page
        .locator('.answered')
        .getByRole('button', { name: /^Heads of/ })
        .first()
        .waitFor();
    },
    JOB_MS,
  );
});

describe('a head', () => {
  it(
    'has its pattern as a matrix, in which a cell is chosen by mouse and by keys',
    async () => {
      const page = await opened();
      await explainHead(page);
      const title = page.locator('#attention-head-title');
      const matrix = page.locator('#attention-pattern');
      expect(await matrix.locator('.pattern-cell').count()).toBeGreaterThan(9);
      expect(await title.innerText()).toMatch(/·is at 8 looks at/);
      const box = (await matrix.boundingBox())!;
      // The second last row, its first cell.
      const row = (await matrix.locator('.pattern-row').boundingBox())!;
      await matrix.click({ position: { x: row.x - box.x + 4, y: row.y - box.y - row.height / 2 } });
      await eventually(async () => expect(await title.innerText()).toMatch(/·Dallas at 7 looks at .* at 0/));
      await matrix.focus();
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowUp');
      await eventually(async () =>
        expect(await page.locator('#announcer').innerText()).toMatch(/6 ·containing looks at 1 ·?The/),
      );
      await page.keyboard.press('Enter');
      await eventually(async () =>
        expect(await title.innerText()).toMatch(/·containing at 6 looks at .* at 1/),
      );
      expect(await matrix.evaluate((element) => element === document.activeElement)).toBe(true);
      await page.locator('.keys .row-main').first().click();
      await eventually(async () => expect(await page.locator('.keys [aria-current=true]').count()).toBe(1));
    },
    JOB_MS,
  );

  it(
    'is the sum of pairs, of marginals and of groups, as a score and as contrasts',
    async () => {
      const page = await opened();
      await explainHead(page);
      for (const choice of ['Score', 'Against the mean', 'By the pattern', 'Against a key']) {
        await page.getByRole('radio', { name: choice }).check();
        await page.locator('#attention-head:not([aria-busy=true])').waitFor();
        expect(await page.getByRole('radio', { name: choice }).isChecked()).toBe(true);
        const total = numberIn(await page.locator('#attention-total strong').innerText());
        for (const list of ['#attention-pairs', '#attention-queries', '#attention-keys']) {
          const values = await numbersIn(page.locator(`${list} .signed-number`));
          const size = values.reduce((sum, value) => sum + Math.abs(value), 0);
          const sum = values.reduce((all, value) => all + value, 0);
          expect(Math.abs(sum - total)).toBeLessThan(DIGITS * (1 + size));
          expect(await page.locator(`${list} [data-row=rest] .grey`).count()).toBe(1);
        }
      }
      expect(await page.getByRole('combobox', { name: 'Key to compare with' }).count()).toBe(1);
      await page.getByText('Groups by layer').click();
      expect(await page.locator('#attention-groups th[scope=row]').allInnerTexts()).toContain('token');
      expect(await page.locator('#attention-shares .muted[data-share=error]').count()).toBe(2);
      expect(await page.locator('#attention-groups .positive').count()).toBeGreaterThan(0);
    },
    JOB_MS,
  );

  it(
    'is removed in the model on demand, the true changes beside the prediction, with keys alone',
    async () => {
      const page = await opened();
      await explainHead(page);
      await page.getByText('Effect on the logits').click();
      const cells = (table: string, column: number): Locator =>
        page.locator(`${table} tbody td:nth-of-type(${column})`);
      const totals = await numbersIn(cells('#attention-logits', 2));
      const tokens = await page.locator('#attention-logits tbody th').allInnerTexts();
      await page.getByRole('radio', { name: 'From this key' }).check();
      const button = page.getByRole('button', {
        name: /^Measure what the logits do without head \d\.\d, to ·is at 8/,
      });
      expect(await page.locator('#attention-measured').count()).toBe(0);
      await button.focus();
      await page.keyboard.press('Enter');
      const table = page.locator('#attention-measured');
      await table.waitFor({ timeout: JOB_MS });
      expect(await button.evaluate((element) => element === document.activeElement)).toBe(true);
      expect(await table.locator('thead th').allInnerTexts()).toEqual([
        'Token',
        'Predicted',
        'Measured, patterns held',
        'Measured, patterns free',
      ]);
      expect(await table.locator('tbody th').allInnerTexts()).toEqual(tokens);
      const predicted = await numbersIn(cells('#attention-measured', 1));
      expect(predicted).toHaveLength(totals.length);
      for (const [i, total] of totals.entries())
        expect(Math.abs(predicted[i]! + total)).toBeLessThanOrEqual(DIGITS * Math.abs(total));
      const held = await numbersIn(cells('#attention-measured', 2));
      expect(held).not.toEqual(predicted);
      await eventually(async () =>
        expect(await page.locator('#announcer').innerText()).toMatch(
          /Without head \d\.\d, .*: predicted .*, measured .* with patterns held, .* with patterns free/,
        ),
      );
      await page.getByRole('radio', { name: 'From all keys' }).check();
      expect(await table.count()).toBe(0);
    },
    JOB_MS,
  );

  it(
    'leads from a pair to its nodes, and draws one that was pruned when it is pinned',
    async () => {
      const page = await opened();
      await explainHead(page);
      const drawn = page.locator('#attention-pairs .source:not([data-outside])').first();
      const id = (await drawn.getAttribute('data-source'))!;
      await drawn.locator('.row-main').click();
      await eventually(() => expect(new URL(page.url()).searchParams.get('clickedId')).toBe(id));
      const outside = page.locator('#attention-head .source[data-outside]:has(.draw)').first();
      const pruned = (await outside.getAttribute('data-source'))!;
      expect(await outside.locator('.row-main').getAttribute('aria-label')).toContain(
        'not in the drawn graph',
      );
      await outside.locator('.draw').focus();
      await page.keyboard.press('Enter');
      const now = page.locator(`#attention-head .source[data-source="${pruned}"]`).first();
      await eventually(async () => expect(await now.getAttribute('data-outside')).toBeNull());
      await now.locator('.row-main').click();
      await eventually(() => expect(new URL(page.url()).searchParams.get('clickedId')).toBe(pruned));
    },
    JOB_MS,
  );

  it(
    'has a name for every control, and fits into its panel',
    async () => {
      const page = await opened();
      await explainHead(page);
      await page.locator('.answered summary').click();
      const controls = page.locator('.attention').locator('button, input, select, svg[tabindex]');
      const names = await controls.evaluateAll((all) =>
        all.map((control) => {
          const labels = control instanceof HTMLInputElement ? [...(control.labels ?? [])] : [];
          const label = control.getAttribute('aria-label') ?? control.textContent;
          return [label, ...labels.map(({ textContent }) => textContent)].join('').trim();
        }),
      );
      expect(names.length).toBeGreaterThan(30);
      expect(names.filter((name) => name === '')).toEqual([]);
      const beside = await page
        .locator('#tabpanel-attention')
        .evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
      expect(beside).toBe(0);
    },
    JOB_MS,
  );

  it(
    'is found in the list of heads by effect',
    async () => {
      const page = await opened();
      await page.keyboard.press('8');
      await page.getByRole('button', { name: 'Heads by effect' }).click();
      const rows = page.locator('#attention-heads .row-main');
      await rows.first().waitFor({ timeout: JOB_MS });
      expect(await rows.count()).toBeGreaterThan(3);
      await rows.first().click();
      await page.locator('#attention-head').waitFor({ timeout: JOB_MS });
    },
    JOB_MS,
  );
});

describe('answers of before', () => {
  it(
    'are kept beside the graph, and read in the exported page, where there is no model',
    async () => {
      const page = await opened();
      await explainHead(page);
      const kept = join(served.folder, 'dallas.attention.json');
      expect(existsSync(kept)).toBe(true);
      await page.keyboard.press('x');
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.locator('#export-html:not([aria-disabled=true])').click(),
      ]);
      const html = join(scratch.path, 'dallas.html');
      copyFileSync(await download.path(), html);
      const browser = await launch();
      try {
        const alone = await browser.newPage();
        const requests: string[] = [];
        alone.on('request', (request) => requests.push(request.url()));
        await alone.goto(pathToFileURL(html).href);
        await isDrawn(alone);
        await readsKept(alone);
        expect(requests).toEqual([pathToFileURL(html).href]);
      } finally {
        await browser.close();
      }
    },
    JOB_MS,
  );
});

async function readsKept(page: Page): Promise<void> {
  await page.getByRole('tab', { name: 'Attention' }).click();
  expect(await page.locator('.attention').innerText()).toContain('is not loaded');
  await page.locator('.answered summary').click();
  await page
    .locator('.answered')
    .getByRole('button', { name: /^Head \d/ })
    .first()
    .click();
  await page.locator('#attention-head #attention-pattern').waitFor();
  await page.getByText('Effect on the logits').click();
  expect(await page.getByText('cannot be measured').isVisible()).toBe(true);
  expect(await page.getByRole('button', { name: /^Measure/ }).count()).toBe(0);
  expect(await page.locator('#attention-pairs .pair-row').count()).toBeGreaterThan(0);
}

async function opened(): Promise<Page> {
  const page = await served.open('?slug=dallas');
  await isDrawn(page);
  return page;
}

async function clickLogit(page: Page): Promise<void> {
  await page.getByRole('tab', { name: 'Nodes' }).click();
  await page.locator('#upper .row[data-kind=logit] .row-main').first().click();
  await page.getByRole('tab', { name: 'Connections' }).click();
}

/** The strongest link from another position: heads carry it. */
function movedLink(page: Page): Locator {
  return page.locator('#connections-inputs .row', { hasText: '·Dallas' }).first();
}

/** By the button beside the link. */
async function explainLink(page: Page): Promise<void> {
  await clickLogit(page);
  const row = movedLink(page);
  await row.hover();
  await row.locator('.link-heads').click();
  await page.locator('#attention-link').waitFor({ timeout: JOB_MS });
}

async function explainHead(page: Page): Promise<void> {
  await explainLink(page);
  await page.locator('#attention-link .row-main').first().click();
  await page.locator('#attention-head').waitFor({ timeout: JOB_MS });
}

/** By the text that is there: rows out of sight are not laid out (`content-visibility`), so what `innerText` says of them is empty. */
async function numbersIn(texts: Locator): Promise<number[]> {
  return (await texts.allTextContents()).map(numberIn);
}

function numberIn(text: string): number {
  return Number(/[+−-]?[\d.]+(?:e[−-]?\d+)?/.exec(text)![0].replaceAll('−', '-'));
}
