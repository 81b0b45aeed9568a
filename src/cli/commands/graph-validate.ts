/** `tracer graph validate FILE`: the features of a graph switched off in the model. The only graph command that loads a model. */
import type { Command } from 'commander';
import { VALIDATE_DEFAULTS } from '../../engine/validate/types.ts';
import { perform, typed } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { wholeNumber } from '../values.ts';

interface ValidateOptions {
  readonly top: number;
  readonly target?: string;
  readonly direct?: boolean;
}

const HELP = `
Examples:
  $ tracer graph validate dallas.safetensors --top 20
  $ tracer graph validate dallas.safetensors --target ' Austin' --direct

Model and set are those that the graph names, unless --model or --transcoders is typed.
Changes are those of the logit before the cap, relative to the mean over the vocabulary, as edges are.`;

export function addValidate(graph: Command, shell: Shell): void {
  const command = graph
    .command('validate')
    .description('switch features off in the model, one by one, and compare with the graph')
    .argument('<file>', 'graph file')
    .option(
      '--top <k>',
      'features, the most influential first',
      wholeNumber('--top', 1),
      VALIDATE_DEFAULTS.top,
    )
    .option('--target <token>', "a logit of the graph, such as ' Austin' (default: its first)")
    .option('--direct', 'hold everything else fixed: measures the edge to the logit alone')
    .addHelpText('after', HELP);
  command.action((file: string, options: ValidateOptions) =>
    perform(shell, command, async ({ common, settings }) => {
      const [{ validate }, { validateView }] = await Promise.all([
        import('../../engine/validate/validate.ts'),
        import('../../report/validate-view.ts'),
      ]);
      const { top, target, direct } = options;
      const result = await validate({
        ...common,
        // The model that the graph names takes precedence over settings.
        model: typed(settings.model),
        transcoders: typed(settings.transcoders),
        file,
        top,
        target,
        direct,
      });
      return { data: result, view: (screen) => validateView(result, screen) };
    }),
  );
}
