import { describe, expect, it } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ServeResult } from '../../src/report/serve-view.ts';
import type { GraphList, JobStatus, ServerInfo } from '../../src/viewer/api.ts';
import { scratchFolder } from '../support/scratch.ts';
import { envelope, finish, FIXTURE, start, tracer, type Finished, type StartOptions } from './start.ts';

const GRAPHS = path.join(FIXTURE, 'expected/graph-files');
const MODEL = [
  '--model',
  path.join(FIXTURE, 'model'),
  '--transcoders',
  path.join(FIXTURE, 'transcoders/plt-jumprelu'),
  '--device',
  'wasm',
];
const LONG = 'The old man walked along the river, and the cat looked at the dog. '.repeat(12);

/** A program that serves, with what it has written so far. */
interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Of standard output, when the first of it is there. */
  readonly firstOutput: string;
}

async function serving(args: readonly string[], options?: StartOptions): Promise<Running> {
  const child = start(args, options);
  child.stdin?.end('');
  const finished = finish(child);
  const first = new Promise<string>((resolve) => child.stdout!.once('data', (text: string) => resolve(text)));
  const firstOutput = await Promise.race([
    first,
    finished.then((early) => {
      throw new Error(`ended early with ${early.exitCode}: ${early.stdout}${early.stderr}`);
    }),
  ]);
  return { child, finished, firstOutput };
}

async function json<T>(address: string, init?: RequestInit): Promise<T> {
  return (await (await fetch(address, init)).json()) as T;
}

describe('tracer serve', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('prints its address alone, serves, and ends on %s with %i', async (signal, exitCode) => {
    const { child, finished, firstOutput } = await serving(['serve', GRAPHS]);
    expect(firstOutput).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\n$/);
    const address = firstOutput.trim();
    const { graphs } = await json<GraphList>(`${address}api/graphs`);
    expect(graphs.length).toBe(readdirSync(GRAPHS).length - 1);
    const fromMs = performance.now();
    child.kill(signal);
    const ended = await finished;
    expect(ended.exitCode).toBe(exitCode);
    expect(ended.stdout).toBe(firstOutput);
    expect(ended.stderr).not.toMatch(/error|warning: stopped/);
    expect(performance.now() - fromMs).toBeLessThan(10_000);
    await expect(fetch(address)).rejects.toThrow();
  });

  it('ends at once while a job runs and a page listens, and leaves no half graph', async () => {
    using scratch = scratchFolder();
    const { child, finished, firstOutput } = await serving(['serve', scratch.path, ...MODEL, '--quiet']);
    const api = `${firstOutput.trim()}api`;
    const { id } = await json<JobStatus>(`${api}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'trace', prompt: LONG }),
    });
    const events = (await fetch(`${api}/jobs/${id}/events`)).body!.getReader();
    await events.read();
    const fromMs = performance.now();
    child.kill('SIGTERM');
    const { exitCode, stderr } = await finished;
    expect({ exitCode, stderr }).toEqual({ exitCode: 143, stderr: '' });
    expect(performance.now() - fromMs).toBeLessThan(10_000);
    expect(readdirSync(scratch.path)).toEqual([]);
  });

  it('prints one document with --json when it listens, and nothing more when it ends', async () => {
    const { child, finished, firstOutput } = await serving(['serve', GRAPHS, ...MODEL, '--json']);
    const { command, data } = JSON.parse(firstOutput) as { command: string; data: ServeResult };
    expect(command).toBe('serve');
    expect(data).toMatchObject({
      address: `http://127.0.0.1:${data.port}/`,
      host: '127.0.0.1',
      token_needed: false,
      model: MODEL[1],
      transcoders: MODEL[3],
    });
    const { model } = await json<ServerInfo>(`${data.address}api/info`);
    expect(model).toEqual({ model: MODEL[1], transcoders: MODEL[3] });
    child.kill('SIGINT');
    const ended = await finished;
    expect([ended.exitCode, ended.stdout]).toEqual([130, firstOutput]);
  });

  it('prints the token in the address when it was told where to listen', async () => {
    const { child, finished, firstOutput } = await serving(['serve', GRAPHS, '--host', '127.0.0.1']);
    const address = new URL(firstOutput.trim());
    expect(address.searchParams.get('token')).toMatch(/^[\w-]{43}$/);
    expect((await fetch(new URL('/api/info', address))).status).toBe(401);
    expect((await fetch(new URL(`/api/info${address.search}`, address))).status).toBe(200);
    child.kill('SIGTERM');
    expect((await finished).stderr).not.toContain(address.searchParams.get('token')!);
  });

  it('goes on when no browser can be opened, and says so', async () => {
    const { child, finished } = await serving(['serve', GRAPHS, '--open'], { env: { PATH: '/nowhere' } });
    child.kill('SIGTERM');
    const { exitCode, stderr } = await finished;
    expect(exitCode).toBe(143);
    expect(stderr).toMatch(/no browser was opened/);
  });

  it('says what is wrong with a place, a port or an address', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const cases: readonly [args: string[], exitCode: number, code: string][] = [
      [['/nowhere'], 3, 'file_not_found'],
      [[path.join(FIXTURE, 'model/model.safetensors')], 4, 'not_a_graph'],
      [[GRAPHS, '--port', '70000'], 2, 'bad_value'],
      [[GRAPHS, '--port', 'x'], 2, 'bad_value'],
      [[GRAPHS, '--port', String(port)], 5, 'port_taken'],
      [[GRAPHS, '--host', '192.0.2.7'], 2, 'bad_host'],
      [[GRAPHS, '--model', './nowhere'], 3, 'folder_not_found'],
    ];
    try {
      for (const [args, exitCode, code] of cases) {
        const finished = await tracer(['serve', ...args, '--json']);
        expect({ args, exitCode: finished.exitCode }).toEqual({ args, exitCode });
        const { error } = envelope(finished);
        expect(error).toMatchObject({ code });
        expect(error!.hint).toBeTruthy();
      }
    } finally {
      taken.close();
    }
  });
});

describe('tracer attribute --serve', () => {
  const PROMPT = 'The opposite of hot is';

  it('serves a temporary folder when nothing was to be written, and takes it away', async () => {
    const { child, finished, firstOutput } = await serving([
      'attribute',
      PROMPT,
      ...MODEL,
      '--serve',
      '--json',
    ]);
    const { command, data } = JSON.parse(firstOutput) as {
      command: string;
      data: { serve: ServeResult; n_nodes: number };
    };
    expect(command).toBe('attribute');
    expect(data.n_nodes).toBeGreaterThan(0);
    expect(path.dirname(data.serve.folder)).toBe(tmpdir());
    const { graphs } = await json<GraphList>(`${data.serve.address}api/graphs`);
    expect(graphs.map(({ slug, kind }) => [slug, kind])).toEqual([['graph', 'graph']]);
    child.kill('SIGTERM');
    expect((await finished).exitCode).toBe(143);
    expect(existsSync(data.serve.folder)).toBe(false);
  });

  it('serves what it wrote, and leaves it', async () => {
    using scratch = scratchFolder();
    const folder = path.join(scratch.path, 'graphs');
    mkdirSync(folder);
    const written = [
      '--graph-dir',
      folder,
      '--slug',
      'hot',
      '--output',
      path.join(scratch.path, 'hot.safetensors'),
    ];
    const { child, finished, firstOutput } = await serving([
      'attribute',
      PROMPT,
      ...MODEL,
      ...written,
      '--serve',
    ]);
    const address = /^http:\S+$/m.exec(firstOutput)![0];
    const { graphs } = await json<GraphList>(`${address}api/graphs`);
    expect(graphs.map(({ slug, kind }) => [slug, kind])).toEqual([['hot', 'graph']]);
    child.kill('SIGTERM');
    expect((await finished).exitCode).toBe(143);
    expect(readdirSync(folder)).toEqual(['graph-metadata.json', 'hot.json']);
  });

  it('needs --serve for the flags of a server', async () => {
    const finished = await tracer(['attribute', PROMPT, '--port', '8080', '--json']);
    expect(finished.exitCode).toBe(2);
    expect(envelope(finished).error).toMatchObject({ code: 'serve_flag' });
  });
});
