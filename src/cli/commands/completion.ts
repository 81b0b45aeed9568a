/** `tracer completion SHELL`: a script that completes commands, flags and choices. */
import { Argument, type Command } from 'commander';
import { completionScript, SHELLS, type ShellName } from '../completion.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';

const HELP = `
Put it where your shell finds it:
  bash  tracer completion bash > ~/.local/share/bash-completion/completions/tracer
  zsh   tracer completion zsh > a folder of $fpath, as _tracer
  fish  tracer completion fish > ~/.config/fish/completions/tracer.fish`;

export function addCompletion(program: Command, shell: Shell): void {
  const command = program
    .command('completion')
    .description('print a script that completes commands and flags')
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(SHELLS))
    .addHelpText('after', HELP);
  command.action((name: ShellName) =>
    perform(shell, command, () => {
      const script = completionScript(name, program);
      return Promise.resolve({ data: { shell: name, script }, view: () => script.trimEnd() });
    }),
  );
}
