/** The tree of commands. Only descriptions and options are made here: the code of a command is loaded when it runs. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addAttention } from './commands/attention.ts';
import { addAttribute } from './commands/attribute.ts';
import { addCompletion } from './commands/completion.ts';
import { addConfigure } from './commands/configure.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEvaluate } from './commands/evaluate.ts';
import { addFeatures } from './commands/features.ts';
import { addGenerate } from './commands/generate.ts';
import { addGraph } from './commands/graph.ts';
import { addInspect } from './commands/inspect.ts';
import { addIntervene } from './commands/intervene.ts';
import { addLoad } from './commands/load.ts';
import { addMcp } from './commands/mcp.ts';
import { addPush } from './commands/push.ts';
import { addReport } from './commands/report.ts';
import { addRun } from './commands/run.ts';
import { addServe } from './commands/serve.ts';
import { addSetup } from './commands/setup.ts';
import { addTrain } from './commands/train.ts';
import { withSharedOptions } from './shared-options.ts';
import type { Shell } from './shell.ts';

const EXAMPLES = `
Examples:
  $ tracer run "Hello, world!"
  $ tracer inspect --layer 0
  $ tracer load --model gemma-2-2b --transcoders gemma --dry-run

A prompt is an argument, - for standard input, or --prompt-file FILE.
Exit codes: 0 done, 1 unexpected, 2 usage, 3 not found, 4 bad file, 5 memory or disk, 6 expectation, 69 network.`;

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** `write` takes what commander itself prints: help and version. */
export function buildProgram(shell: Shell, write: (text: string) => void): Command {
  const program = new Command('tracer')
    .description("Trace which features and tokens caused a language model's output.")
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .enablePositionalOptions()
    .exitOverride()
    // Errors are thrown by exitOverride and shown by main, as text or JSON.
    .configureOutput({ writeOut: write, writeErr: () => undefined, outputError: () => undefined })
    .addHelpText('after', EXAMPLES);
  for (const add of [
    addLoad,
    addConfigure,
    addRun,
    addInspect,
    addAttribute,
    addAttention,
    addGraph,
    addReport,
    addFeatures,
    addEvaluate,
    addTrain,
    addIntervene,
    addGenerate,
    addServe,
    addMcp,
    addPush,
    addSetup,
    addDoctor,
    addCompletion,
  ]) {
    add(program, shell);
  }
  for (const command of allCommands(program)) withSharedOptions(command);
  return program;
}

/** A command and everything below it. */
function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}
