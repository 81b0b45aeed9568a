/** `tracer configure`: builds the replacement model, shows its summary, and keeps the choice with `--save`. */
import type { Command } from 'commander';
import type { ConfigureResult } from '../../engine/configure/types.ts';
import type { Choice } from '../../settings/files.ts';
import type { Settings } from '../../settings/resolve.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';

interface ConfigureOptions {
  readonly save?: boolean;
}

/** The given settings, with model and set also when they are defaults. */
function choiceOf(settings: Settings, result: ConfigureResult): Choice {
  const asked = Object.entries(settings).map(([name, setting]) => [name, setting.value]);
  return { model: result.model, transcoders: result.transcoders, ...(Object.fromEntries(asked) as Choice) };
}

export function addConfigure(program: Command, shell: Shell): void {
  const command = program
    .command('configure')
    .description('build the replacement model and show its configuration')
    .option('--save', 'keep the choice in tracer.config.json');
  command.action((options: ConfigureOptions) =>
    perform(shell, command, async ({ common, settings, report }) => {
      const [{ configure }, { configureView }] = await Promise.all([
        import('../../engine/configure/configure.ts'),
        import('../../report/configure-view.ts'),
      ]);
      const result = await configure(common);
      if (options.save !== true) return { data: result, view: (screen) => configureView(result, screen) };
      const { saveChoice } = await import('../../settings/files.ts');
      const savedTo = await saveChoice(shell.host.cwd(), choiceOf(settings, result));
      report({ kind: 'note', message: `the choice is kept in ${savedTo}` });
      return { data: { ...result, saved_to: savedTo }, view: (screen) => configureView(result, screen) };
    }),
  );
}
