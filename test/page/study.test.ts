/** The view of a study in a real browser: groups, what differs between two, the graphs behind a row, and from there into a graph. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { Page } from 'playwright-core';
import type { JobStatus } from '../../src/viewer/api.ts';
import { madeFolder, randomPrompts, type MadeFeature, type MadePrompt } from '../study/made-graphs.ts';
import { BINARY, eventually, isDrawn, serve, type Served } from './served.ts';

const PLANTED: MadeFeature = [1, -1, 777];
const N_GRAPHS = 60;

async function fill(folder: string): Promise<void> {
  // Even prompts differ from odd ones in one feature only, which three of four of them have.
  const prompts = randomPrompts(N_GRAPHS, 5).map((prompt, i): MadePrompt => {
    const has = i % 2 === 0 && i % 8 !== 0;
    const metadata = { ...prompt.metadata, template: `t${i % 3}` };
    return { ...prompt, metadata, features: has ? [...prompt.features, PLANTED] : prompt.features };
  });
  await madeFolder(folder, prompts);
  const study = path.join(folder, 'capitals');
  const whole = ['--node-threshold', '1', '--edge-threshold', '1'];
  execFileSync(process.execPath, [
    BINARY,
    'graph',
    'collect',
    folder,
    '--output',
    study,
    '--quiet',
    ...whole,
  ]);
}

let served: Served;
beforeAll(async () => {
  served = await serve([fill]);
}, 120_000);
afterAll(async () => served[Symbol.asyncDispose]());
afterEach(() => expect(served.complaints).toEqual([]));

const parameters = (page: Page) => Object.fromEntries(new URL(page.url()).searchParams);
const differing = (page: Page) => page.locator('#contrast-table .table-body [role=row]');
const graphsBehind = (page: Page) => page.locator('#behind-table .table-body [role=row]');

describe('a study', () => {
  it('is opened from the start: its two largest groups are compared, and what was planted is first', async () => {
    const page = await served.open('');
    await page.locator('#start-studies button').click();
    await differing(page).first().waitFor();
    expect(parameters(page)).toEqual({
      study: 'capitals',
      study_by: 'group',
      study_a: 'even',
      study_b: 'odd',
    });
    const cells = await differing(page).first().locator('[role=gridcell]').allInnerTexts();
    expect(cells[0]).toContain('1/777');
    expect(cells[1]).toMatch(/^\+0\.\d+$/);
    expect(cells[2]).toBe('0.0005');
    expect(cells.slice(-2)).toEqual(['22', '0']);
    expect(await differing(page).first().getAttribute('class')).toContain('is-significant');
    expect(await page.locator('.contrast-words').innerText()).toMatch(
      /^even \(30 graphs\) and odd \(30 graphs\) differ in 1 feature and \d+ links? of \d+ at 5 %/,
    );
    const groups = await page.locator('#study-groups tbody tr').allInnerTexts();
    expect(groups.map((text) => text.trim().split(/\s+/).slice(0, 2))).toEqual([
      ['even', '30'],
      ['odd', '30'],
    ]);
    expect(await page.locator('#announcer').innerText()).toContain('even and odd differ in 1 features');
  });

  it('leads from a row to the graphs that have it, and into one with that feature selected; Back leads to the row', async () => {
    const page = await served.open('?study=capitals');
    await differing(page).first().click();
    await graphsBehind(page).first().waitFor();
    expect(parameters(page)['study_row']).toBe('1/777');
    expect(await page.locator('.behind-counts').innerText()).toBe('22 graphs of even, 0 of odd');
    expect(await page.locator('#study-behind h2').innerText()).toBe('Graphs with 1/777');
    const slug = await graphsBehind(page).first().locator('strong').innerText();
    await graphsBehind(page).first().click();
    await isDrawn(page);
    expect(parameters(page)['slug']).toBe(slug);
    expect(parameters(page)['clickedId']).toMatch(/^1_777_\d+$/);
    expect(Object.keys(parameters(page)).filter((name) => name.startsWith('study'))).toEqual([]);
    await page.locator('.connections-node', { hasText: '777' }).waitFor();

    await page.goBack();
    await graphsBehind(page).first().waitFor();
    expect(parameters(page)).toMatchObject({ study: 'capitals', study_row: '1/777' });
    await page.reload();
    await graphsBehind(page).first().waitFor();
    expect(await differing(page).first().getAttribute('aria-selected')).toBe('true');
    await page.locator('#close-study').click();
    await page.locator('#start-studies').waitFor();
    expect(parameters(page)).toEqual({});
  });

  it('shows links that differ, sorted and searched, and the graphs behind one, with both ends drawn', async () => {
    const page = await served.open('?study=capitals');
    await page.getByRole('radio', { name: /^Links/ }).check();
    await eventually(() => expect(parameters(page)['study_list']).toBe('links'));
    await page.locator('#contrast-search').fill('1/777 answer');
    await eventually(async () => expect(await differing(page).count()).toBe(1));
    await page.locator('#contrast-search').press('ArrowDown');
    await page.keyboard.press('Enter');
    await graphsBehind(page).first().waitFor();
    expect(parameters(page)['study_row']).toBe('1/777>answer');
    const weights = page.locator('#behind-table [role=gridcell][data-column=weight]');
    expect(await weights.first().innerText()).toMatch(/^\+\d/);
    await graphsBehind(page).first().click();
    await isDrawn(page);
    await page.locator('#connections-inputs [data-id^="1_777_"]').waitFor();
  });

  it('compares other groups as they are chosen, and Back returns to the ones before', async () => {
    const page = await served.open('?study=capitals');
    await differing(page).first().waitFor();
    await page.locator('#study-by').selectOption('template');
    await eventually(() =>
      expect(parameters(page)).toMatchObject({ study_by: 'template', study_a: 't0', study_b: 't1' }),
    );
    await page.locator('.contrast-words', { hasText: 't0 (20 graphs) and t1 (20 graphs)' }).waitFor();
    await page.getByRole('radio', { name: 't2 as group B' }).check();
    await page.locator('.contrast-words', { hasText: 't0 (20 graphs) and t2 (20 graphs)' }).waitFor();
    // The other side changes places.
    await page.getByRole('radio', { name: 't2 as group A' }).check();
    await page.locator('.contrast-words', { hasText: 't2 (20 graphs) and t0 (20 graphs)' }).waitFor();
    await page.goBack();
    await page.locator('.contrast-words', { hasText: 't0 (20 graphs) and t2 (20 graphs)' }).waitFor();
  });

  it('that is not there, or has no such group, is said', async () => {
    const page = await served.open('?study=other');
    expect(await page.getByRole('alert').innerText()).toContain('there is no study "other"');
    await page.goto(`${served.address}?study=capitals&study_by=group&study_a=even&study_b=od`);
    expect(await page.locator('#study-contrast').getByRole('alert').innerText()).toContain(
      "no graph has group 'od'",
    );
  });

  it('can be cancelled while it is computed, and computed again', async () => {
    const page = await served.open('');
    const running: JobStatus = {
      ...{ id: 'one', state: 'running', ahead: 0, warnings: [], result: null, error: null },
      progress: { message: 'Dividing the graphs at random', done: 500, total: 2000 },
    };
    const cancelled: string[] = [];
    await page.route('**/api/jobs', (route) => route.fulfill({ status: 202, json: running }));
    await page.route('**/api/jobs/one/events', () => undefined); // nothing is told
    await page.route('**/api/jobs/one', (route) => {
      cancelled.push(route.request().method());
      return route.fulfill({ json: { ...running, state: 'cancelled' } });
    });
    await page.locator('#start-studies button').click();
    await page.locator('#contrast-running', { hasText: 'Dividing the graphs at random' }).waitFor();
    expect(await page.locator('#contrast-running progress').getAttribute('value')).toBe('0.25');
    await page.locator('#contrast-cancel').click();
    await page.locator('#contrast-again').waitFor();
    await eventually(() => expect(cancelled).toEqual(['DELETE']));
    await page.locator('#contrast-again').click();
    await page.locator('#contrast-running').waitFor();
    // Who leaves does not let the server work on.
    await page.locator('#close-study').click();
    await eventually(() => expect(cancelled).toEqual(['DELETE', 'DELETE']));
    await page.unrouteAll();
    await page.locator('#start-studies button').click();
    await differing(page).first().waitFor();
  });
});
