/** `tracer graph collect`, `query`, and the questions about a study. No model is loaded. */
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { ATTRIBUTE_DEFAULTS } from '../../engine/attribute/types.ts';
import { perform } from '../perform.ts';
import { sharedFlags } from '../shared-options.ts';
import type { Shell } from '../shell.ts';
import { outputName, probability } from '../values.ts';

const COLLECT_HELP = `
Examples:
  $ tracer attribute --prompts list.jsonl --output graphs --store nodes
  $ tracer graph collect graphs --output study
  $ tracer graph query study "SELECT slug, replacement FROM graphs ORDER BY replacement LIMIT 5"`;

const QUERY_HELP = `
Tables: graphs, nodes, edges, features. "DESCRIBE graphs" lists the columns of one.

Example:
  $ tracer graph query study "SELECT meta_group, avg(replacement) FROM graphs GROUP BY ALL"`;

export function addStudy(graph: Command, shell: Shell): void {
  addCollect(graph, shell);
  addQuery(graph, shell);
}

interface CollectOptions {
  readonly output: string;
  readonly skipDamaged?: true;
  readonly nodeThreshold?: number;
  readonly edgeThreshold?: number;
}

function addCollect(graph: Command, shell: Shell): void {
  const { nodeThreshold, edgeThreshold } = ATTRIBUTE_DEFAULTS;
  const command = graph
    .command('collect')
    .description('the graphs of `attribute --prompts` as tables in Parquet')
    .argument('<folders...>', 'folders that `attribute --prompts` wrote to')
    .requiredOption('--output <study>', 'folder to write', outputName('--output'))
    .option('--skip-damaged', 'leave out graphs that are missing or damaged')
    .option(
      '--node-threshold <p>',
      `share of influence kept (default: ${nodeThreshold})`,
      probability('--node-threshold'),
    )
    .option(
      '--edge-threshold <p>',
      `share of edge scores kept (default: ${edgeThreshold})`,
      probability('--edge-threshold'),
    )
    .addHelpText('after', COLLECT_HELP);
  command.action((folders: string[], options: CollectOptions) =>
    perform(shell, command, async ({ report }) => {
      const [{ collect }, { collectView }] = await Promise.all([
        import('../../engine/study/collect.ts'),
        import('../../report/study-view.ts'),
      ]);
      const result = await collect({ folders, ...options, signal: shell.signal, onProgress: report });
      return { data: result, view: (screen) => collectView(result, screen) };
    }),
  );
}

function addQuery(graph: Command, shell: Shell): void {
  const command = graph
    .command('query')
    .description('SQL over the tables of a study')
    .argument('<study>', 'folder that `graph collect` wrote')
    .argument('<sql>', 'one SELECT')
    .option('--csv', 'all rows as CSV (RFC 4180)')
    .addHelpText('after', QUERY_HELP);
  command.action((study: string, sql: string, options: { csv?: true }) =>
    perform(shell, command, async () => {
      if (options.csv && sharedFlags(command).json) throw twoFormats();
      const [{ query }, { queryCsv, queryView }] = await Promise.all([
        import('../../engine/study/query.ts'),
        import('../../report/study-view.ts'),
      ]);
      const result = await query({ study, sql, signal: shell.signal });
      return {
        data: result,
        view: (screen) => (options.csv ? queryCsv(result) : queryView(result, screen)),
      };
    }),
  );
}

function twoFormats(): UsageError {
  return new UsageError({
    code: 'two_formats',
    message: '--csv and --json are two formats of one output',
    hint: 'Give one of them.',
  });
}
