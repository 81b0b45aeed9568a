/**
 * A server on loopback that speaks the Hub's API: revisions, listings, paths-info, files with their etags, ranges, and
 * a redirect of large files to a content network on another origin. Faults are injected by the test.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Fault, sendBytes } from './hub-faults.ts';
import { HubWrites } from './hub-writes.ts';

export interface SeenRequest {
  readonly host: 'hub' | 'cdn';
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  readonly body: string;
}

export interface RepoOptions {
  /** Tokens that accepted the terms; anybody else is refused. Absent: open to all. */
  readonly gatedFor?: readonly string[];
  /** Names beside `main` that stand for this commit. */
  readonly revisions?: readonly string[];
}

interface StoredFile {
  readonly bytes: Buffer;
  readonly oid: string;
  readonly sha256: string | undefined;
  readonly listedBytes: number;
}

interface Repo {
  readonly options: RepoOptions;
  readonly revisions: Map<string, string>;
  readonly commits: Map<string, Map<string, StoredFile>>;
}

const LARGE_FILE = /\.(safetensors|npz|bin)$/;
const PAGE_ENTRIES = 3; // small, so that listings come in pages

export class HubServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  /** The largest number of files that were being sent at the same time. */
  mostAtOnce = 0;
  /** Answer every request for a part with the whole. */
  ignoreRanges = false;
  /** The header that names the next page of a listing, for its path and query. */
  linkTo = (place: string): string => `<${this.endpoint}${place}>; rel="next"`;
  /** Take the first digits of a commit for it, as the Hub does. */
  shorten = false;
  /** Uploads and commits. */
  readonly writes = new HubWrites(this);
  /** What stands before every path, as at a mirror that is not the only thing on its host. */
  base = '';
  #sending = 0;
  readonly #repos = new Map<string, Repo>();
  readonly #faults: { match: string; fault: Fault; times: number }[] = [];
  readonly #hub = createServer((request, response) => void this.#serve('hub', request, response));
  readonly #cdn = createServer((request, response) => void this.#serve('cdn', request, response));

  static async start(): Promise<HubServer> {
    const server = new HubServer();
    await Promise.all([listen(server.#hub), listen(server.#cdn)]);
    return server;
  }

  get endpoint(): string {
    return addressOf(this.#hub) + this.base;
  }

  /** Another origin, which takes no part in the API. */
  get elsewhere(): string {
    return addressOf(this.#cdn);
  }

  /** Adds a commit to a repository and moves `main` (and the other names given) to it. Returns its hash. */
  commit(name: string, files: Record<string, Uint8Array | string>, options: RepoOptions = {}): string {
    const repo = this.#repos.get(name) ?? {
      options,
      revisions: new Map<string, string>(),
      commits: new Map(),
    };
    this.#repos.set(name, repo);
    const stored = new Map(
      Object.entries(files).map(([path, content]) => [path, store(path, Buffer.from(content))]),
    );
    const commit = sha1(JSON.stringify([...stored].map(([path, { oid }]) => [path, oid])));
    repo.commits.set(commit, stored);
    for (const revision of ['main', ...(options.revisions ?? [])]) repo.revisions.set(revision, commit);
    return commit;
  }

  /** Files of `main`; undefined where there is no such repository. */
  filesOf(name: string): Map<string, Buffer> | undefined {
    const repo = this.#repos.get(name);
    const files = repo?.commits.get(repo.revisions.get('main')!);
    return files && new Map([...files].map(([path, { bytes }]) => [path, bytes]));
  }

  /** Lists a file with another size than it has. */
  pretendSize(name: string, path: string, size: number): void {
    for (const files of this.#repos.get(name)?.commits.values() ?? []) {
      const file = files.get(path);
      if (file) files.set(path, { ...file, listedBytes: size });
    }
  }

  /** The next `times` requests whose `host method path` contains `match` meet this fault. */
  inject(match: string, fault: Fault, times = 1): void {
    this.#faults.push({ match, fault, times });
  }

  /** Ends all faults. */
  recover(): void {
    this.#faults.length = 0;
  }

  /** Requests so far whose `host method path` contains `match`. */
  seen(match: string): SeenRequest[] {
    return this.requests.filter(({ host, method, path }) => `${host} ${method} ${path}`.includes(match));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async #serve(host: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request;
    const { authorization, range } = request.headers;
    response.on('error', () => undefined); // a client may leave at any time
    if (url.includes('/resolve/')) {
      this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#sending);
      response.once('finish', () => (this.#sending -= 1)); // handed over, before the client can ask again
    }
    const raw = await readBody(request);
    if (!raw) return;
    const body = raw.toString();
    this.requests.push({ host, method, path: url, authorization, range, body });
    const fault = this.#takeFault(`${host} ${method} ${url}`);
    if (this.ignoreRanges) delete request.headers.range;
    if (fault?.kind === 'status') {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    if (fault?.kind === 'silence') return;
    if (fault?.kind === 'flood') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(`[${' '.repeat(fault.bytes)}]`);
      return;
    }
    if (fault?.kind === 'page') {
      response.writeHead(200, { 'content-type': 'text/html' }).end(fault.text);
      return;
    }
    const { pathname: whole, searchParams } = new URL(url, 'http://localhost');
    if (host === 'hub' && !whole.startsWith(`${this.base}/`))
      return refuse(response, 404, 'OutsideTheMirror');
    const pathname = host === 'hub' ? whole.slice(this.base.length) : whole;
    const place = `${method} ${pathname}`;
    const api =
      /^\w+ \/api\/(?:models\/)?((?:datasets\/)?[^/]+\/[^/]+)\/(revision|tree|paths-info)\/([^/]+)$/.exec(
        place,
      );
    const file = /^\w+ \/((?:datasets\/)?[^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(place);
    const token = authorization?.replace('Bearer ', '');
    const write = { method, host, pathname, body, raw, token, response };
    if (this.writes.serve(write)) return;
    if (host === 'cdn') this.#serveBlob(pathname.slice(1), request, response, fault);
    else if (api)
      this.#serveApi(api[1]!, api[2]!, decodeURIComponent(api[3]!), { body, searchParams, token }, response);
    else if (file) {
      const path = file[3]!.split('/').map(decodeURIComponent).join('/');
      this.#serveFile(file[1]!, decodeURIComponent(file[2]!), path, token, request, response, fault);
    } else refuse(response, 404, 'NoSuchPlace');
  }

  #takeFault(text: string): Fault | undefined {
    const found = this.#faults.find(({ match, times }) => times > 0 && text.includes(match));
    if (found) found.times -= 1;
    return found?.fault;
  }

  #find(name: string, revision: string, token: string | undefined, response: ServerResponse) {
    const repo = this.#repos.get(name);
    // The Hub does not tell a stranger whether a repository exists.
    if (!repo) return refuse(response, token ? 404 : 401, 'RepoNotFound');
    const isShort = this.shorten && /^[0-9a-f]{7,39}$/.test(revision);
    const meant = isShort ? [...repo.commits.keys()].find((hash) => hash.startsWith(revision)) : undefined;
    const commit = repo.revisions.get(revision) ?? meant ?? revision;
    const files = repo.commits.get(commit);
    if (!files) return refuse(response, 404, 'RevisionNotFound');
    return { repo, commit, files };
  }

  #serveApi(
    name: string,
    verb: string,
    revision: string,
    { body, searchParams, token }: { body: string; searchParams: URLSearchParams; token: string | undefined },
    response: ServerResponse,
  ): void {
    const found = this.#find(name, revision, token, response);
    if (!found) return;
    const gated = found.repo.options.gatedFor ? 'manual' : false;
    const about = { _id: '0', id: name, sha: found.commit, private: false, gated, downloads: 0, likes: 0 };
    const entries = [...found.files].map(([path, file]) => entryOf(path, file));
    if (verb === 'revision') return json(response, { ...about, lastModified: '2024-01-01T00:00:00.000Z' });
    if (verb === 'paths-info') {
      const { paths } = JSON.parse(body) as { paths: string[] };
      return json(
        response,
        entries.filter(({ path }) => paths.includes(path)),
      );
    }
    const from = Number(searchParams.get('cursor') ?? 0);
    const folders = [...new Set([...found.files.keys()].flatMap(foldersOf))];
    const all = [
      ...folders.map((path) => ({ type: 'directory', path, size: 0, oid: sha1(path) })),
      ...entries,
    ];
    if (from + PAGE_ENTRIES < all.length) {
      const next = `/api/${name.startsWith('datasets/') ? '' : 'models/'}${name}/tree/${revision}?recursive=true&cursor=${from + PAGE_ENTRIES}`;
      response.setHeader('Link', this.linkTo(next));
    }
    json(response, all.slice(from, from + PAGE_ENTRIES));
  }

  #serveFile(
    name: string,
    revision: string,
    path: string,
    token: string | undefined,
    request: IncomingMessage,
    response: ServerResponse,
    fault: Fault | undefined,
  ): void {
    const found = this.#find(name, revision, token, response);
    if (!found) return;
    const { gatedFor } = found.repo.options;
    if (gatedFor && (token === undefined || !gatedFor.includes(token))) {
      const message = `Access to model ${name} is restricted.`;
      return refuse(response, token ? 403 : 401, 'GatedRepo', message);
    }
    const file = found.files.get(path);
    if (!file) return refuse(response, 404, 'EntryNotFound');
    response.setHeader('X-Repo-Commit', found.commit);
    if (file.sha256 === undefined) return sendBytes(file.bytes, file.oid, request, response, fault);
    response.setHeader('X-Linked-Etag', `"${file.sha256}"`);
    response.setHeader('X-Linked-Size', file.bytes.length);
    response.writeHead(302, { location: `${addressOf(this.#cdn)}/${file.sha256}?signature=secret` }).end();
  }

  #serveBlob(
    sha256: string,
    request: IncomingMessage,
    response: ServerResponse,
    fault: Fault | undefined,
  ): void {
    for (const { commits } of this.#repos.values()) {
      for (const files of commits.values()) {
        const file = [...files.values()].find((each) => each.sha256 === sha256);
        // The etag of a content network has nothing to do with the content's hash.
        if (file) return sendBytes(file.bytes, `multipart-${file.bytes.length}`, request, response, fault);
      }
    }
    refuse(response, 404, 'NoSuchBlob');
  }
}

function store(path: string, bytes: Buffer): StoredFile {
  const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
  const large = LARGE_FILE.test(path);
  return {
    bytes,
    listedBytes: bytes.length,
    oid,
    sha256: large ? createHash('sha256').update(bytes).digest('hex') : undefined,
  };
}

function entryOf(path: string, { listedBytes: size, oid, sha256 }: StoredFile) {
  const lfs = sha256 === undefined ? {} : { lfs: { oid: sha256, size, pointerSize: 130 } };
  return { type: 'file', path, size, oid, ...lfs };
}

function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'));
}

/** Undefined when the client left before it had sent everything, as one does that gave the whole task up. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch (error) {
    if (request.readableAborted) return undefined;
    throw error;
  }
  return Buffer.concat(chunks);
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string, message = code): undefined {
  response.writeHead(status, { 'x-error-code': code, 'x-error-message': message }).end();
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
