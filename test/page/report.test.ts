/** The page of `tracer report` in a browser: from disk, without requests, light, dark, narrow and printed. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { THEMES } from '../../src/picture/theme.ts';
import { tracer } from '../cli/shared.ts';
import { scratchFolder } from '../support/scratch.ts';
import { GRAPH_FILES, launch } from './served.ts';

const scratch = scratchFolder();
const complaints: string[] = [];
let browser: Browser;
let address = '';
beforeAll(async () => {
  const output = join(scratch.path, 'page.html');
  const file = join(GRAPH_FILES, 'graph-plt-jumprelu-p3.json');
  const { exitCode, stderr } = await tracer(['report', file, '--output', output, '--quiet']);
  if (exitCode !== 0) throw new Error(stderr);
  address = pathToFileURL(output).href;
  browser = await launch();
}, 120_000);
afterAll(async () => {
  await browser.close();
  scratch[Symbol.dispose]();
});

async function opened(colorScheme: 'light' | 'dark', width = 1200): Promise<Page> {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  page.on('request', (request) => request.url() !== address && complaints.push(request.url()));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(address);
  return page;
}

const background = (page: Page, selector: string, property: string): Promise<string> =>
  page
    .locator(selector)
    .first()
    .evaluate((element, name) => getComputedStyle(element).getPropertyValue(name), property);
const rgb = (hex: string): string =>
  `rgb(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(', ')})`;

describe('the page of a report', () => {
  it.each(['light', 'dark'] as const)(
    'has the colours of a %s screen, also in its figure',
    async (scheme) => {
      const page = await opened(scheme);
      const theme = THEMES[scheme];
      expect(await background(page, 'body', 'background-color')).toBe(rgb(theme.background));
      expect(await background(page, 'figure svg > rect', 'fill')).toBe(rgb(theme.background));
      expect(await background(page, 'figure svg', 'fill')).toBe(rgb(theme.text));
      expect(complaints).toEqual([]);
    },
  );

  it('is printed in light colours whatever the screen is', async () => {
    const page = await opened('dark');
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    expect(await background(page, 'body', 'background-color')).toBe(rgb(THEMES.light.background));
    expect(await background(page, 'figure svg > rect', 'fill')).toBe(rgb(THEMES.light.background));
  });

  it('has no cut text in its figure, and does not scroll sideways on a narrow screen but in tables', async () => {
    const page = await opened('light', 400);
    const [wide, narrow] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    expect(wide).toBeLessThanOrEqual(narrow);
    const outside = await page.locator('figure svg').evaluate((svg) => {
      const frame = svg.getBoundingClientRect();
      const isOutside = (inner: DOMRect, outer: DOMRect): boolean =>
        inner.left < outer.left - 1 ||
        inner.right > outer.right + 1 ||
        inner.top < outer.top - 1 ||
        inner.bottom > outer.bottom + 1;
      const boxes = [...svg.querySelectorAll('g > g')];
      return (
        [...svg.querySelectorAll('text')].filter((text) => isOutside(text.getBoundingClientRect(), frame))
          .length +
        boxes.filter((box) => {
          const rect = box.querySelector('rect')!.getBoundingClientRect();
          return [...box.querySelectorAll('text')].some((text) =>
            isOutside(text.getBoundingClientRect(), rect),
          );
        }).length
      );
    });
    expect(outside).toBe(0);
  });
});
