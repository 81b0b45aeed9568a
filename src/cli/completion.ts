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

/** One command of the tree with all that can follow it. */
interface Place {
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

function placesOf(command: Command, path: readonly string[] = []): Place[] {
  const here: Place = {
    path,
    flags: flagsOf(command),
    commands: command.commands.map((child) => ({ name: child.name(), description: child.description() })),
    argumentChoices: command.registeredArguments[0]?.argChoices ?? [],
  };
  return [here, ...command.commands.flatMap((child) => placesOf(child, [...path, child.name()]))];
}

/** A script for one shell. Descriptions come from the help texts. */
export function completionScript(shell: ShellName, program: Command): string {
  const places = placesOf(program);
  switch (shell) {
    case 'bash':
      return bashScript(places);
    case 'zsh':
      return zshScript(places);
    case 'fish':
      return fishScript(places);
    default:
      return unreachable(shell);
  }
}

/** Where a place stands in the scripts' own variable: a blank in front of each name, so that the program is ''. */
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
function knownPaths(places: readonly Place[]): string {
  return places
    .filter((place) => place.path.length > 0)
    .map((place) => `"${key(place.path)}"`)
    .join('|');
}

/** Patterns `place:flag` of flags that a value follows. */
function valuePatterns(places: readonly Place[], wanted: (flag: Flag) => boolean): string[] {
  return places.flatMap((place) =>
    place.flags
      .filter((flag) => flag.takesValue && wanted(flag))
      .map((flag) => `"${key(place.path)}:${flag.name}"`),
  );
}

/** Flags with choices, those with the same choices together. */
function choiceCases(
  places: readonly Place[],
): { readonly patterns: string; readonly choices: readonly string[] }[] {
  const lists = new Map<string, readonly string[]>();
  for (const flag of places.flatMap((place) => place.flags)) {
    if (flag.choices.length > 0) lists.set(words(flag.choices), flag.choices);
  }
  return [...lists].map(([list, choices]) => ({
    patterns: valuePatterns(places, (flag) => words(flag.choices) === list).join('|'),
    choices,
  }));
}

function bashScript(places: readonly Place[]): string {
  const choices = choiceCases(places).map(
    (group) =>
      `    ${group.patterns}) COMPREPLY=($(compgen -W "${words(group.choices)}" -- "$word")); return ;;`,
  );
  const files = valuePatterns(places, (flag) => flag.choices.length === 0);
  const lists = places.map((place) => {
    const names = [...place.commands.map((command) => command.name), ...place.argumentChoices];
    return `    "${key(place.path)}") names="${words(names)}"; flags="${words(place.flags.map((flag) => flag.name))}" ;;`;
  });
  return `# bash completion of tracer
_tracer() {
  local word="\${COMP_WORDS[COMP_CWORD]}" at="" names="" flags="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
    ${knownPaths(places)}) at="$at \${COMP_WORDS[i]}" ;;
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

function zshScript(places: readonly Place[]): string {
  const choices = choiceCases(places).map(
    (group) => `    (${group.patterns}) compadd -- ${words(group.choices)}; return ;;`,
  );
  const files = valuePatterns(places, (flag) => flag.choices.length === 0);
  const described = (name: string, description: string) => quote(`${name}:${description}`);
  const lists = places.map((place) => {
    const names = [
      ...place.commands.map((command) => described(command.name, command.description)),
      ...place.argumentChoices.map(quote),
    ];
    const flags = place.flags.map((flag) => described(flag.name, flag.description));
    return `    ("${key(place.path)}") names=(${words(names)}); flags=(${words(flags)}) ;;`;
  });
  return `#compdef tracer
_tracer() {
  local at="" i
  local -a names flags
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
    (${knownPaths(places)}) at="$at \${words[i]}" ;;
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

function fishScript(places: readonly Place[]): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = places.flatMap((place) => {
    const seen = place.path.map((name) => `__fish_seen_subcommand_from ${name}`);
    const notDeeper =
      place.commands.length === 0
        ? []
        : [`not __fish_seen_subcommand_from ${words(place.commands.map((command) => command.name))}`];
    const start = `complete -c tracer -n ${quoted([...seen, ...notDeeper].join('; and '))}`;
    const commands = place.commands.map(
      (command) => `${start} -f -a ${command.name} -d ${quoted(command.description)}`,
    );
    const argumentChoices =
      place.argumentChoices.length > 0 ? [`${start} -f -a ${quoted(words(place.argumentChoices))}`] : [];
    const flags = place.flags.map((flag) => {
      const value =
        flag.choices.length > 0 ? ` -x -a ${quoted(words(flag.choices))}` : flag.takesValue ? ' -r' : '';
      return `${start} -l ${flag.name.replace(/^--/, '')}${value} -d ${quoted(flag.description)}`;
    });
    return [...commands, ...argumentChoices, ...flags];
  });
  return `# fish completion of tracer\n${lines.join('\n')}\n`;
}
