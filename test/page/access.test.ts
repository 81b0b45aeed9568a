/** The token in the page: taken out of the address, asked for where it is missing; and the page behind a reverse proxy. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { eventually, GRAPH_FILES, isDrawn, serve, type Served } from './served.ts';

const SLUG = 'graph-clt-p2';
const GRAPH = join(GRAPH_FILES, `${SLUG}.json`);
const BASE = '/user/x/proxy/8000/';

let served: Served | undefined;
afterEach(async () => {
  const complaints = served?.complaints;
  await served?.[Symbol.asyncDispose]();
  expect(complaints).toEqual([]);
});

describe('a page that was opened with the token', () => {
  it('takes it out of the address, keeps the rest, and saves with its cookie, also after a reload', async () => {
    served = await serve([GRAPH]);
    const page = await served.open(`?slug=${SLUG}`);
    await isDrawn(page);
    expect(page.url()).not.toContain('token');
    expect(new URL(page.url()).searchParams.get('slug')).toBe(SLUG);
    expect(await page.evaluate('document.cookie')).toBe('');
    await page.reload();
    await pinOne(page);
    await eventually(() => expect(savedPins(served!)).toHaveLength(1));
  });
});

describe('a page that was opened without the token', () => {
  it('shows graphs, says what saving needs, and takes the token or the whole address', async () => {
    served = await serve([GRAPH]);
    const { token, address } = served;
    for (const given of [token, `${address}?token=${token}`]) {
      const page = await served.openWithoutToken(`?slug=${SLUG}`);
      await pinOne(page);
      const problem = page.locator('.save-failed');
      await problem.waitFor();
      expect(await problem.innerText()).toMatch(/need the token of this server.*address that .* printed/s);
      const pins = existsSync(annotations(served)) ? savedPins(served) : [];
      const field = problem.getByRole('textbox', { name: 'Token of the server' });
      await field.fill('guessed');
      await field.press('Enter');
      await problem.getByText('This is not the token of the server.').waitFor();
      await field.fill(given);
      await problem.getByRole('button', { name: 'Give the token' }).click();
      await problem.waitFor({ state: 'detached' });
      await eventually(() => expect(savedPins(served!)).not.toEqual(pins));
      await page.context().close();
    }
  });

  it('takes the token in a form where reading needs it too', async () => {
    served = await serve([GRAPH], ['--host', '127.0.0.1']);
    const page = await served.openWithoutToken(`?slug=${SLUG}`);
    await page.getByLabel('Token').fill('guessed');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('not that of this server').waitFor();
    await page.getByLabel('Token').fill(served.token);
    await page.getByRole('button', { name: 'Open' }).click();
    await isDrawn(page);
    expect(page.url()).not.toContain('token');
  });
});

describe('behind a reverse proxy', () => {
  it.each([
    ['that takes its path out of requests', true],
    ['that leaves its path in', false],
  ])('%s, the page reads, saves and exports below that path', async (_, isStripped) => {
    served = await serve([GRAPH], ['--base-path', BASE]);
    const asked: string[] = [];
    await using proxy = await startProxy(new URL(served.address).port, isStripped, asked);
    const page = await served.openWithoutToken(`?slug=${SLUG}`);
    const own = `http://127.0.0.1:${proxy.port}`;
    await page.goto(`${own}${BASE}?slug=${SLUG}&token=${served.token}`);
    served.complaints.length = 0; // the other origin is the proxy's
    await pinOne(page);
    await eventually(() => expect(savedPins(served!)).toHaveLength(1));
    await page.keyboard.press('x');
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('#export-json:not([aria-disabled=true])').click(),
    ]);
    expect(readFileSync(await file.path(), 'utf8')).toContain('"pinnedIds":["');
    const cookies = await page.context().cookies(own + BASE);
    expect(
      cookies.filter(({ name }) => name.endsWith(`_${proxy.port}`)).map((cookie) => cookie.path),
    ).toEqual([BASE]);
    expect(asked.filter((path) => !path.startsWith(BASE))).toEqual([]);
    expect(
      served.complaints.filter((text) => !text.startsWith(own + BASE) && !text.startsWith('blob:')),
    ).toEqual([]);
    served.complaints.length = 0;
  });
});

interface Proxy extends AsyncDisposable {
  readonly port: number;
}

/** As Jupyter's: the name that the browser asked for is passed on, the path with or without what leads to the server. */
async function startProxy(port: string, isStripped: boolean, asked: string[]): Promise<Proxy> {
  const server: Server = createServer((incoming, outgoing) => {
    const url = incoming.url!;
    asked.push(url);
    const path = isStripped ? `/${url.slice(BASE.length)}` : url;
    const { method, headers } = incoming;
    const passed = httpRequest({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function pinOne(page: Page): Promise<void> {
  await isDrawn(page);
  await page.getByRole('tab', { name: 'Nodes' }).click();
  const free = page.locator('#upper .row[data-kind=feature] .row-main');
  await free.nth(0).click();
  await page.keyboard.press('p');
}

function annotations({ folder }: Served): string {
  return join(folder, `${SLUG}.annotations.json`);
}

function savedPins(of: Served): readonly string[] {
  return (JSON.parse(readFileSync(annotations(of), 'utf8')) as { pinnedIds: string[] }).pinnedIds;
}
