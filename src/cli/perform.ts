/** The common steps of every command: settings to a request, one call, one result printed as text or JSON. */
import type { Command } from 'commander';
import type { CommonOptions, EngineEvent } from '../engine/request.ts';
import type { Screen } from '../report/screen.ts';
import type { Reporter } from '../report/progress.ts';
import type { Settings } from '../settings/resolve.ts';
import { envelopeText, writeText } from './output.ts';
import { sharedFlags } from './shared-options.ts';
import type { Shell } from './shell.ts';

export interface CommandContext {
  /** Settings, signal and progress: the part of a request that all verbs share. */
  readonly common: CommonOptions;
  readonly settings: Settings;
  readonly shell: Shell;
  readonly report: (event: EngineEvent) => void;
  /** Shows a part of the result before it is complete; the view of the result follows. Null with --json. */
  readonly stream: ((text: string) => Promise<void>) | null;
}

export interface Answer {
  /** Printed as the `data` of `--json`. */
  readonly data: object;
  readonly view: (screen: Screen) => string;
  /** Exit code of a command that succeeded with a negative result (`doctor`). */
  readonly exitCode?: number;
  /** Runs after the result is printed, until it is stopped (`serve`); returns the exit code. */
  readonly goOn?: () => Promise<number>;
}

/** `['graph', 'prune']` of `tracer graph prune`. */
export function commandPath(command: Command): string[] {
  const names: string[] = [];
  for (let current = command; current.parent; current = current.parent) names.unshift(current.name());
  return names;
}

export async function perform(
  shell: Shell,
  command: Command,
  work: (context: CommandContext) => Promise<Answer | null>,
): Promise<void> {
  const flags = sharedFlags(command);
  const { host } = shell;
  const [{ screenFor }, { makeReporter }, { resolveSettings }] = await Promise.all([
    import('../report/screen.ts'),
    import('../report/progress.ts'),
    import('../settings/resolve.ts'),
  ]);
  const statusScreen = screenFor(host.stderr, host.env, flags);
  const reporter = await makeReporter(host.stderr, statusScreen, flags.loudness);
  let settings: Settings = {};
  try {
    settings = await resolveSettings({
      flags: flags.settings,
      environment: host.env,
      workingFolder: host.cwd(),
    });
    if (flags.loudness === 'verbose') noteOrigins(settings, reporter);
    const report = (event: EngineEvent) => reporter.report(event);
    const common = { ...commonOptions(settings, shell.signal, report), bos: flags.bos };
    const stream = async (text: string): Promise<void> => {
      reporter.stop();
      await writeText(host.stdout, text);
    };
    const answer = await work({ common, settings, shell, report, stream: flags.json ? null : stream });
    // The result of a command that did not notice the signal is discarded.
    shell.signal.throwIfAborted();
    reporter.stop();
    // Its results went elsewhere while it ran.
    if (answer === null) return;
    const text = flags.json
      ? envelopeText({ command: commandPath(command).join(' '), data: answer.data })
      : `${answer.view(screenFor(host.stdout, host.env, flags))}\n`;
    await writeText(host.stdout, text);
    shell.exitCode = answer.exitCode ?? shell.exitCode;
    if (answer.goOn) shell.exitCode = await answer.goOn();
  } catch (error) {
    if (flags.loudness !== 'verbose' && !shell.signal.aborted) noteHiddenOrigins(settings, reporter);
    throw error;
  } finally {
    reporter.stop();
  }
}

function commonOptions(
  settings: Settings,
  signal: AbortSignal,
  onProgress: (event: EngineEvent) => void,
): CommonOptions {
  return {
    model: settings.model?.value,
    transcoders: settings.transcoders?.value,
    revision: settings.revision?.value,
    device: settings.device?.value,
    dtype: settings.dtype?.value,
    cacheDir: settings.cacheDir?.value,
    offline: settings.offline?.value,
    allowMissingLayers: settings.allowMissingLayers?.value,
    maxMemoryBytes: settings.maxMemory?.value,
    maxDeviceMemoryBytes: settings.maxDeviceMemory?.value,
    signal,
    onProgress,
  };
}

function noteOrigins(settings: Settings, reporter: Reporter): void {
  for (const [name, { value, from }] of Object.entries(settings)) {
    reporter.report({ kind: 'note', message: `${name} is ${value}, from ${from}` });
  }
}

/** An error about a model that was not typed names the setting that chose it. */
function noteHiddenOrigins(settings: Settings, reporter: Reporter): void {
  for (const name of ['model', 'transcoders'] as const) {
    const setting = settings[name];
    if (setting && !setting.from.startsWith('--')) {
      reporter.report({ kind: 'note', message: `${name} is ${setting.value}, from ${setting.from}` });
    }
  }
}
