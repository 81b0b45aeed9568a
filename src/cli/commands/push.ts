/** `tracer push DIR owner/name`: a transcoder set onto the Hub. */
import type { Command } from 'commander';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';

interface PushOptions {
  readonly branch?: string;
  readonly message?: string;
  readonly modelName?: string;
  readonly private?: boolean;
  readonly dryRun?: boolean;
}

const HELP = `
Examples:
  $ tracer push my-set owner/my-set --dry-run
  $ HF_TOKEN=… tracer push my-set owner/my-set --private
  $ tracer push my-set owner/my-set --model-name owner/my-model`;

export function addPush(program: Command, shell: Shell): void {
  const command = program
    .command('push <folder> <repo>')
    .description('upload a transcoder set to the Hugging Face Hub, as one commit')
    .option(
      '--model-name <name>',
      "what the set's model is called elsewhere; needed where the set names a path of this machine",
    )
    .option('--private', 'make the repository private, if it has to be made')
    .option('--branch <name>', 'branch of the repository (default: main)')
    .option('--message <text>', 'message of the commit')
    .option('--dry-run', 'list what would be sent; no request is made')
    .addHelpText('after', HELP);
  command.action((folder: string, repo: string, options: PushOptions) =>
    perform(shell, command, async ({ common }) => {
      const [{ push }, { pushView }] = await Promise.all([
        import('../../engine/push/push.ts'),
        import('../../report/push-view.ts'),
      ]);
      const result = await push({ ...common, ...options, folder, repo });
      return { data: result, view: (screen) => pushView(result, screen) };
    }),
  );
}
