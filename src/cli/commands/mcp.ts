/** `tracer mcp`: the verbs as tools for agents, over standard input and output. */
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { TracerError } from '../../errors.ts';
import { perform } from '../perform.ts';
import { withBosFlag } from '../prompt.ts';
import type { HostProcess, Shell } from '../shell.ts';
import { outputName } from '../values.ts';

const HELP = `
A client starts it, for example with this in its configuration:
  {"mcpServers":{"tracer":{"command":"tracer","args":["mcp","--transcoders","gemma"]}}}

Standard output carries the protocol alone; notes go to standard error. It ends when its input does.`;

export function addMcp(program: Command, shell: Shell): void {
  const command = withBosFlag(
    program
      .command('mcp')
      .description('tools for agents: the Model Context Protocol over standard input and output'),
  )
    .option(
      '--folder <dir>',
      'folder for graphs and whole results (default: a temporary one, removed at the end)',
      outputName('--folder'),
    )
    .addHelpText('after', HELP);
  command.action((options: { readonly folder?: string }) =>
    perform(shell, command, async ({ common, report }) => {
      const { serveMcp } = await import('../../mcp/serve.ts');
      const { output, release } = protocolOutput(shell.host);
      try {
        await serveMcp({
          input: shell.host.stdin,
          output,
          version: program.version() ?? '',
          folder: options.folder,
          common,
          signal: shell.signal,
          onEvent: report,
        });
      } finally {
        release();
      }
      if (shell.signal.reason instanceof TracerError) throw shell.signal.reason;
      return null;
    }),
  );
}

/**
 * Standard output for the protocol alone: what else is written there until `release`, such as the line that a library prints,
 * goes to standard error.
 */
function protocolOutput({ stdout, stderr }: HostProcess): { output: Writable; release: () => void } {
  const own = Object.getOwnPropertyDescriptor(stdout, 'write');
  const write = stdout.write.bind(stdout);
  stdout.write = stderr.write.bind(stderr);
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      write(chunk, done);
    },
  });
  // A client that closes its end is no fault of this program.
  stdout.on('error', (error: Error) => output.destroy(error));
  output.on('error', () => undefined);
  return {
    output,
    release: () => {
      if (own) Object.defineProperty(stdout, 'write', own);
      else Reflect.deleteProperty(stdout, 'write');
    },
  };
}
