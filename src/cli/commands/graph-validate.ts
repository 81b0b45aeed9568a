/** `tracer graph validate FILE`: features of a graph, or a circuit of many, switched off in the model. The only graph command that loads a model. */
import type { Command } from 'commander';
import { EXIT, UsageError } from '../../errors.ts';
import { STUDY_DEFAULTS } from '../../engine/study/types.ts';
import { VALIDATE_DEFAULTS } from '../../engine/validate/types.ts';
import type { CommonOptions } from '../../engine/request.ts';
import { perform, type Answer } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { typed } from '../typed.ts';
import { outputName, wholeNumber } from '../values.ts';

interface ValidateOptions {
  readonly top?: number;
  readonly target?: string;
  readonly direct?: boolean;
  readonly study?: string;
  readonly prompts?: string;
  readonly output?: string;
  readonly seed?: number;
}

const HELP = `
Examples:
  $ tracer graph validate dallas.safetensors --top 20
  $ tracer graph validate dallas.safetensors --target ' Austin' --direct
  $ tracer graph validate texas.safetensors --study study --output study/validated.parquet

Model and set are those that the graph names, unless --model or --transcoders is typed.
Changes are those of the logit before the cap, relative to the mean over the vocabulary, as edges are.
A circuit (\`graph circuit --output\`) is tried on prompts that it was not found in: all its features are switched off together,
and all others.`;

export function addValidate(graph: Command, shell: Shell): void {
  const command = graph
    .command('validate')
    .description('switch features off in the model, and compare with the graph')
    .argument('<file>', 'graph file')
    .option(
      '--top <k>',
      `features, the most influential first (default: ${VALIDATE_DEFAULTS.top})`,
      wholeNumber('--top', 1),
    )
    .option('--target <token>', "a logit of the graph, such as ' Austin' (default: its first)")
    .option('--direct', 'hold everything else fixed: measures the edge to the logit alone')
    .option('--study <study>', 'try a circuit on the graphs of a study that it was not found in')
    .option(
      '--prompts <file>',
      'try a circuit on a list: JSON Lines {"slug":…,"prompt":…}, CSV, TSV or Parquet',
    )
    .option(
      '--output <file>',
      "table of a circuit's prompts to write: .parquet or .jsonl",
      outputName('--output'),
    )
    .option(
      '--seed <n>',
      `draws random features, and for the interval (default: ${STUDY_DEFAULTS.seed})`,
      wholeNumber('--seed', 0),
    )
    .addHelpText('after', HELP);
  command.action((file: string, options: ValidateOptions) =>
    perform(shell, command, async ({ common, settings }) => {
      // The model that the graph names takes precedence over settings.
      const named = {
        ...common,
        model: typed(settings.model),
        transcoders: typed(settings.transcoders),
        file,
      };
      checkTogether(options);
      const isCircuit = options.study !== undefined || options.prompts !== undefined;
      return isCircuit ? await ofCircuit(named, options) : await ofGraph(named, options);
    }),
  );
}

type Named = CommonOptions & { readonly file: string };

async function ofGraph(named: Named, { top, target, direct }: ValidateOptions): Promise<Answer> {
  const [{ validate }, { validateView }] = await Promise.all([
    import('../../engine/validate/validate.ts'),
    import('../../report/validate-view.ts'),
  ]);
  const result = await validate({ ...named, top, target, direct });
  return { data: result, view: (screen) => validateView(result, screen) };
}

async function ofCircuit(named: Named, { study, prompts, output, seed }: ValidateOptions): Promise<Answer> {
  const [{ validateCircuit }, { circuitValidationView }] = await Promise.all([
    import('../../engine/validate/circuit.ts'),
    import('../../report/circuit-validation-view.ts'),
  ]);
  const result = await validateCircuit({ ...named, study, prompts, output, seed });
  return {
    data: result,
    view: (screen) => circuitValidationView(result, screen),
    exitCode: result.failed[0]?.exit_code ?? EXIT.done,
  };
}

/** Flags that would be ignored are refused. */
function checkTogether({ study, prompts, ...options }: ValidateOptions): void {
  if (study !== undefined && prompts !== undefined) {
    throw excluded('--study', ['--prompts'], 'Try the circuit on one, then on the other.');
  }
  const given = (names: Readonly<Record<string, unknown>>): string[] =>
    Object.entries(names).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const ofGraph = given({ '--top': options.top, '--target': options.target, '--direct': options.direct });
  const ofCircuit = given({ '--output': options.output, '--seed': options.seed });
  const where = given({ '--study': study, '--prompts': prompts })[0];
  if (where !== undefined && ofGraph.length > 0) {
    throw excluded(where, ofGraph, 'A circuit is switched off as a whole.');
  }
  if (where !== undefined || ofCircuit.length === 0) return;
  throw new UsageError({
    code: 'flag_of_circuits',
    message: `${ofCircuit.join(' and ')} ${ofCircuit.length === 1 ? 'is' : 'are'} for a circuit that is tried on other prompts`,
    hint: 'Add --study STUDY or --prompts FILE.',
  });
}

function excluded(flag: string, others: readonly string[], hint: string): UsageError {
  return new UsageError({
    code: 'flags_exclude_each_other',
    message: `${flag} cannot be combined with ${others.join(', ')}`,
    hint,
  });
}
