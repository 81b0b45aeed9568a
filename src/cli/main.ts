/** The command line: from arguments to an exit code. Every error is handled here. */
import { CommanderError, type Command } from 'commander';
import { EXIT, UsageError } from '../errors.ts';
import { describeFailure, type Failure } from './failure.ts';
import { envelopeText, writeText } from './output.ts';
import { commandPath } from './perform.ts';
import { buildProgram } from './program.ts';
import { Shell, type HostProcess } from './shell.ts';
import { listenForStop } from './signals.ts';

/** The command that was typed, as deep in the tree as its names exist. */
function typedCommand(program: Command, words: readonly string[]): Command {
  let current = program;
  for (const word of words) current = current.commands.find((command) => command.name() === word) ?? current;
  return current;
}

/** Runs one command. `exitNow` ends the process at once, for the second Ctrl-C. */
export async function main(host: HostProcess, exitNow: (exitCode: number) => void): Promise<number> {
  using stop = listenForStop(host, exitNow);
  const shell = new Shell(host, stop.signal);
  let printed = '';
  const program = buildProgram(shell, (text) => (printed += text));
  host.stderr.on('error', () => undefined); // without a reader only progress is lost, and the command continues
  try {
    try {
      if (shell.args.length === 0) throw nothingAsked();
      await program.parseAsync([...shell.args], { from: 'user' });
    } catch (error) {
      // Help and version arrive as errors of code 0.
      if (!(error instanceof CommanderError && error.exitCode === 0)) throw error;
      await writeText(host.stdout, printed);
    }
    return shell.exitCode;
  } catch (error) {
    const command = typedCommand(program, shell.args);
    const names = commandPath(command);
    const failure = describeFailure(error, stop.signal, {
      line: ['tracer', ...names].join(' '),
      takesPrompt: command.registeredArguments.some((argument) => argument.name() === 'prompt'),
    });
    await tellFailure(failure, shell, names.join(' ') || 'tracer');
    return failure.exitCode;
  }
}

function nothingAsked(): UsageError {
  return new UsageError({
    code: 'missing_command',
    message: 'a command is missing',
    hint: 'Try `tracer run "Hello, world!"`; `tracer --help` lists all commands.',
  });
}

async function tellFailure(failure: Failure, shell: Shell, command: string): Promise<void> {
  const { host } = shell;
  if (shell.typed('--json')) {
    const { code, message, hint } = failure;
    const written = writeText(host.stdout, envelopeText({ command, error: { code, message, hint } }));
    // Where the document cannot be written either, standard error is all that is left.
    const isTold = await written.then(
      () => true,
      () => false,
    );
    if (isTold && failure.exitCode !== EXIT.unexpected) return;
  }
  const [{ failureView }, { screenFor }] = await Promise.all([
    import('../report/failure-view.ts'),
    import('../report/screen.ts'),
  ]);
  const screen = screenFor(host.stderr, host.env, { color: !shell.typed('--no-color') });
  const stack = shell.typed('--verbose') ? failure.stack : undefined;
  host.stderr.write(`${failureView({ ...failure, stack }, screen)}\n`);
}
