/**
 * A server on loopback that speaks Neuronpedia's API as it is published: graphs by signed address, saved subgraphs, and whatever
 * else a test puts at a path; with a storage on another origin. Faults are injected by the test.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync, gzipSync } from 'node:zlib';
import { listing } from './neuronpedia-exports.ts';

export type NeuronpediaFault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly body?: object | string;
      readonly headers?: Record<string, string>;
    }
  /** The connection is reset after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** So many bytes of the body, then silence. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** The request is carried out, and the connection is reset before an answer. */
  | { readonly kind: 'lost' }
  /** The request is carried out, and nothing is ever answered. */
  | { readonly kind: 'silence' }
  /** This body instead, with status 200. */
  | { readonly kind: 'body'; readonly body: string; readonly type?: string };

export interface NeuronpediaSeen {
  readonly host: 'site' | 'storage';
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface SavedSubgraph {
  readonly id: string;
  readonly modelId: string;
  readonly slug: string;
  readonly displayName: string | null;
  readonly pinnedIds: string[];
  readonly supernodes: string[][];
  readonly clerps: string[][];
  readonly pruningThreshold: number | null;
  readonly densityThreshold: number | null;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly headers?: Record<string, string>;
}

/** What a signed address carries and no message may show. */
export const SIGNATURE = 'X-Amz-Signature=5ec2e7f00d';
const NAME = /^[a-zA-Z0-9_-]+$/;

export class NeuronpediaServer implements AsyncDisposable {
  readonly requests: NeuronpediaSeen[] = [];
  /** The key of the one account; undefined: every key is taken. */
  key: string | undefined;
  /** Models that the site knows. */
  readonly models = new Set(['gemma-2-2b', 'qwen3-4b']);
  /** Bytes by path at the storage, as they were sent. */
  readonly stored = new Map<string, { readonly body: Buffer; readonly encoding: string | undefined }>();
  /** By `MODEL/SLUG`: the path at the storage. */
  readonly graphs = new Map<string, { readonly path: string; readonly metadata: Record<string, unknown> }>();
  readonly subgraphs: SavedSubgraph[] = [];
  /** Those of others that the site shows to all. */
  readonly featured: SavedSubgraph[] = [];
  /** Other answers of the site, by path. A value that is no buffer is sent as JSON. */
  readonly pages = new Map<string, Buffer | object>();
  readonly #signed = new Map<string, string>();
  #puts = 0;
  readonly #faults: { match: string; fault: NeuronpediaFault; times: number }[] = [];
  readonly #site = createServer((request, response) => void this.#serve('site', request, response));
  readonly #storage = createServer((request, response) => void this.#serve('storage', request, response));

  static async start(): Promise<NeuronpediaServer> {
    const server = new NeuronpediaServer();
    await Promise.all([listen(server.#site), listen(server.#storage)]);
    return server;
  }

  get baseUrl(): string {
    return originOf(this.#site);
  }

  get storageUrl(): string {
    return originOf(this.#storage);
  }

  /** The next `times` requests whose `host METHOD path` contains `match` meet this fault. */
  inject(match: string, fault: NeuronpediaFault, times = 1): void {
    this.#faults.push({ match, fault, times });
  }

  /** Ends all faults. */
  recover(): void {
    this.#faults.length = 0;
  }

  /** Requests so far whose `host METHOD path` contains `match`. */
  seen(match: string): NeuronpediaSeen[] {
    return this.requests.filter((one) => `${one.host} ${one.method} ${one.path}`.includes(match));
  }

  /** Publishes a graph, as an upload does. */
  publish(model: string, slug: string, graph: object): void {
    const path = `/user-graphs/someone/${slug}.json`;
    this.stored.set(path, { body: gzipSync(JSON.stringify(graph)), encoding: 'gzip' });
    this.graphs.set(`${model}/${slug}`, {
      path,
      metadata: (graph as { metadata: Record<string, unknown> }).metadata,
    });
  }

  /** The graph that is stored for a model and slug, decoded. */
  storedGraph(model: string, slug: string): Record<string, never> | undefined {
    const graph = this.graphs.get(`${model}/${slug}`);
    return graph && (JSON.parse(this.#decoded(graph.path)) as Record<string, never>);
  }

  async #serve(host: 'site' | 'storage', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return; // the client gave up while it was sending
    }
    const { pathname: path, search: query } = new URL(request.url ?? '/', 'http://loopback');
    const { method = 'GET', headers } = request;
    const seen = { host, method, path, query, headers, body: Buffer.concat(parts) };
    this.requests.push(seen);
    const fault = this.#fault(`${host} ${method} ${path}`);
    if (fault?.kind === 'status') {
      const { status, body = {}, headers = {} } = fault;
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
      return;
    }
    if (fault?.kind === 'body') {
      response.writeHead(200, { 'content-type': fault.type ?? 'application/json' }).end(fault.body);
      return;
    }
    const answer = host === 'site' ? this.#answerOfSite(seen) : this.#answerOfStorage(seen);
    if (fault?.kind === 'lost') {
      response.destroy();
      return;
    }
    if (fault?.kind === 'silence') return;
    response.writeHead(answer.status, { 'content-length': answer.body.length, ...answer.headers });
    if (!fault) response.end(answer.body);
    else {
      response.write(answer.body.subarray(0, fault.afterBytes), () => {
        if (fault.kind === 'cut') response.destroy();
      });
    }
  }

  #fault(place: string): NeuronpediaFault | undefined {
    const found = this.#faults.find(({ match, times }) => times > 0 && place.includes(match));
    if (found) found.times--;
    return found?.fault;
  }

  #answerOfStorage({ method, path, query, headers, body }: NeuronpediaSeen): Answer {
    if (method === 'PUT') {
      const isSigned = this.#signed.has(path) && query.includes(SIGNATURE);
      if (!isSigned) return xml(403, 'AccessDenied');
      this.stored.set(path, { body, encoding: headers['content-encoding'] });
      return { status: 200, body: Buffer.alloc(0) };
    }
    if (path === '/' && query.includes('list-type=2')) {
      return {
        status: 200,
        body: listing(this.stored, query),
        headers: { 'content-type': 'application/xml' },
      };
    }
    const file = this.stored.get(path);
    if (!file) return xml(404, 'NoSuchKey');
    const { encoding } = file;
    return {
      status: 200,
      body: file.body,
      headers: encoding === undefined ? {} : { 'content-encoding': encoding },
    };
  }

  #answerOfSite({ method, path, headers, body }: NeuronpediaSeen): Answer {
    const page = this.pages.get(path);
    if (page) return Buffer.isBuffer(page) ? { status: 200, body: page } : json(page);
    // A feature that is not known.
    if (path.startsWith('/api/feature/')) return { status: 200, body: Buffer.from('null') };
    if (method === 'GET') {
      const graph = this.graphs.get(path.replace('/api/graph/', ''));
      if (!graph) return json({ error: 'Graph not found' }, 404);
      const [modelId, slug] = path.replace('/api/graph/', '').split('/');
      return json({
        id: 'g1',
        modelId,
        slug,
        prompt: graph.metadata.prompt,
        url: `${this.storageUrl}${graph.path}`,
      });
    }
    const sent = JSON.parse(body.toString() || '{}') as Record<string, never>;
    if (path === '/api/graph/subgraph/list-featured') {
      return json({ success: true, subgraphs: this.#savedFor(sent, this.featured) });
    }
    const key = headers['x-api-key'];
    if (key === undefined || (this.key !== undefined && key !== this.key)) {
      return json({ error: `Invalid API key: ${String(key)}` }, 401);
    }
    switch (path) {
      case '/api/graph/signed-put':
        return this.#sign(sent);
      case '/api/graph/save-to-db':
        return this.#save(sent);
      case '/api/graph/subgraph/save':
        return this.#saveSubgraph(sent);
      case '/api/graph/subgraph/list':
        return json({ success: true, subgraphs: this.#savedFor(sent, this.subgraphs) });
      default:
        return json({ error: 'Not found' }, 404);
    }
  }

  #savedFor(asked: { modelId?: string; slug?: string }, all: readonly SavedSubgraph[]): SavedSubgraph[] {
    return all.filter(({ modelId, slug }) => modelId === asked.modelId && slug === asked.slug);
  }

  #sign({ filename, contentLength }: { filename?: string; contentLength?: number }): Answer {
    if (!filename?.endsWith('.json') || !(contentLength! >= 1024) || contentLength! > 100 * 2 ** 20) {
      return json({ error: 'Failed to generate signed URL' }, 500);
    }
    const path = `/user-graphs/someone/${filename}`;
    const putRequestId = `put-${++this.#puts}`;
    this.#signed.set(path, putRequestId);
    return json({
      url: `${this.storageUrl}${path}?X-Amz-Expires=3600&${SIGNATURE}`,
      key: path,
      putRequestId,
    });
  }

  #save({ putRequestId }: { putRequestId?: string }): Answer {
    const path = [...this.#signed].find(([, id]) => id === putRequestId)?.[0];
    if (path === undefined || !this.stored.has(path))
      return json({ error: 'Failed to generate signed URL' }, 500);
    const { metadata } = JSON.parse(this.#decoded(path)) as { metadata: { scan: string; slug: string } };
    const { scan, slug } = metadata;
    if (!NAME.test(scan) || !NAME.test(slug)) return json({ error: 'Invalid scan or slug.' }, 400);
    if (!this.models.has(scan)) return json({ error: 'ERR_MODEL_DOES_NOT_EXIST' }, 400);
    this.graphs.set(`${scan}/${slug}`, { path, metadata: { ...metadata } });
    return json({ message: 'Graph saved to database', url: `${this.baseUrl}/${scan}/graph?slug=${slug}` });
  }

  #saveSubgraph(sent: Partial<SavedSubgraph> & { overwriteId?: string }): Answer {
    const { modelId, slug, displayName = null, pinnedIds, supernodes, clerps, overwriteId } = sent;
    if (!modelId || !slug || !this.graphs.has(`${modelId}/${slug}`) || !pinnedIds || !supernodes || !clerps) {
      return json({ error: 'Failed to save subgraph' }, 500);
    }
    const at = this.subgraphs.findIndex(({ id }) => id === overwriteId);
    if (overwriteId !== undefined && at < 0) {
      return json({ error: 'You are not authorized to overwrite this subgraph' }, 403);
    }
    const id = overwriteId ?? `subgraph-${this.subgraphs.length + 1}`;
    const { pruningThreshold = null, densityThreshold = null } = sent;
    const saved = {
      id,
      modelId,
      slug,
      displayName,
      pinnedIds,
      supernodes,
      clerps,
      pruningThreshold,
      densityThreshold,
    };
    this.subgraphs.splice(at < 0 ? this.subgraphs.length : at, at < 0 ? 0 : 1, saved);
    return json({ success: true, subgraphId: id });
  }

  #decoded(path: string): string {
    const { body, encoding } = this.stored.get(path)!;
    return (encoding === 'gzip' ? gunzipSync(body) : body).toString('utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#site, this.#storage]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function json(value: object, status = 200): Answer {
  return {
    status,
    body: Buffer.from(JSON.stringify(value)),
    headers: { 'content-type': 'application/json' },
  };
}

function xml(status: number, code: string): Answer {
  const text = `<?xml version="1.0"?><Error><Code>${code}</Code><SignatureProvided>${SIGNATURE}</SignatureProvided></Error>`;
  return { status, body: Buffer.from(text), headers: { 'content-type': 'application/xml' } };
}
