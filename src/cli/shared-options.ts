/** The options that all commands share, in one place. They may be given before or after the command's name. */
import { Command, Option } from 'commander';
import { SETTING_NAMES, SETTING_RULES, type SettingName } from '../settings/rules.ts';
import type { Loudness } from '../report/progress.ts';

const GROUP = 'Shared options:';

interface SharedOption {
  readonly flags: string;
  readonly description: string;
  readonly choices?: readonly string[] | undefined;
}

const SHARED_OPTIONS: readonly SharedOption[] = [
  {
    flags: '--model <name>',
    description: 'preset, owner/name[//subfolder][@revision], a local folder, or a GGUF file',
  },
  {
    flags: '--transcoders <name>',
    description: 'transcoder set, named in the same way; it names its model; none: the model alone',
  },
  {
    flags: '--allow-missing-layers',
    description: 'layers that the set lacks keep their own MLP',
  },
  { flags: '--revision <name>', description: 'branch, tag or commit of the model' },
  {
    flags: '--device <name>',
    description: 'where to compute; cuda:1 is the second card',
    choices: SETTING_RULES.device.choices,
  },
  {
    flags: '--dtype <name>',
    description: 'arithmetic',
    choices: SETTING_RULES.dtype.choices,
  },
  { flags: '--cache-dir <folder>', description: 'Hugging Face cache to use' },
  { flags: '--offline', description: 'make no request: use what is in the cache' },
  { flags: '--max-memory <size>', description: 'memory of the machine for weights, such as 8GiB' },
  { flags: '--max-device-memory <size>', description: "the same of a graphics card's own memory" },
  { flags: '--json', description: 'one JSON document on standard output, also for errors' },
  { flags: '--quiet', description: 'no progress, notes or warnings' },
  { flags: '--verbose', description: 'where settings came from; stack traces of unexpected errors' },
  { flags: '--no-color', description: 'no colours' },
];

function makeOption({ flags, description, choices }: SharedOption): Option {
  const option = new Option(flags, description).helpGroup(GROUP);
  // Known to completion; checked by the settings, so that flag, variable and file give the same errors.
  if (choices) option.choices(choices).argParser((value) => value);
  return option;
}

export function withSharedOptions(command: Command): Command {
  for (const option of SHARED_OPTIONS) command.addOption(makeOption(option));
  return command;
}

export interface SharedFlags {
  /** Values of the settings given as flags. */
  readonly settings: Partial<Record<SettingName, unknown>>;
  /** What is put in front of prompts, where a command has `--bos`. */
  readonly bos: string | undefined;
  readonly json: boolean;
  readonly loudness: Loudness;
  readonly color: boolean;
}

/** Flags given before or after the name of a command; those after it take precedence. */
export function sharedFlags(command: Command): SharedFlags {
  const typed: Record<string, unknown> = {};
  for (let current: Command | null = command; current; current = current.parent) {
    for (const [name, value] of Object.entries(current.opts<Record<string, unknown>>())) {
      if (current.getOptionValueSource(name) === 'cli' && !(name in typed)) typed[name] = value;
    }
  }
  const settings: Partial<Record<SettingName, unknown>> = {};
  for (const name of SETTING_NAMES) if (name in typed) settings[name] = typed[name];
  return {
    settings,
    bos: typed['bos'] as string | undefined,
    json: typed['json'] === true,
    loudness: typed['quiet'] === true ? 'quiet' : typed['verbose'] === true ? 'verbose' : 'normal',
    color: typed['color'] !== false,
  };
}
