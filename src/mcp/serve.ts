/** Mcp: the connection over standard input and output. Nothing else may be written to `output`. */
import type { Readable, Writable } from 'node:stream';
import { McpServer, type ServerContext } from '@modelcontextprotocol/server';
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { toStandardJsonSchema } from '@valibot/to-json-schema';
import type { CommonOptions, EngineEvent } from '../engine/request.ts';
import { callTool } from './call.ts';
import { TOOLS } from './tools.ts';
import { Workspace } from './workspace.ts';

/** A client that asked for progress hears of it this often at most. */
const PROGRESS_MS = 500;

const INSTRUCTIONS = `Traces what caused a language model's output. Usual order: run a prompt, attribute it (this writes a graph file and answers its name), read the graph with graph_suggest, graph_top and graph_paths, look at features with inspect_feature, and test a hypothesis with intervene or validate. Answers are short; result_file has everything.`;

export interface ServeMcpOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly version: string;
  /** Where files are written; without it a temporary folder, which is removed at the end. */
  readonly folder?: string | undefined;
  readonly common: CommonOptions;
  /** Ends the connection. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: EngineEvent) => void;
}

/** Resolves when the client has closed the connection, or the signal ended it; the running call is cancelled and waited for. */
export async function serveMcp(options: ServeMcpOptions): Promise<void> {
  await using workspace = await Workspace.open(options.folder, options.common);
  const ended = endOf(options);
  const stop = new AbortController();
  const { onEvent } = options;
  const handle = serveStdio(() => makeServer(options.version, workspace, onEvent, stop.signal), {
    transport: new StdioServerTransport(options.input, options.output),
    onerror: (error) => onEvent({ kind: 'warning', message: inOneLine(error) }),
  });
  await ended;
  stop.abort(new Error('the connection has ended'));
  await handle.close();
}

function makeServer(
  version: string,
  workspace: Workspace,
  onEvent: (event: EngineEvent) => void,
  stop: AbortSignal,
): McpServer {
  const server = new McpServer({ name: 'tracer', version }, { instructions: INSTRUCTIONS });
  for (const tool of TOOLS) {
    const { name, title, description, input, writes = false } = tool;
    const annotations = {
      title,
      readOnlyHint: !writes,
      destructiveHint: false,
      openWorldHint: false,
    };
    server.registerTool(
      name,
      { title, description, inputSchema: toStandardJsonSchema(input), annotations },
      (args, context) =>
        callTool(tool, args, workspace, {
          signal: AbortSignal.any([context.mcpReq.signal, stop]),
          onProgress: progressTo(context, onEvent),
        }),
    );
  }
  return server;
}

/** The package tells of a message that is none with everything that it could have been. */
function inOneLine({ name, message }: Error): string {
  return name === 'ZodError' ? 'a line of the input is no message of the protocol, and is left out' : message;
}

/** Warnings and notes go to standard error; progress to the client, if its request has a token for it. */
function progressTo({ mcpReq }: ServerContext, onEvent: (event: EngineEvent) => void) {
  const progressToken = mcpReq._meta?.progressToken;
  let sent = 0;
  let lastMs = -Infinity;
  return (event: EngineEvent): void => {
    if (event.kind !== 'progress') return onEvent(event);
    if (progressToken === undefined || performance.now() - lastMs < PROGRESS_MS) return;
    lastMs = performance.now();
    const { message, done, total } = event;
    const share = done === undefined || !total ? '' : ` (${Math.floor((100 * done) / total)} %)`;
    // The protocol wants a number that grows; phases begin anew.
    const params = { progressToken, progress: ++sent, message: `${message}${share}` };
    mcpReq.notify({ method: 'notifications/progress', params }).catch((error: unknown) => {
      onEvent({ kind: 'warning', message: `progress was not sent: ${String(error)}` });
    });
  };
}

/** Resolves at the end of the input, when the output has no reader any more, or at the signal. */
function endOf({ input, output, signal }: ServeMcpOptions): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['end', 'close', 'error']) input.once(event, () => resolve());
    for (const event of ['close', 'error']) output.once(event, () => resolve());
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}
