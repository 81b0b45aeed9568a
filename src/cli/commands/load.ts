/** `tracer load`: model and set into the cache, every header checked. */
import { Option, type Command } from 'commander';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';

interface LoadOptions {
  readonly dryRun?: boolean;
  readonly list?: boolean;
}

export function addLoad(program: Command, shell: Shell): void {
  const command = program
    .command('load')
    .description('fetch a model and its transcoders, and check every header')
    .addOption(
      new Option('--list', 'the presets: size, layers, features, whether gated; nothing is loaded').conflicts(
        'dryRun',
      ),
    )
    .option('--dry-run', 'headers only: what would be fetched, how many bytes, whether it fits');
  command.action((options: LoadOptions) =>
    perform(shell, command, async ({ common }) => {
      if (options.list) {
        const [{ listPresetsByKind }, { presetsView }] = await Promise.all([
          import('../../engine/load/list.ts'),
          import('../../report/presets-view.ts'),
        ]);
        const list = listPresetsByKind();
        return { data: list, view: (screen) => presetsView(list, screen) };
      }
      const [{ load }, { loadView }] = await Promise.all([
        import('../../engine/load/load.ts'),
        import('../../report/load-view.ts'),
      ]);
      const result = await load({ ...common, dryRun: options.dryRun });
      return { data: result, view: (screen) => loadView(result, screen) };
    }),
  );
}
