/** The loopback Hub's side of a push: repositories made, large files over the LFS protocol (in one piece or in parts), commits. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

export interface WriteRequest {
  readonly method: string;
  readonly host: 'hub' | 'cdn';
  readonly pathname: string;
  readonly body: string;
  readonly raw: Buffer;
  readonly token: string | undefined;
  readonly response: ServerResponse;
}

/** What a push changes. */
interface Repositories {
  readonly endpoint: string;
  readonly elsewhere: string;
  filesOf(name: string): Map<string, Buffer> | undefined;
  commit(name: string, files: Record<string, Uint8Array | string>): string;
}

interface LfsObject {
  readonly oid: string;
  readonly size: number;
}

/** Files that end so, or are larger, are kept by LFS, as the Hub's `.gitattributes` say. */
const LARGE_FILE = /\.(safetensors|npz|bin)$/;

export class HubWrites {
  /** Tokens that may write; every other is refused. */
  readonly writers = new Set<string>();
  /** Large files larger than this are sent in parts of so many bytes. */
  partBytes = Infinity;
  readonly made: { readonly name: string; readonly visibility: string }[] = [];
  readonly messages: string[] = [];
  readonly #objects = new Map<string, Buffer>();
  readonly #parts = new Map<string, Map<number, Buffer>>();
  readonly #server: Repositories;

  constructor(server: Repositories) {
    this.#server = server;
  }

  /** Large files that are stored, committed or not. */
  get nObjects(): number {
    return this.#objects.size;
  }

  /** Whether it was a request of a push, which then is answered. */
  serve(request: WriteRequest): boolean {
    const { method, host, pathname, body, raw, token, response } = request;
    const place = `${method} ${pathname}`;
    const put = /^PUT \/upload\/([0-9a-f]{64})(?:\/(\d+))?$/.exec(place);
    if (host === 'cdn' && put) this.#receive(put[1]!, put[2], raw, response);
    else if (host === 'cdn' && method === 'POST')
      this.#join(pathname.slice('/complete/'.length), body, response);
    else if (host === 'cdn' || method !== 'POST') return false;
    else {
      const verb = /^POST \/api\/models\/([^/]+\/[^/]+)\/(preupload|commit)\/(.+)$/.exec(place);
      const batch = /^POST \/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/batch$/.exec(place);
      if (place !== 'POST /api/repos/create' && !verb && !batch) return false;
      if (token === undefined || !this.writers.has(token)) {
        response
          .writeHead(token === undefined ? 401 : 403, { 'x-error-message': 'You may not write here' })
          .end();
        return true;
      }
      if (batch) this.#batch(body, response);
      else if (verb?.[2] === 'preupload') preupload(body, response);
      else if (verb) this.#commit(verb[1]!, body, response);
      else this.#create(body, response);
    }
    return true;
  }

  #create(body: string, response: ServerResponse): void {
    const { name, organization, visibility } = JSON.parse(body) as Record<string, string>;
    const repo = `${organization}/${name}`;
    if (this.#server.filesOf(repo))
      return answer(response, 409, { error: 'You already created this model repo' });
    this.#server.commit(repo, {});
    this.made.push({ name: repo, visibility: visibility! });
    answer(response, 200, { url: `${this.#server.endpoint}/${repo}`, id: '0' });
  }

  #batch(body: string, response: ServerResponse): void {
    const { objects } = JSON.parse(body) as { objects: LfsObject[] };
    const { elsewhere } = this.#server;
    answer(response, 200, {
      transfer: objects.some(({ size }) => size > this.partBytes) ? 'multipart' : 'basic',
      objects: objects.map(({ oid, size }) => {
        if (this.#objects.has(oid)) return { oid, size };
        if (size <= this.partBytes)
          return { oid, size, actions: { upload: { href: `${elsewhere}/upload/${oid}` } } };
        const parts = Array.from({ length: Math.ceil(size / this.partBytes) }, (_, i) => [
          String(i + 1).padStart(5, '0'),
          `${elsewhere}/upload/${oid}/${i + 1}`,
        ]);
        const header = { chunk_size: String(this.partBytes), ...Object.fromEntries(parts) } as object;
        return { oid, size, actions: { upload: { href: `${elsewhere}/complete/${oid}`, header } } };
      }),
    });
  }

  #receive(oid: string, part: string | undefined, bytes: Buffer, response: ServerResponse): void {
    if (part === undefined) {
      if (sha256(bytes) !== oid) return answer(response, 400, { error: 'wrong bytes' });
      this.#objects.set(oid, bytes);
    } else {
      const parts = this.#parts.get(oid) ?? new Map<number, Buffer>();
      this.#parts.set(oid, parts.set(Number(part), bytes));
    }
    response.writeHead(200, { etag: `"${part ?? oid}"` }).end();
  }

  #join(oid: string, body: string, response: ServerResponse): void {
    const { parts } = JSON.parse(body) as { parts: { partNumber: number; etag: string }[] };
    const bytes = Buffer.concat(parts.map(({ partNumber }) => this.#parts.get(oid)!.get(partNumber)!));
    if (sha256(bytes) !== oid) return answer(response, 400, { error: 'wrong bytes' });
    this.#objects.set(oid, bytes);
    answer(response, 200, {});
  }

  #commit(repo: string, body: string, response: ServerResponse): void {
    const files = Object.fromEntries(this.#server.filesOf(repo) ?? []);
    for (const line of body.split('\n')) {
      const { key, value } = JSON.parse(line) as { key: string; value: Record<string, string> };
      if (key === 'header') this.messages.push(value['summary']!);
      else if (key === 'file') files[value['path']!] = Buffer.from(value['content']!, 'base64');
      else if (key === 'lfsFile') {
        const object = this.#objects.get(value['oid']!);
        if (!object) return answer(response, 400, { error: `${value['path']} was not uploaded` });
        files[value['path']!] = object;
      }
    }
    const commitOid = this.#server.commit(repo, files);
    answer(response, 200, {
      commitOid,
      commitUrl: `${this.#server.endpoint}/${repo}/commit/${commitOid}`,
      hookOutput: '',
    });
  }
}

function preupload(body: string, response: ServerResponse): void {
  const { files } = JSON.parse(body) as { files: { path: string }[] };
  const modes = files.map(({ path }) => ({ path, uploadMode: LARGE_FILE.test(path) ? 'lfs' : 'regular' }));
  answer(response, 200, { files: modes });
}

function answer(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
