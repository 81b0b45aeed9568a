/** Viewer, the whole of it, opened and closed: graphs, model, jobs, and the socket that they are reached by. */
import { existsSync } from 'node:fs';
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { ExhaustedError, NotFoundError, UsageError } from '../errors.ts';
import { errnoCode, messageOf } from '../formats/system-errors.ts';
import type { CommonOptions } from '../engine/request.ts';
import type { ViewerEnv } from './access.ts';
import { viewerApp } from './app.ts';
import { parseBasePath, ROOT } from './base-path.ts';
import { FeatureDesk } from './feature-desk.ts';
import { graphRoutes } from './graph-routes.ts';
import { HeldModel } from './held-model.ts';
import { LOOPBACK, ownNames, reachableName, urlHost } from './host-names.ts';
import { jobRoutes } from './job-routes.ts';
import { JobQueue } from './jobs.ts';
import { OpenedGraphs } from './opened-graphs.ts';
import { readPageFiles } from './page-files.ts';
import { Shelf } from './shelf.ts';
import { makeToken } from './token.ts';

export interface ServeOptions {
  /** Folders of graphs and graph files; at least one. */
  readonly places: readonly string[];
  /** 0: one that is free. */
  readonly port: number;
  /** Left out: this machine only. Given: reading needs the token too. */
  readonly host?: string | undefined;
  /** Names beside that of `host` that requests may be sent to: those of a reverse proxy. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** The path that a reverse proxy shows the server under; default `/`. */
  readonly basePath?: string | undefined;
  /** False: every request is answered without a token. */
  readonly token?: boolean | undefined;
  readonly common: CommonOptions;
  /** Whether the model was asked for by name: then not having it is an error. */
  readonly isModelRequired?: boolean | undefined;
  /** Feature pages that are looked at first. */
  readonly features?: string | undefined;
  /** Of the built page; for tests. */
  readonly pageFolder?: string | undefined;
  readonly limits?: Partial<Limits> | undefined;
}

/** How long others may keep the server waiting. */
export interface Limits {
  /** For the head of a request. */
  readonly headersMs: number;
  /** For a whole request. */
  readonly requestMs: number;
  /** For a connection on which nothing moves. */
  readonly idleMs: number;
  /** For a job that nobody listens to. */
  readonly unheardMs: number;
}

const LIMITS: Limits = { headersMs: 10_000, requestMs: 30_000, idleMs: 120_000, unheardMs: 5_000 };
/** How often slow connections are looked for, in relation to what they may take. */
const CHECKS_PER_LIMIT = 4;
const MOST_CONNECTIONS = 1_024;

export interface Viewer extends AsyncDisposable {
  /** To be opened in a browser, with the token where there is one. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly basePath: string;
  /** What writing and jobs need, and reading where `host` was given; null where nothing needs it. */
  readonly token: string | null;
  /** Where traced graphs are written. */
  readonly folder: string;
  readonly n_graphs: number;
  readonly model: { readonly model: string; readonly transcoders: string } | null;
  /** Why there is no model. */
  readonly why: string | null;
  /** Whether there is a page to be shown. */
  readonly hasPage: boolean;
}

/**
 * Opens the viewer. Throws what is wrong with the places, the model (where it is required) and the address. Dispose it: jobs are
 * cancelled and connections closed.
 */
export async function openViewer(options: ServeOptions): Promise<Viewer> {
  const { common, host } = options;
  const limits = { ...LIMITS, ...options.limits };
  const basePath = parseBasePath(options.basePath ?? ROOT);
  const isOwnName = ownNames(host, options.allowedHosts);
  const pages = options.features;
  if (pages !== undefined && !existsSync(pages)) {
    throw new NotFoundError({
      code: 'no_feature_pages',
      message: `--features: there is no folder ${pages}`,
      hint: 'Name a folder that `tracer features build` wrote, or leave it out.',
    });
  }
  const shelf = await Shelf.open(options.places);
  const graphs = await shelf.list();
  const chosen = await HeldModel.choose({
    common,
    isRequired: options.isModelRequired ?? false,
    scans: graphs.map(({ scan }) => scan),
  });
  const page = await readPageFiles(options.pageFolder);
  const { cacheDir, offline, onProgress } = common;
  const library = {
    shelf,
    opened: new OpenedGraphs(),
    chosen,
    features: new FeatureDesk({ folder: pages, cacheDir, offline, onProgress }, chosen.model),
  };
  const queue = new JobQueue(limits);
  const token = options.token === false ? null : makeToken();
  const app = viewerApp({ isOwnName, token, isReadingOpen: host === undefined, basePath }, page);
  app.route('/api', graphRoutes(library));
  app.route('/api/jobs', jobRoutes(queue, library));
  const server = serverOf(app, limits);
  const port = await listen(server, options.port, host ?? LOOPBACK);
  const query = token === null ? '' : `?token=${token}`;
  return {
    address: `http://${urlHost(reachableName(host ?? LOOPBACK))}:${port}${basePath}${query}`,
    host: host ?? LOOPBACK,
    port,
    basePath,
    token,
    folder: shelf.folder,
    n_graphs: graphs.length,
    model: chosen.model?.identity.names ?? null,
    why: chosen.why,
    hasPage: page.has('/'),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await queue.close();
      chosen.model?.close();
      await closed;
    },
  };
}

function serverOf(app: Hono<ViewerEnv>, { headersMs, requestMs, idleMs }: Limits): Server {
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: Math.min(headersMs, requestMs) / CHECKS_PER_LIMIT,
    },
  }) as Server; // of node:http, since no other was asked for
  server.setTimeout(idleMs);
  server.maxConnections = MOST_CONNECTIONS;
  return server;
}

/** The port that was taken. */
function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(listenError(cause, port, host)));
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function listenError(cause: Error, port: number, host: string): Error {
  switch (errnoCode(cause)) {
    case 'EADDRINUSE':
      return new ExhaustedError({
        code: 'port_taken',
        message: `port ${port} of ${host} is taken by another program`,
        hint: 'Give another --port, or 0 for one that is free.',
        cause,
      });
    case 'EACCES':
      return new ExhaustedError({
        code: 'port_refused',
        message: `port ${port} may not be used: permission denied`,
        hint: 'Give a --port above 1023, or 0 for one that is free.',
        cause,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new UsageError({
        code: 'bad_host',
        message: `--host ${host} is no address of this machine: ${messageOf(cause)}`,
        hint: 'Leave --host out to be reached from this machine only.',
        cause,
      });
    default:
      return cause;
  }
}
