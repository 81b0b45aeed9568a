/** Viewer: opens and closes the server with its graphs, model and job queue. */
import { existsSync } from 'node:fs';
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { ExhaustedError, NotFoundError, UsageError } from '../errors.ts';
import { errnoCode, messageOf } from '../formats/system-errors.ts';
import type { CommonOptions } from '../engine/request.ts';
import type { ViewerEnv } from './access.ts';
import { viewerApp } from './app.ts';
import { attentionRoutes } from './attention-routes.ts';
import { parseBasePath, ROOT } from './base-path.ts';
import { Contrasts } from './contrast-work.ts';
import { FeatureLookup } from './feature-lookup.ts';
import { graphRoutes } from './graph-routes.ts';
import { HeldModel, type ChosenModel } from './held-model.ts';
import { LOOPBACK, ownNames, reachableName, urlHost } from './host-names.ts';
import { jobRoutes } from './job-routes.ts';
import { JobQueue } from './jobs.ts';
import { GraphCache } from './graph-cache.ts';
import { readPageFiles } from './page-files.ts';
import { Suggestions } from './suggestions.ts';
import { GraphStore } from './graph-store.ts';
import { servedFolders } from './served-folders.ts';
import { Studies } from './studies.ts';
import { studyRoutes } from './study-routes.ts';
import { makeToken } from './token.ts';
import { trainingRoutes } from './training-routes.ts';
import { Trainings } from './trainings.ts';

export interface ServeOptions {
  /** Folders of graphs and graph files; at least one. */
  readonly paths: readonly string[];
  /** 0: any free port. */
  readonly port: number;
  /** Address to listen on; undefined: loopback only. If it is given, reading needs the token too. */
  readonly host?: string | undefined;
  /** Names of a reverse proxy, which are accepted in the Host header. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Path of the server behind a reverse proxy; default `/`. */
  readonly basePath?: string | undefined;
  /** False: no request needs a token. */
  readonly token?: boolean | undefined;
  readonly common: CommonOptions;
  /** Why there is no model, whatever `common` names; default: there is one. */
  readonly whyNoModel?: string | undefined;
  /** Whether the model was named: then it is an error not to have it. */
  readonly isModelRequired?: boolean | undefined;
  /** Folder of feature pages that are used before those of the set. */
  readonly features?: string | undefined;
  /** False: graphs without annotations open empty, without a suggested circuit. */
  readonly suggest?: boolean | undefined;
  /** Folder of the built page; for tests. */
  readonly pageFolder?: string | undefined;
  readonly limits?: Partial<Limits> | undefined;
}

/** Timeouts of requests, connections and jobs. */
export interface Limits {
  /** For the head of a request. */
  readonly headersMs: number;
  /** For a whole request. */
  readonly requestMs: number;
  /** For a connection without any traffic. */
  readonly idleMs: number;
  /** For a job without a listener. */
  readonly listenerTimeoutMs: number;
}

const LIMITS: Limits = { headersMs: 10_000, requestMs: 30_000, idleMs: 120_000, listenerTimeoutMs: 5_000 };
/** How often slow connections are looked for during one timeout. */
const CHECKS_PER_LIMIT = 4;
const MOST_CONNECTIONS = 1_024;

export interface Viewer extends AsyncDisposable {
  /** Address of the page, with the token if there is one. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly basePath: string;
  /** Needed for writing and jobs, and for reading if `host` is given; null if no request needs it. */
  readonly token: string | null;
  /** Folder that traced graphs are written to; null where nothing but studies is served. */
  readonly folder: string | null;
  readonly n_graphs: number;
  readonly n_studies: number;
  readonly model: { readonly model: string; readonly transcoders: string } | null;
  /** Why there is no model. */
  readonly why: string | null;
  /** Whether the page was built. */
  readonly hasPage: boolean;
}

/**
 * Opens the viewer. Throws for paths, a required model or an address that cannot be used. Disposing it cancels all jobs and
 * closes all connections.
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
  const store = await GraphStore.open(options.paths);
  const graphs = await store.list();
  const folders = await servedFolders(options.paths);
  const studies = new Studies(folders);
  const known = await studies.list();
  const chosen: ChosenModel =
    options.whyNoModel !== undefined
      ? { model: null, why: options.whyNoModel }
      : await HeldModel.choose({
          common,
          isRequired: options.isModelRequired ?? false,
          scans: [...graphs, ...known].map(({ scan }) => scan),
        });
  const page = await readPageFiles(options.pageFolder);
  const { cacheDir, offline, onProgress } = common;
  const features = new FeatureLookup({ folder: pages, cacheDir, offline, onProgress }, chosen.model);
  const contrasts = new Contrasts(studies, features);
  const suggestions = new Suggestions(features, options.suggest ?? true);
  const services = { store, cache: new GraphCache(), chosen, features, contrasts, suggestions };
  // A contrast does not use the model, so it does not wait for it.
  const queues = { model: new JobQueue(limits), study: new JobQueue(limits) };
  const token = options.token === false ? null : makeToken();
  const app = viewerApp({ isOwnName, token, isReadingOpen: host === undefined, basePath }, page);
  app.route('/api', graphRoutes(services));
  app.route('/api', attentionRoutes(store));
  app.route('/api/jobs', jobRoutes(queues, services));
  app.route('/api/trainings', trainingRoutes(new Trainings(folders)));
  app.route('/api/studies', studyRoutes(studies, store));
  const server = serverOf(app, limits);
  const port = await listen(server, options.port, host ?? LOOPBACK);
  // A connection that cannot be accepted, as when there are too many open files, must not end the process.
  server.on('error', (error) =>
    onProgress?.({ kind: 'warning', message: `the server: ${messageOf(error)}` }),
  );
  const query = token === null ? '' : `?token=${token}`;
  return {
    address: `http://${urlHost(reachableName(host ?? LOOPBACK))}:${port}${basePath}${query}`,
    host: host ?? LOOPBACK,
    port,
    basePath,
    token,
    folder: store.folder,
    n_graphs: graphs.length,
    n_studies: known.length,
    model: chosen.model?.identity.names ?? null,
    why: chosen.why,
    hasPage: page.has('/'),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all([queues.model.close(), queues.study.close()]);
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
  }) as Server; // of node:http, the default
  server.setTimeout(idleMs);
  server.maxConnections = MOST_CONNECTIONS;
  return server;
}

/** Gives the port that is listened on. */
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
        message: `port ${port} of ${host} is used by another program`,
        hint: 'Give another --port, or 0 for any free port.',
        cause,
      });
    case 'EACCES':
      return new ExhaustedError({
        code: 'port_refused',
        message: `port ${port} may not be used: permission denied`,
        hint: 'Give a --port above 1023, or 0 for any free port.',
        cause,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new UsageError({
        code: 'bad_host',
        message: `--host ${host} is not an address of this machine: ${messageOf(cause)}`,
        hint: 'Leave --host out to be reached from this machine only.',
        cause,
      });
    default:
      return cause;
  }
}
