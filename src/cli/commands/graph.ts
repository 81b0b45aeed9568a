/** `tracer graph …`: analyses of a graph file. No model is loaded, except to validate it. */
import { Option, type Command } from 'commander';
import type { ExportFormat, ViewFormat } from '../../engine/graph/export.ts';
import type { ThemeName } from '../../picture/theme.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';
import { collect, outputName, wholeNumber } from '../values.ts';
import { addImport } from './graph-import.ts';
import { addPull } from './graph-pull.ts';
import { addQuestions } from './graph-questions.ts';
import { addStudy } from './graph-study.ts';
import { addSuggest } from './graph-suggest.ts';
import { givenThresholds, withThresholds, type ThresholdFlags } from './graph-thresholds.ts';
import { addUpload } from './graph-upload.ts';
import { addValidate } from './graph-validate.ts';

const VIEW_FORMATS = ['graphml', 'dot', 'csv'] as const satisfies readonly ViewFormat[];
const EXPORT_FORMATS = [
  'neuronpedia',
  'svg',
  'html',
  ...VIEW_FORMATS,
] as const satisfies readonly ExportFormat[];
const THEME_NAMES = ['light', 'dark'] as const satisfies readonly ThemeName[];
const DEFAULT_TOP = 20;
const DEFAULT_PATHS = 10;

const HELP = `
Nodes are named by the string of a token or logit (' Austin'), as LAYER:POSITION:FEATURE, or by a viewer's id.

Examples:
  $ tracer graph suggest dallas.safetensors
  $ tracer graph top dallas.safetensors
  $ tracer graph paths dallas.safetensors --from Dallas --to ' Austin' --k 5
  $ tracer graph export dallas.safetensors --format graphml
  $ tracer graph export dallas.safetensors --format html`;

export function addGraph(program: Command, shell: Shell): void {
  const graph = program
    .command('graph')
    .description('ask a graph file: strongest features, paths, scores, differences');
  graph.addHelpText('after', HELP);
  addPrune(graph, shell);
  addScores(graph, shell);
  addTop(graph, shell);
  addSuggest(graph, shell);
  addPaths(graph, shell);
  addDiff(graph, shell);
  addMerge(graph, shell);
  addExport(graph, shell);
  addImport(graph, shell);
  addUpload(graph, shell);
  addPull(graph, shell);
  addValidate(graph, shell);
  addStudy(graph, shell);
  addQuestions(graph, shell);
}

function addPrune(graph: Command, shell: Shell): void {
  const command = withThresholds(graph.command('prune'))
    .description('what pruning keeps')
    .argument('<file>', 'graph file')
    .option('--output <file>', 'write what is kept as a graph file', outputName('--output'));
  command.action((file: string, options: ThresholdFlags & { output?: string }) =>
    perform(shell, command, async () => {
      const [{ pruneFile }, , { pruneView }] = await engineAndViews();
      const result = await pruneFile(file, { ...options, signal: shell.signal });
      return { data: result, view: (screen) => pruneView(result, screen) };
    }),
  );
}

function addScores(graph: Command, shell: Shell): void {
  const command = graph
    .command('scores')
    .description('replacement and completeness score, of the whole graph and of pinned nodes')
    .argument('<files...>', 'graph files')
    .option('--pinned <nodes...>', 'count every other feature as error');
  command.action((files: string[], options: { pinned?: string[] }) =>
    perform(shell, command, async () => {
      const [{ scoreFiles }, , { scoresView }] = await engineAndViews();
      const result = await scoreFiles(files, options.pinned);
      return { data: result, view: (screen) => scoresView(result, screen) };
    }),
  );
}

function addTop(graph: Command, shell: Shell): void {
  const command = graph
    .command('top')
    .description('strongest features by influence')
    .argument('<file>', 'graph file')
    .option('--k <n>', 'how many', wholeNumber('--k', 1), DEFAULT_TOP);
  command.action((file: string, options: { k: number }) =>
    perform(shell, command, async () => {
      const [{ topOfFile }, , { topView }] = await engineAndViews();
      const result = await topOfFile(file, options.k);
      return { data: result, view: (screen) => topView(result, screen) };
    }),
  );
}

function addPaths(graph: Command, shell: Shell): void {
  const command = graph
    .command('paths')
    .description('strongest paths between nodes, by the product of normalised weights')
    .argument('<file>', 'graph file')
    .option('--from <node>', 'where paths start (repeatable; default: all tokens)', collect)
    .option('--to <node>', 'where paths end (repeatable; default: all explained tokens)', collect)
    .option('--k <n>', 'how many', wholeNumber('--k', 1), DEFAULT_PATHS);
  command.action((file: string, options: { from?: string[]; to?: string[]; k: number }) =>
    perform(shell, command, async () => {
      const [{ pathsOfFile }, , { pathsView }] = await engineAndViews();
      const result = await pathsOfFile(file, { from: options.from ?? [], to: options.to ?? [] }, options.k);
      return { data: result, view: (screen) => pathsView(result, screen) };
    }),
  );
}

function addDiff(graph: Command, shell: Shell): void {
  const command = withThresholds(graph.command('diff'))
    .description('features that appeared, vanished or changed from one prompt to another')
    .argument('<before>', 'graph file')
    .argument('<after>', 'graph file')
    .option('--k <n>', 'how many of each kind', wholeNumber('--k', 1));
  command.action((before: string, after: string, options: ThresholdFlags & { k?: number }) =>
    perform(shell, command, async () => {
      const [{ diffFiles }, , { diffView }] = await engineAndViews();
      const result = await diffFiles(before, after, options);
      return { data: result, view: (screen) => diffView(result, screen, options.k) };
    }),
  );
}

function addMerge(graph: Command, shell: Shell): void {
  const command = withThresholds(graph.command('merge'))
    .description('several graphs as one, averaged over prompts')
    .argument('<files...>', 'graph files')
    .option('--output <file>', 'write it', outputName('--output'))
    .addOption(new Option('--format <name>', 'format of --output (default: graphml)').choices(VIEW_FORMATS));
  command.action((files: string[], options: ThresholdFlags & { output?: string; format?: ViewFormat }) =>
    perform(shell, command, async () => {
      const [, { mergeFiles }, { mergeView }] = await engineAndViews();
      const result = await mergeFiles(files, { ...options, signal: shell.signal });
      return { data: result, view: (screen) => mergeView(result, screen) };
    }),
  );
}

function addExport(graph: Command, shell: Shell): void {
  const command = withThresholds(graph.command('export'))
    .description('write the pruned graph for other programs, or as a picture or page')
    .argument('<file>', "graph file; for neuronpedia, svg and html also a viewer's JSON")
    .addOption(new Option('--format <name>', 'format').choices(EXPORT_FORMATS).makeOptionMandatory())
    .option(
      '--output <file>',
      'file to write (default: beside the graph); csv: the nodes go to NAME.nodes.csv',
      outputName('--output'),
    )
    .option('--graph-dir <dir>', 'neuronpedia: folder with graph-metadata.json', outputName('--graph-dir'))
    .option('--slug <name>', 'neuronpedia: name of the graph (default: that of the file)')
    .option('--scan <name>', 'neuronpedia: what feature pages are looked up under')
    .option('--subgraph', 'svg: only the pinned nodes, grouped as they were in the viewer')
    .addOption(new Option('--theme <name>', 'svg: colours (default: light)').choices(THEME_NAMES));
  command.action(
    (
      file: string,
      options: ThresholdFlags & {
        format: ExportFormat;
        output?: string;
        graphDir?: string;
        slug?: string;
        scan?: string;
        subgraph?: true;
        theme?: ThemeName;
      },
    ) =>
      perform(shell, command, async ({ common }) => {
        const [, { exportFile }, { exportView }] = await engineAndViews();
        const { cacheDir } = common;
        const result = await exportFile(file, {
          ...options,
          ...givenThresholds(command, options),
          cacheDir,
          signal: shell.signal,
        });
        return { data: result, view: (screen) => exportView(result, screen) };
      }),
  );
}

function engineAndViews() {
  return Promise.all([
    import('../../engine/graph/graph.ts'),
    import('../../engine/graph/export.ts'),
    import('../../report/graph-view.ts'),
  ]);
}
