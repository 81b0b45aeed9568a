/** Tests of the page: `tracer serve` on a folder of graphs, and a Chromium that sees it and can reach nothing else. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { findChromium, WITHOUT_CHROMIUM } from '../support/chromium.mjs';
import { scratchFolder, type Scratch } from '../support/scratch.ts';

const ROOT = join(import.meta.dirname, '../..');
export const BINARY = join(ROOT, 'bin/tracer.js');
export const GRAPH_FILES = join(ROOT, 'test/fixtures/golden/tiny-a/expected/graph-files');

/** Slow machines with other work to do are patient machines. */
export const PATIENCE_MS = 30_000;
const START_MS = 60_000;

export interface Served extends AsyncDisposable {
  /** As it was printed, but for the token. */
  readonly address: string;
  readonly token: string;
  readonly folder: string;
  /** Where labels are kept. */
  readonly labels: string;
  /** A page in a browser of its own, which has the token: nothing is shared with other tests. */
  open(query: string, options?: BrowserContextOptions): Promise<Page>;
  /** The same without the token. */
  openWithoutToken(query: string): Promise<Page>;
  /** What pages asked for from elsewhere, complained about in the console, or threw. Empty when all is well. */
  readonly complaints: string[];
}

/** Files: paths to copy, or name and content, or what writes them into the folder. */
export type GraphSource =
  string | { readonly name: string; readonly content: string } | ((folder: string) => void | Promise<void>);

/** Without `suggest`, graphs open empty, so that a test says what is pinned. */
export async function serve(
  sources: readonly GraphSource[],
  flags: readonly string[] = [],
  { suggest = false }: { readonly suggest?: boolean } = {},
): Promise<Served> {
  const browser = await launch();
  const scratch = scratchFolder();
  for (const source of sources) {
    if (typeof source === 'function') await source(scratch.path);
    else if (typeof source === 'string') copyFileSync(source, join(scratch.path, basename(source)));
    else writeFileSync(join(scratch.path, source.name), source.content);
  }
  const labels = scratchFolder();
  const options = ['--offline', ...(suggest ? [] : ['--no-suggest']), ...flags];
  const server = spawn(process.execPath, [BINARY, 'serve', scratch.path, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TRACER_LABELS_DIR: labels.path },
  });
  const complaints: string[] = [];
  const stop = () => end(server, browser, [scratch, labels]);
  const printed = await addressOf(server).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const [address = '', query = ''] = printed.split('?');
  const token = new URLSearchParams(query).get('token')!;
  return {
    address,
    token,
    folder: scratch.path,
    labels: labels.path,
    complaints,
    open: (query, options) =>
      open(browser, `${address}?token=${token}${query.replace('?', '&')}`, options, complaints),
    openWithoutToken: (query) => open(browser, `${address}${query}`, {}, complaints),
    [Symbol.asyncDispose]: stop,
  };
}

export async function launch(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(WITHOUT_CHROMIUM);
  return chromium.launch({
    executablePath,
    // No name resolves, so that a request to elsewhere would fail as well as be seen.
    args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  });
}

async function open(
  browser: Browser,
  address: string,
  options: BrowserContextOptions = {},
  complaints: string[],
): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const own = new URL(address).origin;
  context.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== 'blob:' && protocol !== 'data:' && origin !== own) complaints.push(request.url());
  });
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('console', (message) => {
    // Chromium also writes there what a page was refused, which the page itself has to show.
    const isRefusal = message.text().includes('the server responded with a status of');
    if (message.type() === 'error' && !isRefusal) complaints.push(message.text());
  });
  const page = await context.newPage();
  await page.goto(address);
  return page;
}

/** When the links are drawn, all of the graph is there. */
export async function isDrawn(page: Page): Promise<void> {
  await page.locator('#graph-drawing[data-drawn]').waitFor();
}

/** Tries again until nothing is thrown. */
export async function eventually(check: () => Promise<void> | void): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function addressOf(server: ChildProcess): Promise<string> {
  let [output, errors] = ['', ''];
  server.stderr!.on('data', (data: Buffer) => (errors += String(data)));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`No address after ${START_MS} ms: ${errors}`)), START_MS);
    server.on('exit', (code) => reject(new Error(`tracer serve ended with ${code}: ${errors}`)));
    server.stdout!.on('data', (data: Buffer) => {
      output += String(data);
      const address = /http:\/\/\S+(?=\n)/.exec(output)?.[0];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}

async function end(server: ChildProcess, browser: Browser, folders: readonly Scratch[]): Promise<void> {
  await browser.close();
  if (server.exitCode === null) {
    server.removeAllListeners('exit');
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
  for (const folder of folders) folder[Symbol.dispose]();
}
