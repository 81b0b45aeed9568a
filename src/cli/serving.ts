/** Flags, start and end of the viewer on the command line. Shared by `serve` and `attribute --serve`; `train --serve` has the flags. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { EXIT, TracerError, UsageError } from '../errors.ts';
import type { ServeResult } from '../report/serve-view.ts';
import type { Answer, CommandContext } from './perform.ts';
import type { Shell } from './shell.ts';
import { collect, wholeNumber } from './values.ts';

const LARGEST_PORT = 65_535;

export interface ServerFlags {
  readonly port?: number;
  readonly host?: string;
  readonly allowHost?: readonly string[];
  readonly basePath?: string;
  /** False with `--no-token`. */
  readonly token?: boolean;
  readonly open?: boolean;
}

export interface ServeFlags extends ServerFlags {
  readonly features?: string;
  /** False with `--no-suggest`. */
  readonly suggest?: boolean;
}

export function withServeFlags(command: Command): Command {
  return command
    .option('--port <n>', 'port to listen on; 0: any free port (default: 0)', portNumber)
    .option('--host <name>', 'address to listen on beyond this machine; reading then needs the token too')
    .option('--allow-host <name>', 'name that a reverse proxy is reached by (repeatable)', collect)
    .option('--base-path <path>', 'path that a reverse proxy shows the page under, as /user/x/proxy/8000/')
    .option('--no-token', 'anyone who can connect may write and run jobs')
    .option('--open', 'open the page in the browser');
}

function portNumber(text: string): number {
  const port = wholeNumber('--port', 0)(text);
  if (port <= LARGEST_PORT) return port;
  throw new UsageError({
    code: 'bad_value',
    message: `--port: expected a port up to ${LARGEST_PORT}, found '${text}'`,
    hint: 'Leave it out for any free port.',
  });
}

export interface Serving {
  readonly result: ServeResult;
  /** Waits for Ctrl-C or SIGTERM, closes everything, and gives the exit code. */
  readonly untilStopped: () => Promise<number>;
}

/** Opens the viewer. Notes go to standard error; the command prints the address. */
export async function startServing(
  paths: readonly string[],
  { port = 0, host, allowHost, basePath, token, open, features, suggest }: ServeFlags,
  { common, settings, report, shell }: CommandContext,
): Promise<Serving> {
  const [{ openViewer }, { openBrowser }, { serveNotes }] = await Promise.all([
    import('../viewer/server.ts'),
    import('../viewer/open-browser.ts'),
    import('../report/serve-view.ts'),
  ]);
  // A model that only a settings file names may be missing, since graphs can be read without it.
  const isTyped = [settings.model, settings.transcoders].some((setting) => setting?.from.startsWith('--'));
  const viewer = await openViewer({
    paths,
    port,
    host,
    allowedHosts: allowHost,
    basePath,
    token,
    features,
    suggest,
    common,
    isModelRequired: isTyped,
  });
  const result: ServeResult = {
    address: viewer.address,
    host: viewer.host,
    port: viewer.port,
    base_path: viewer.basePath,
    token_needed: viewer.token !== null,
    token: viewer.token,
    folder: viewer.folder,
    n_graphs: viewer.n_graphs,
    n_studies: viewer.n_studies,
    model: viewer.model?.model ?? null,
    transcoders: viewer.model?.transcoders ?? null,
  };
  for (const message of serveNotes(result, viewer.why)) report({ kind: 'note', message });
  if (!viewer.hasPage) report({ kind: 'warning', message: 'the page is not built: run `npm run build`' });
  const isSecret = viewer.token !== null;
  if (host !== undefined && !isSecret) {
    report({ kind: 'warning', message: `anyone who can connect to ${host} may write and run jobs` });
  }
  const failure = open === true ? await openBrowser(viewer.address, { isSecret }) : null;
  if (failure !== null) report({ kind: 'note', message: failure });
  return {
    result,
    untilStopped: async () => {
      await stopped(shell);
      await viewer[Symbol.asyncDispose]();
      const { reason } = shell.signal as { reason: unknown };
      return reason instanceof TracerError ? reason.exitCode : EXIT.interrupted;
    },
  };
}

function stopped({ signal }: Shell): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** The flags of `attribute` that name files to write. */
interface OutputFlags {
  readonly prompts?: string | undefined;
  readonly output?: string | undefined;
  readonly graphDir?: string | undefined;
  readonly slug?: string | undefined;
}

const DEFAULT_SLUG = 'graph';

/** The same flags; without any of them, files go to a temporary folder, which is removed when the program ends. */
export async function withOutput<T extends OutputFlags>(options: T): Promise<T> {
  if (options.output !== undefined || options.graphDir !== undefined) return options;
  const folder = mkdtempSync(path.join(tmpdir(), 'tracer-serve-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  if (options.prompts !== undefined) return { ...options, output: folder, graphDir: folder };
  const { slugFileName } = await import('../graph/slug.ts');
  const slug = slugFileName(options.slug ?? DEFAULT_SLUG);
  return { ...options, output: path.join(folder, `${slug}.safetensors`), graphDir: folder, slug };
}

/** Serves the written files after the result was printed. */
export async function serveAfter(
  answer: Answer,
  options: ServeFlags & OutputFlags,
  context: CommandContext,
): Promise<Answer> {
  const paths = [options.graphDir, options.output].filter((one) => one !== undefined);
  const { result, untilStopped } = await startServing(paths, options, context);
  const { serveView } = await import('../report/serve-view.ts');
  return {
    data: { ...answer.data, serve: result },
    view: (screen) => `${answer.view(screen)}\n\n${serveView(result)}`,
    goOn: untilStopped,
  };
}

/** Throws `UsageError` for flags of the server without `--serve`. */
export function refuseServeFlags({ port, host, allowHost, basePath, token, open }: ServerFlags): void {
  const given = Object.entries({
    '--port': port,
    '--host': host,
    '--allow-host': allowHost,
    '--base-path': basePath,
    '--no-token': token === false ? false : undefined, // true when it was not given
    '--open': open,
  }).find(([, value]) => value !== undefined);
  if (given === undefined) return;
  throw new UsageError({
    code: 'serve_flag',
    message: `${given[0]} belongs to --serve, which is missing`,
    hint: 'Add --serve, or leave it out.',
  });
}
