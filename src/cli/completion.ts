/** Scripts that complete commands, flags and choices, made from the tree of commands itself. */
import type { Command, Option } from 'commander';
import { unreachable } from '../errors.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type ShellName = (typeof SHELLS)[number];

interface Flag {
  /** As typed: `--device`. */
  readonly name: string;
  readonly description: string;
  /** Whether a value follows. */
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

/** One command of the tree with everything that can follow it. */
interface CommandNode {
  /** Names that lead to it: `[]` for the program, `['graph', 'prune']`. */
  readonly path: readonly string[];
  readonly flags: readonly Flag[];
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  /** Choices of its first argument. */
  readonly argumentChoices: readonly string[];
}

function flagsOf(command: Command): Flag[] {
  const described = (option: Option): Flag => ({
    name: option.long ?? option.short ?? '',
    description: option.description,
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
  });
  return [...command.createHelp().visibleOptions(command)].map(described);
}

function commandNodes(command: Command, path: readonly string[] = []): CommandNode[] {
  const own: CommandNode = {
    path,
    flags: flagsOf(command),
    commands: command.commands.map((child) => ({ name: child.name(), description: child.description() })),
    argumentChoices: command.registeredArguments[0]?.argChoices ?? [],
  };
  return [own, ...command.commands.flatMap((child) => commandNodes(child, [...path, child.name()]))];
}

/** A script for one shell. Descriptions come from the help texts. */
export function completionScript(shell: ShellName, program: Command): string {
  const nodes = commandNodes(program);
  switch (shell) {
    case 'bash':
      return bashScript(nodes);
    case 'zsh':
      return zshScript(nodes);
    case 'fish':
      return fishScript(nodes);
    default:
      return unreachable(shell);
  }
}

/** The path of a command as the scripts store it: a space in front of each name, so that the program is ''. */
function key(path: readonly string[]): string {
  return path.map((name) => ` ${name}`).join('');
}

function words(names: readonly string[]): string {
  return names.join(' ');
}

/** In single quotes, for bash and zsh. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Lines of a `case` that moves on when a word names a command below. */
function knownPaths(nodes: readonly CommandNode[]): string {
  return nodes
    .filter((node) => node.path.length > 0)
    .map((node) => `"${key(node.path)}"`)
    .join('|');
}

/** Patterns `command:flag` of flags that a value follows. */
function valuePatterns(nodes: readonly CommandNode[], wanted: (flag: Flag) => boolean): string[] {
  return nodes.flatMap((node) =>
    node.flags
      .filter((flag) => flag.takesValue && wanted(flag))
      .map((flag) => `"${key(node.path)}:${flag.name}"`),
  );
}

/** Flags with choices, those with the same choices together. */
function choiceCases(
  nodes: readonly CommandNode[],
): { readonly patterns: string; readonly choices: readonly string[] }[] {
  const lists = new Map<string, readonly string[]>();
  for (const flag of nodes.flatMap((node) => node.flags)) {
    if (flag.choices.length > 0) lists.set(words(flag.choices), flag.choices);
  }
  return [...lists].map(([list, choices]) => ({
    patterns: valuePatterns(nodes, (flag) => words(flag.choices) === list).join('|'),
    choices,
  }));
}

function bashScript(nodes: readonly CommandNode[]): string {
  const choices = choiceCases(nodes).map(
    (group) =>
      `    ${group.patterns}) COMPREPLY=($(compgen -W "${words(group.choices)}" -- "$word")); return ;;`,
  );
  const files = valuePatterns(nodes, (flag) => flag.choices.length === 0);
  const lists = nodes.map((node) => {
    const names = [...node.commands.map((command) => command.name), ...node.argumentChoices];
    return `    "${key(node.path)}") names="${words(names)}"; flags="${words(node.flags.map((flag) => flag.name))}" ;;`;
  });
  return `# bash completion of tracer
_tracer() {
  local word="\${COMP_WORDS[COMP_CWORD]}" at="" names="" flags="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
    ${knownPaths(nodes)}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$at:\${COMP_WORDS[COMP_CWORD - 1]}" in
${choices.join('\n')}
    ${files.join('|')}) return ;;
  esac
  case "$at" in
${lists.join('\n')}
  esac
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  else
    COMPREPLY=($(compgen -W "$names" -- "$word"))
  fi
}
complete -o default -F _tracer tracer
`;
}

function zshScript(nodes: readonly CommandNode[]): string {
  const choices = choiceCases(nodes).map(
    (group) => `    (${group.patterns}) compadd -- ${words(group.choices)}; return ;;`,
  );
  const files = valuePatterns(nodes, (flag) => flag.choices.length === 0);
  const described = (name: string, description: string) => quote(`${name}:${description}`);
  const lists = nodes.map((node) => {
    const names = [
      ...node.commands.map((command) => described(command.name, command.description)),
      ...node.argumentChoices.map(quote),
    ];
    const flags = node.flags.map((flag) => described(flag.name, flag.description));
    return `    ("${key(node.path)}") names=(${words(names)}); flags=(${words(flags)}) ;;`;
  });
  return `#compdef tracer
_tracer() {
  local at="" i
  local -a names flags
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
    (${knownPaths(nodes)}) at="$at \${words[i]}" ;;
    esac
  done
  case "$at:\${words[CURRENT-1]}" in
${choices.join('\n')}
    (${files.join('|')}) _files; return ;;
  esac
  case "$at" in
${lists.join('\n')}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then
    _describe -o option flags
  elif (( \${#names} )); then
    _describe command names
  else
    _files
  fi
}
if [[ "\${funcstack[1]}" == _tracer ]]; then _tracer "$@"; else compdef _tracer tracer; fi
`;
}

function fishScript(nodes: readonly CommandNode[]): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = nodes.flatMap((node) => {
    const seen = node.path.map((name) => `__fish_seen_subcommand_from ${name}`);
    const notDeeper =
      node.commands.length === 0
        ? []
        : [`not __fish_seen_subcommand_from ${words(node.commands.map((command) => command.name))}`];
    const start = `complete -c tracer -n ${quoted([...seen, ...notDeeper].join('; and '))}`;
    const commands = node.commands.map(
      (command) => `${start} -f -a ${command.name} -d ${quoted(command.description)}`,
    );
    const argumentChoices =
      node.argumentChoices.length > 0 ? [`${start} -f -a ${quoted(words(node.argumentChoices))}`] : [];
    const flags = node.flags.map((flag) => {
      const value =
        flag.choices.length > 0 ? ` -x -a ${quoted(words(flag.choices))}` : flag.takesValue ? ' -r' : '';
      return `${start} -l ${flag.name.replace(/^--/, '')}${value} -d ${quoted(flag.description)}`;
    });
    return [...commands, ...argumentChoices, ...flags];
  });
  return `# fish completion of tracer\n${lines.join('\n')}\n`;
}
