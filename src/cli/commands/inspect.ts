/** `tracer inspect`: model and set, a layer, a feature, hooks or weights; from headers where they are enough. */
import type { Command } from 'commander';
import type { InspectView } from '../../engine/inspect/types.ts';
import { REQUEST_DEFAULTS } from '../../engine/request.ts';
import { UsageError } from '../../errors.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { wholeNumber } from '../values.ts';

interface InspectOptions {
  readonly layer?: number;
  readonly feature?: number;
  readonly top: number;
  readonly features?: string;
  /** True when given without a pattern. */
  readonly hooks?: string | true;
  readonly weights?: string | true;
}

const HELP = `
Examples:
  $ tracer inspect
  $ tracer inspect --layer 2 --feature 17
  $ tracer inspect --hooks 'blocks.0.*'`;

export function addInspect(program: Command, shell: Shell): void {
  const command = program
    .command('inspect')
    .description('show the model and its transcoders, a layer, or a feature')
    .option('--layer <n>', 'hook points, weights and transcoder of a layer', wholeNumber('--layer', 0))
    .option('--feature <n>', 'one feature of that layer', wholeNumber('--feature', 0))
    .option(
      '--top <k>',
      'tokens that the feature promotes and suppresses',
      wholeNumber('--top', 0),
      REQUEST_DEFAULTS.featureTokens,
    )
    .option('--features <dir>', "feature pages to look at before the set's own")
    .option('--hooks [pattern]', "hook points with their shapes, such as 'blocks.0.*'")
    .option('--weights [pattern]', 'weights with shape, dtype and size')
    .addHelpText('after', HELP);
  command.action((options: InspectOptions) =>
    perform(shell, command, async ({ common }) => {
      const show = viewOf(options);
      const [{ inspect }, { inspectView }] = await Promise.all([
        import('../../engine/inspect/inspect.ts'),
        import('../../report/inspect-view.ts'),
      ]);
      const result = await inspect({ ...common, show, features: options.features });
      return { data: result, view: (screen) => inspectView(result, screen) };
    }),
  );
}

function viewOf({ layer, feature, hooks, weights, top }: InspectOptions): InspectView {
  const given = [
    layer === undefined ? undefined : '--layer',
    hooks === undefined ? undefined : '--hooks',
    weights === undefined ? undefined : '--weights',
  ].filter((flag) => flag !== undefined);
  if (given.length > 1) {
    throw new UsageError({
      code: 'several_views',
      message: `${given.join(' and ')} ask for different views`,
      hint: "Give one of them; the hooks and weights of a layer are --hooks 'blocks.3.*'.",
    });
  }
  if (feature !== undefined && layer === undefined) {
    throw new UsageError({
      code: 'feature_without_layer',
      message: '--feature needs the layer that the feature belongs to',
      hint: `Add --layer: tracer inspect --layer 0 --feature ${feature}`,
    });
  }
  if (hooks !== undefined) return { view: 'hooks', pattern: hooks === true ? undefined : hooks };
  if (weights !== undefined) return { view: 'weights', pattern: weights === true ? undefined : weights };
  if (layer === undefined) return { view: 'summary' };
  return feature === undefined ? { view: 'layer', layer } : { view: 'feature', layer, feature, top };
}
