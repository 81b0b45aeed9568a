/** Trying out in the page, on the embedded model: trace, steer, ablate, cancel. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { scratchFolder } from '../support/scratch.ts';
import { BINARY, eventually, GRAPH_FILES, isDrawn, serve, type Served } from './served.ts';

const PROMPT = 'The capital of the state';
const JOB_MS = 120_000;

let served: Served;
beforeAll(async () => {
  using scratch = scratchFolder();
  const graph = join(scratch.path, 'state.safetensors');
  const made = spawnSync(process.execPath, [BINARY, 'attribute', PROMPT, '--offline', '--output', graph]);
  expect(made.status).toBe(0);
  served = await serve([graph, join(GRAPH_FILES, 'graph-clt-p2.json')]);
}, 180_000);
afterAll(async () => served[Symbol.asyncDispose]());
afterEach(() => expect(served.complaints).toEqual([]));

describe('a graph file', () => {
  it('is pruned less than it was when a slider goes beyond what was fetched', async () => {
    const page = await opened();
    const count = async () => Number.parseInt(await page.locator('#graph-count').innerText(), 10);
    const before = await count();
    await page.getByRole('slider', { name: 'Nodes' }).press('End');
    await eventually(async () => expect(await count()).toBeGreaterThan(before));
    await eventually(() =>
      expect(Number(new URL(page.url()).searchParams.get('pruningThreshold'))).toBeGreaterThan(0.8),
    );
    await page.reload();
    await isDrawn(page);
    expect(await count()).toBeGreaterThan(before);
  });

  it('is exported at the thresholds that are shown', async () => {
    const page = await opened();
    await page.getByRole('slider', { name: 'Nodes' }).press('End');
    await page.keyboard.press('x');
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('#export-json:not([aria-disabled=true])').click(),
    ]);
    const { metadata } = JSON.parse(readFileSync(await file.path(), 'utf8')) as {
      metadata: { pruning_settings: { node_threshold: number } };
    };
    expect(metadata.pruning_settings.node_threshold).toBe(0.98);
  });
});

describe('tracing', () => {
  it(
    'makes a graph of a typed prompt and opens it',
    async () => {
      const page = await served.open('');
      await page.getByRole('textbox', { name: 'Prompt to trace' }).fill('The state of Texas');
      await page.locator('#trace-start').click();
      await page.locator('#graph-drawing[data-drawn]').waitFor({ timeout: JOB_MS });
      expect(await page.locator('.prompt').innerText()).toContain('The state of Texas');
      await page.keyboard.press('o');
      await eventually(async () => expect(await page.locator('.graph-row').count()).toBe(3));
    },
    JOB_MS,
  );

  it(
    'can be cancelled, and the page is ready for the next',
    async () => {
      const page = await opened();
      await page.keyboard.press('6');
      await page.locator('#trace-prompt').fill('The capital of Texas is '.repeat(12));
      // A job of a small model may be over before the click arrives.
      const isCancelled = async (): Promise<boolean> => {
        await page.locator('#trace-start:enabled').click({ timeout: JOB_MS });
        await page
          .locator('#job-cancel')
          .click({ timeout: 5000 })
          .catch(() => undefined);
        await page.locator('#trace-start:enabled').waitFor({ timeout: JOB_MS });
        return (await page.locator('#job-state').innerText()).includes('Cancelled');
      };
      let tries = 1;
      while (!(await isCancelled()) && tries < 5) tries++;
      expect(await page.locator('#job-state').innerText()).toContain('Cancelled');
    },
    JOB_MS,
  );
});

describe('steering', () => {
  it(
    'shows the next token before and after, and follows the slider',
    async () => {
      const page = await opened();
      await clickFeature(page);
      await page.locator('.feature-head').getByRole('button', { name: 'Steer' }).click();
      const table = page.locator('#steer-effect');
      await table.waitFor({ timeout: JOB_MS });
      const ablated = await table.innerText();
      expect(await table.locator('tbody tr').count()).toBeGreaterThan(1);
      await page.getByRole('slider', { name: 'factor' }).press('End');
      await eventually(async () => expect(await table.innerText()).not.toBe(ablated));
    },
    JOB_MS,
  );

  it(
    'takes a supernode as one',
    async () => {
      const page = await opened();
      for (const place of [0, 1]) {
        await clickFeature(page, place);
        await page.keyboard.press('g');
      }
      await page.keyboard.press('Shift+G');
      await page.locator('#supernode-name').fill('state');
      await page.keyboard.press('Enter');
      await page.keyboard.press('6');
      await page.getByRole('radio', { name: 'Steer' }).check();
      await page.getByRole('button', { name: '+ state' }).click();
      await page.locator('#steer-effect').waitFor({ timeout: JOB_MS });
      expect(await page.getByRole('list', { name: 'What is steered' }).innerText()).toContain('2 features');
    },
    JOB_MS,
  );

  it('is not offered for a graph of another model', async () => {
    const page = await served.open('?slug=graph-clt-p2');
    await isDrawn(page);
    await clickFeature(page);
    expect(await page.locator('.feature-head').getByRole('button', { name: 'Steer' }).count()).toBe(0);
  });
});

describe('ablating the source of a link', () => {
  it(
    'finds what the link predicts when all else is frozen',
    async () => {
      const page = await opened();
      await clickFeature(page);
      await page.locator('#connections-outputs .ablate').first().focus();
      await page.keyboard.press('Enter');
      const numbers = page.locator('#ablation td.num');
      await numbers.first().waitFor({ timeout: JOB_MS });
      const [predicted, measured] = await numbers.allInnerTexts();
      expect(measured).toBe(predicted);
    },
    JOB_MS,
  );
});

async function opened(): Promise<Page> {
  const page = await served.open('?slug=state');
  await isDrawn(page);
  return page;
}

async function clickFeature(page: Page, place = 0): Promise<void> {
  await page.getByRole('tab', { name: 'Nodes' }).click();
  await page.locator('#upper .row[data-kind=feature] .row-main').nth(place).click();
  await page.getByRole('tab', { name: 'Connections' }).click();
  await page.locator('.feature-head').waitFor();
}
