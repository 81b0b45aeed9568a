/** A viewer in this process, on a folder of its own, and requests to it as they are written: no path is tidied up on the way. */
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import type { Annotations, JobRequest, JobStatus } from '../../src/viewer/api.ts';
import { openViewer, type ServeOptions, type Viewer } from '../../src/viewer/server.ts';
import { goldenPath, type Fixture } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Question {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface OpenedViewer extends AsyncDisposable {
  readonly viewer: Viewer;
  /** The served folder. */
  readonly folder: string;
  /** Brings the token, unless the question has an `authorization` of its own. */
  ask(address: string, question?: Question): Promise<Reply>;
  /** Sends a JSON body. */
  send(method: string, address: string, body: unknown): Promise<Reply>;
}

/** The viewer files that the reference made of a fixture. */
export function copyReferenceFiles(fixture: Fixture, folder: string): string[] {
  const from = goldenPath(fixture, 'expected', 'graph-files');
  const names = readdirSync(from);
  for (const name of names) copyFileSync(path.join(from, name), path.join(folder, name));
  return names.filter((name) => name !== 'graph-metadata.json').map((name) => path.parse(name).name);
}

/**
 * Without suggestions, so that a graph has the pins that a test gives it.
 * @param fill writes what is served, before the viewer is opened
 */
export async function openedViewer(
  fill: (folder: string) => void | Promise<void> = (folder) => void copyReferenceFiles('tiny-a', folder),
  options: Partial<ServeOptions> = {},
): Promise<OpenedViewer> {
  const scratch = scratchFolder();
  const folder = path.join(scratch.path, 'served');
  mkdirSync(folder);
  await fill(folder);
  const viewer = await openViewer({
    paths: [folder],
    port: 0,
    common: { device: 'wasm', offline: true },
    suggest: false,
    ...options,
  });
  const askWithToken = (address: string, { headers, ...question }: Question = {}): Promise<Reply> =>
    ask(viewer.port, address, { ...question, headers: { ...bearer(viewer), ...headers } });
  return {
    viewer,
    folder,
    ask: askWithToken,
    send: (method, address, body) =>
      askWithToken(address, {
        method,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    async [Symbol.asyncDispose]() {
      await viewer[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    },
  };
}

export function bearer({ token }: Pick<Viewer, 'token'>): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

export function ask(
  port: number,
  address: string,
  { method = 'GET', headers = {}, body }: Question = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path: address, method, headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
        response.on('error', reject);
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

export function errorCode({ text }: Reply): string {
  return (JSON.parse(text) as { error: { code: string } }).error.code;
}

export function answer<T>({ status, text }: Reply): T {
  if (status >= 300) throw new Error(`${status}: ${text}`);
  return JSON.parse(text) as T;
}

/** Everything that comes back on a connection of its own, until the server closes it. */
export function rawAnswer(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let received = '';
    socket.setEncoding('utf8').on('data', (part: string) => (received += part));
    socket.on('close', () => resolve(received));
    socket.on('error', reject);
  });
}

export const NO_ANNOTATIONS: Annotations = {
  pinnedIds: [],
  supernodes: [],
  clickedId: '',
  sg_pos: '',
  clerps: {},
  notes: '',
};

/** A page that listens to a job. */
export interface Listening {
  /** Every state that was told, in order. */
  readonly told: JobStatus[];
  /** The last one, when the stream has ended. */
  readonly last: Promise<JobStatus>;
  /** Resolves when a status fits. */
  until(fits: (status: JobStatus) => boolean): Promise<JobStatus>;
  /** As a page that is closed. */
  leave(): void;
}

export async function startJob(opened: OpenedViewer, job: JobRequest): Promise<JobStatus> {
  return answer<JobStatus>(await opened.send('POST', '/api/jobs', job));
}

export function listenTo(
  { viewer }: { readonly viewer: Pick<Viewer, 'port'> },
  { id }: JobStatus,
): Listening {
  const told: JobStatus[] = [];
  const waiting = new Set<() => void>();
  const asked = request({
    host: '127.0.0.1',
    port: viewer.port,
    path: `/api/jobs/${id}/events`,
    agent: false,
  });
  const last = new Promise<JobStatus>((resolve, reject) => {
    asked.on('error', reject);
    asked.on('response', (response) => {
      let buffer = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        buffer += part;
        const events = buffer.split('\n\n');
        buffer = events.pop()!;
        for (const event of events) {
          if (event.startsWith('data: ')) told.push(JSON.parse(event.slice('data: '.length)) as JobStatus);
        }
        for (const wake of waiting) wake();
      });
      response.on('end', () => resolve(told.at(-1)!));
      response.on('error', reject);
    });
  });
  last.catch(() => undefined); // a page that left has no interest in it
  asked.end();
  return {
    told,
    last,
    until: (fits) =>
      new Promise((resolve) => {
        const look = (): void => {
          const status = told.find(fits);
          if (status === undefined) return;
          waiting.delete(look);
          resolve(status);
        };
        waiting.add(look);
        look();
      }),
    leave: () => asked.destroy(),
  };
}

export async function runJob(opened: OpenedViewer, job: JobRequest): Promise<JobStatus> {
  return await listenTo(opened, await startJob(opened, job)).last;
}
