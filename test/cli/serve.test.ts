import { describe, expect, it } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
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

async function json<T>(address: string | URL, init?: RequestInit): Promise<T> {
  return (await (await fetch(address, init)).json()) as T;
}

/** An address below the printed one, without its token. */
function below(printed: string, place: string): string {
  const { origin, pathname } = new URL(printed.trim());
  return `${origin}${pathname}${place}`;
}

function tokenOf(printed: string): string {
  return new URL(printed.trim()).searchParams.get('token')!;
}

const TRACE = { kind: 'trace', prompt: LONG } as const;

function post(address: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

describe('tracer serve', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('prints its address alone, serves, and ends on %s with %i', async (signal, exitCode) => {
    const { child, finished, firstOutput } = await serving(['serve', GRAPHS]);
    expect(firstOutput).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}\n$/);
    const address = firstOutput.trim();
    const { graphs } = await json<GraphList>(below(address, 'api/graphs'));
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
    const jobs = below(firstOutput, 'api/jobs');
    expect((await post(jobs, TRACE)).status).toBe(401);
    const job = await post(jobs, TRACE, { authorization: `Bearer ${tokenOf(firstOutput)}` });
    const { id } = (await job.json()) as JobStatus;
    const events = (await fetch(`${jobs}/${id}/events`)).body!.getReader();
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
      address: `http://127.0.0.1:${data.port}/?token=${data.token}`,
      host: '127.0.0.1',
      base_path: '/',
      token_needed: true,
      model: MODEL[1],
      transcoders: MODEL[3],
    });
    const { model } = await json<ServerInfo>(below(data.address, 'api/info'));
    expect(model).toEqual({ model: MODEL[1], transcoders: MODEL[3] });
    child.kill('SIGINT');
    const ended = await finished;
    expect([ended.exitCode, ended.stdout]).toEqual([130, firstOutput]);
  });

  it('is reached by the name of a reverse proxy under its path, when told so', async () => {
    const flags = ['--base-path', '/user/x/proxy/8000', '--allow-host', 'hub.example.org', '--no-token'];
    const allowed = ['--allow-host', 'other.example'];
    const { child, finished, firstOutput } = await serving(['serve', GRAPHS, ...MODEL, ...flags, ...allowed]);
    expect(firstOutput).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/user\/x\/proxy\/8000\/\n$/);
    const jobs = below(firstOutput, 'api/jobs');
    // `fetch` does not send a Host header of another name.
    const statusFor = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        get(below(firstOutput, 'api/graphs'), { headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on('error', reject);
      });
    expect(await statusFor('hub.example.org')).toBe(200);
    expect(await statusFor('other.example:8443')).toBe(200);
    expect(await statusFor('elsewhere.example')).toBe(403);
    expect((await post(jobs, { kind: 'trace' })).status).toBe(400); // not 401: no token is needed
    child.kill('SIGTERM');
    expect((await finished).stderr).toContain('/user/x/proxy/8000/');
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

  it('hands the token to the browser in a file that is gone afterwards, not as an argument', async () => {
    using scratch = scratchFolder();
    const opener = path.join(scratch.path, 'xdg-open');
    const seen = path.join(scratch.path, 'seen');
    writeFileSync(opener, `#!/bin/sh\necho "$1" > ${seen}.part && mv ${seen}.part ${seen}\n`, {
      mode: 0o755,
    });
    const env = { PATH: `${scratch.path}:${process.env['PATH']}` };
    const { child, finished, firstOutput } = await serving(['serve', GRAPHS, '--open'], { env });
    while (!existsSync(seen)) await new Promise((resolve) => setTimeout(resolve, 20));
    const file = readFileSync(seen, 'utf8').trim();
    expect(file).not.toContain(tokenOf(firstOutput));
    expect(readFileSync(file, 'utf8')).toContain(`url=${firstOutput.trim()}"`);
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(statSync(path.dirname(file)).mode & 0o077).toBe(0);
    child.kill('SIGTERM');
    await finished;
    expect(existsSync(file)).toBe(false);
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
      [[GRAPHS, '--base-path', 'https://hub.example.org/x/'], 2, 'bad_value'],
      [[GRAPHS, '--allow-host', 'https://hub.example.org'], 2, 'bad_value'],
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
    expect(path.dirname(data.serve.folder!)).toBe(tmpdir());
    const { graphs } = await json<GraphList>(below(data.serve.address, 'api/graphs'));
    expect(graphs.map(({ slug, kind }) => [slug, kind])).toEqual([['graph', 'graph']]);
    child.kill('SIGTERM');
    expect((await finished).exitCode).toBe(143);
    expect(existsSync(data.serve.folder!)).toBe(false);
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
    const { graphs } = await json<GraphList>(below(address, 'api/graphs'));
    expect(graphs.map(({ slug, kind }) => [slug, kind])).toEqual([['hot', 'graph']]);
    child.kill('SIGTERM');
    expect((await finished).exitCode).toBe(143);
    expect(readdirSync(folder)).toEqual(['graph-metadata.json', 'hot.json']);
  });

  it('needs --serve for the flags of a server', async () => {
    const flags = [
      ['--port', '8080'],
      ['--no-token'],
      ['--base-path', '/x/'],
      ['--allow-host', 'hub.example.org'],
    ];
    for (const flag of flags) {
      const finished = await tracer(['attribute', PROMPT, ...flag, '--json']);
      expect(finished.exitCode).toBe(2);
      expect(envelope(finished).error).toMatchObject({ code: 'serve_flag' });
      expect(envelope(finished).error!.message).toContain(flag[0]);
    }
  });
});
