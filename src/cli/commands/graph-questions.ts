/** `tracer graph common`, `contrast`, `cluster` and `circuit`: questions about a study. No model is loaded. */
import { Option, type Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { STUDY_DEFAULTS, type ContrastRequest } from '../../engine/study/types.ts';
import type { Alignment } from '../../study/aligned.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { outputName, probability, wholeNumber } from '../values.ts';

interface QuestionOptions {
  readonly where?: string;
  readonly k: number;
  readonly svg?: string;
  readonly by?: string;
}

const CONTRAST_HELP = `
A and B are values of the column --by; --where-a and --where-b take conditions instead.
p-values are those of a permutation test; adjusted ones hold for all features and links together.

Examples:
  $ tracer graph contrast study South West
  $ tracer graph contrast study capital state --by task --where "meta_template < 2"
  $ tracer graph contrast study --where-a "n_tokens < 10" --where-b "n_tokens >= 10"`;

export function addQuestions(graph: Command, shell: Shell): void {
  addCommon(graph, shell);
  addContrast(graph, shell);
  addCluster(graph, shell);
  addCircuit(graph, shell);
}

/** The options that all questions have. */
export function withSelection(command: Command): Command {
  return command
    .option('--where <sql>', 'only graphs that fulfil this condition on the columns of the table graphs')
    .option('--k <n>', 'features, and links, that are listed', wholeNumber('--k', 1), STUDY_DEFAULTS.top)
    .option('--svg <file>', 'picture to write');
}

/** As the verbs have them. */
function selectionOf({ k, ...options }: QuestionOptions, study: string, shell: Shell) {
  return { ...options, study, top: k, signal: shell.signal };
}

function addCommon(graph: Command, shell: Shell): void {
  const command = withSelection(graph.command('common'))
    .description('features and links that recur in the graphs of a study')
    .argument('<study>', 'folder that `graph collect` wrote')
    .option('--by <column>', 'group by this column of the list of prompts');
  command.action((study: string, options: QuestionOptions) =>
    perform(shell, command, async ({ common: { cacheDir } }) => {
      const [{ common }, { commonView }] = await Promise.all([
        import('../../engine/study/common.ts'),
        import('../../report/questions-view.ts'),
      ]);
      const result = await common({ ...selectionOf(options, study, shell), cacheDir });
      return { data: result, view: (screen) => commonView(result, screen) };
    }),
  );
}

interface ContrastOptions extends QuestionOptions {
  readonly whereA?: string;
  readonly whereB?: string;
  readonly permutations: number;
  readonly seed: number;
}

function addContrast(graph: Command, shell: Shell): void {
  const command = withSelection(graph.command('contrast'))
    .description('what differs between two groups of graphs')
    .argument('<study>', 'folder that `graph collect` wrote')
    .argument('[a]', 'value of --by')
    .argument('[b]', 'value of --by')
    .option('--by <column>', 'column of the list of prompts (default: group)')
    .option('--where-a <sql>', 'the first group by a condition')
    .option('--where-b <sql>', 'the second group by a condition')
    .option(
      '--permutations <n>',
      'random divisions of the graphs',
      wholeNumber('--permutations', 1),
      STUDY_DEFAULTS.permutations,
    )
    .option('--seed <n>', 'of the divisions', wholeNumber('--seed', 0), STUDY_DEFAULTS.seed)
    .addHelpText('after', CONTRAST_HELP);
  command.action((study: string, a: string | undefined, b: string | undefined, options: ContrastOptions) =>
    perform(shell, command, async ({ common: { cacheDir } }) => {
      const groups = groupsOf(a, b, options);
      const [{ contrast }, { contrastView }] = await Promise.all([
        import('../../engine/study/contrast.ts'),
        import('../../report/questions-view.ts'),
      ]);
      const { permutations, seed } = options;
      const result = await contrast({
        ...selectionOf(options, study, shell),
        ...{ groups, permutations, seed, cacheDir },
      });
      return { data: result, view: (screen) => contrastView(result, screen) };
    }),
  );
}

function groupsOf(
  a: string | undefined,
  b: string | undefined,
  { by, whereA, whereB }: ContrastOptions,
): ContrastRequest['groups'] {
  const hasConditions = whereA !== undefined || whereB !== undefined;
  if (a !== undefined && b !== undefined && !hasConditions) return { a, b, by };
  if (whereA !== undefined && whereB !== undefined && a === undefined && by === undefined) {
    return { whereA, whereB };
  }
  throw new UsageError({
    code: 'two_groups',
    message: 'contrast compares two groups: two values of one column, or two conditions',
    hint: 'Give A and B with --by COLUMN, or --where-a and --where-b.',
  });
}

interface ClusterOptions extends QuestionOptions {
  readonly clusters?: number;
  readonly seed: number;
}

function addCluster(graph: Command, shell: Shell): void {
  const command = withSelection(graph.command('cluster'))
    .description('prompts by what their graphs share')
    .argument('<study>', 'folder that `graph collect` wrote')
    .option('--by <column>', 'count the values of this column in each cluster')
    .option(
      '--clusters <n>',
      'how many (default: from 2 to 10, by the silhouette)',
      wholeNumber('--clusters', 2),
    )
    .option(
      '--seed <n>',
      `chooses ${STUDY_DEFAULTS.mostClustered} graphs where there are more`,
      wholeNumber('--seed', 0),
      STUDY_DEFAULTS.seed,
    );
  command.action((study: string, options: ClusterOptions) =>
    perform(shell, command, async ({ common: { cacheDir } }) => {
      const [{ cluster }, { clusterView }] = await Promise.all([
        import('../../engine/study/cluster.ts'),
        import('../../report/questions-view.ts'),
      ]);
      const { clusters, seed } = options;
      const result = await cluster({ ...selectionOf(options, study, shell), clusters, seed, cacheDir });
      return { data: result, view: (screen) => clusterView(result, screen) };
    }),
  );
}

interface CircuitOptions extends QuestionOptions {
  readonly group?: string;
  readonly share: number;
  readonly align: Alignment;
  readonly output?: string;
  readonly holdout?: number;
  readonly seed: number;
}

const CIRCUIT_HELP = `
The graph file has the features, errors and links that are at the same place in at least --share of the graphs.
With --holdout it is found in a part of the graphs and tried on the others.

Example:
  $ tracer graph circuit study --group South --holdout 0.5 --output south.safetensors`;

const ALIGNMENTS = ['end', 'start'] as const satisfies readonly Alignment[];

function addCircuit(graph: Command, shell: Shell): void {
  const command = withSelection(graph.command('circuit'))
    .description('the graph of what the graphs of a group have in common')
    .argument('<study>', 'folder that `graph collect` wrote')
    .option('--group <value>', 'only graphs with this value of --by')
    .option('--by <column>', 'column of the list of prompts (default: group)')
    .option(
      '--share <p>',
      'of the graphs, that have to have it',
      probability('--share'),
      STUDY_DEFAULTS.share,
    )
    .addOption(
      new Option('--align <end>', 'where positions are counted from')
        .choices(ALIGNMENTS)
        .default(STUDY_DEFAULTS.align),
    )
    .option('--output <file>', 'graph file to write', outputName('--output'))
    .option('--holdout <p>', 'share of the graphs that it is tried on', probability('--holdout'))
    .option(
      '--seed <n>',
      'chooses these, and draws for the interval',
      wholeNumber('--seed', 0),
      STUDY_DEFAULTS.seed,
    )
    .addHelpText('after', CIRCUIT_HELP);
  command.action((study: string, options: CircuitOptions) =>
    perform(shell, command, async ({ common: { cacheDir } }) => {
      const [{ circuit }, { circuitView }] = await Promise.all([
        import('../../engine/study/circuit.ts'),
        import('../../report/questions-view.ts'),
      ]);
      const { group, share, align, output, holdout, seed } = options;
      const result = await circuit({
        ...selectionOf(options, study, shell),
        ...{ group, share, align, output, holdout, seed, cacheDir },
      });
      return { data: result, view: (screen) => circuitView(result, screen) };
    }),
  );
}
