/** The view of a training in a real browser: found, followed while it runs, read by people who do not see curves. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { begin, END, heldOut, logText, step } from '../viewer/training-logs.ts';
import { PATIENCE_MS, serve } from './served.ts';

const LOG = { name: 'train.jsonl', content: logText([begin(), step(1), step(2), heldOut(4096)]) };

describe('a training', () => {
  it('is opened from the start, drawn, and followed to its end', async () => {
    await using served = await serve([LOG]);
    const page = await served.open('');
    await page.locator('#start-trainings button').click();
    const view = page.locator('#training');
    await view.locator('#chart-loss path').waitFor({ timeout: PATIENCE_MS });
    expect(page.url()).toContain('training=');
    expect(await view.locator('dl').innerText()).toContain('4,096 of 20,480');
    expect(await view.locator('#chart-explained path').count()).toBe(2);
    expect(await view.locator('#chart-explained circle').count()).toBe(2);
    expect(await view.locator('#chart-explained svg').getAttribute('aria-label')).toBe(
      'Explained variance over tokens. Last values: layer 0: 0.540; layer 1: 0.440',
    );
    const cells = () => view.locator('tbody tr').first().locator('th, td').allInnerTexts();
    expect(await cells()).toEqual(['0', '0.540', '32.0', '2.0 %', '0.610']);
    appendFileSync(join(served.folder, LOG.name), logText([step(3), END]));
    await view.locator('.panel-note', { hasText: 'ended' }).waitFor({ timeout: PATIENCE_MS });
    expect(await cells()).toEqual(['0', '0.560', '32.0', '3.0 %', '0.610']);
    expect(await view.locator('progress').getAttribute('value')).toBe('1');
    await page.locator('#close-training').click();
    await page.locator('#start-trainings').waitFor({ timeout: PATIENCE_MS });
    expect(page.url()).not.toContain('training=');
    await page.goBack();
    await page.locator('#training').waitFor({ timeout: PATIENCE_MS });
    expect(served.complaints).toEqual([]);
  });

  it('that is not there any more is said', async () => {
    await using served = await serve([LOG]);
    const page = await served.open('?training=gone');
    await page.locator('[role=alert]').waitFor({ timeout: PATIENCE_MS });
    expect(await page.locator('[role=alert]').innerText()).toContain("there is no training 'gone'");
  });
});
