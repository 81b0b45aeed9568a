/** The frame of every command: settings to a request, one call, one answer printed as text or JSON. */
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
  /** Shows a part of the result before all of it is there; what the answer's view shows follows. Null with --json. */
  readonly stream: ((text: string) => Promise<void>) | null;
}

export interface Answer {
  /** Printed as the `data` of `--json`. */
  readonly data: object;
  readonly view: (screen: Screen) => string;
  /** Where a command that worked still has to say no (`doctor`). */
  readonly exitCode?: number;
  /** What goes on after the answer is printed, until it is stopped (`serve`); gives the exit code. */
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
  work: (context: CommandContext) => Promise<Answer>,
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
    const common = commonOptions(settings, shell.signal, report);
    const stream = async (text: string): Promise<void> => {
      reporter.stop();
      await writeText(host.stdout, text);
    };
    const answer = await work({ common, settings, shell, report, stream: flags.json ? null : stream });
    // A command that did not notice the signal has not been asked for its answer any more.
    shell.signal.throwIfAborted();
    reporter.stop();
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
    maxMemoryBytes: settings.maxMemory?.value,
    signal,
    onProgress,
  };
}

function noteOrigins(settings: Settings, reporter: Reporter): void {
  for (const [name, { value, from }] of Object.entries(settings)) {
    reporter.report({ kind: 'note', message: `${name} is ${value}, from ${from}` });
  }
}

/** Who sees an error about a model that they did not type wants to know who asked for it. */
function noteHiddenOrigins(settings: Settings, reporter: Reporter): void {
  for (const name of ['model', 'transcoders'] as const) {
    const setting = settings[name];
    if (setting && !setting.from.startsWith('--')) {
      reporter.report({ kind: 'note', message: `${name} is ${setting.value}, from ${setting.from}` });
    }
  }
}
