/** `tracer report FILE`: a page about one graph, to be read or put into a paper. Runs the model where it is at hand. */
import { Option, type Command } from 'commander';
import { REPORT_FORMATS, type ReportFormat, type ReportRequest } from '../../engine/report/types.ts';
import { UsageError } from '../../errors.ts';
import { FEWEST_BOXES, SUGGEST_DEFAULTS } from '../../suggest/limits.ts';
import { perform, type Answer } from '../perform.ts';
import { sharedFlags } from '../shared-options.ts';
import type { Shell } from '../shell.ts';
import { STANDARD_INPUT, withStandardInput } from '../standard-input.ts';
import { typed } from '../typed.ts';
import { outputName, wholeNumber } from '../values.ts';
import { givenThresholds, withThresholds, type ThresholdFlags } from './graph-thresholds.ts';

const STANDARD_OUTPUT = '-';
const NO_FIGURE = {
  kind: 'note',
  message: 'Markdown on standard output is without the figure: --output NAME.md writes it beside the page',
} as const;

interface ReportFlags extends ThresholdFlags {
  readonly output?: string;
  readonly format?: ReportFormat;
  readonly circuit?: string;
  readonly maxBoxes?: number;
  readonly measure: boolean;
  readonly title?: string;
  readonly features?: string;
}

const HELP = `
Question, answer, circuit, its supernodes with labels and examples, what switching each off does (predicted and measured), scores, provenance.
The model is the one that the graph names, if it is on this machine; --model and --transcoders name another, which may be fetched.

Examples:
  $ tracer report dallas.safetensors
  $ tracer report dallas.safetensors --output dallas.md --circuit suggested --max-boxes 8
  $ tracer report dallas.safetensors --no-measure --output - > dallas.html`;

export function addReport(program: Command, shell: Shell): void {
  const command = withThresholds(program.command('report'))
    .description('a page about a graph for a paper: circuit, supernodes, effects, scores, provenance')
    .argument('<file>', "graph file, or a viewer's JSON; '-' for standard input")
    .option(
      '--output <file>',
      "page to write (default: NAME.report.html beside the graph); '-' for standard output",
      (text: string) => (text === STANDARD_OUTPUT ? text : outputName('--output')(text)),
    )
    .addOption(
      new Option(
        '--format <name>',
        'format of the page (default: by the name of --output, else html)',
      ).choices(REPORT_FORMATS),
    )
    .option(
      '--circuit <name>',
      'suggested, annotated, or a file with pins and supernodes (default: annotated if anything is)',
    )
    .option(
      '--max-boxes <n>',
      `boxes of a suggested circuit at most (default: ${SUGGEST_DEFAULTS.maxBoxes})`,
      wholeNumber('--max-boxes', FEWEST_BOXES),
    )
    .option('--no-measure', 'do not run the model')
    .option('--title <text>', 'title of the page (default: the prompt)')
    .option('--features <dir>', 'folder with pages of features')
    .addHelpText('after', HELP);
  command.action((file: string, options: ReportFlags) =>
    perform(shell, command, async ({ common, settings }) => {
      const { measure, ...flags } = options;
      const request: ReportRequest = {
        ...common,
        ...flags,
        ...givenThresholds(command, options),
        // The model that the graph names takes precedence over settings.
        model: typed(settings.model),
        transcoders: typed(settings.transcoders),
        file,
        ...(!measure && { measure }),
      };
      if (sharedFlags(command).json && outputOf(request) === STANDARD_OUTPUT) throw twoOutputs();
      if (file !== STANDARD_INPUT) return await made(request);
      return await withStandardInput(shell.host.stdin, shell.signal, nameOf, (path) =>
        made({ ...request, file: path, fileName: 'standard input', output: outputOf(request) }),
      );
    }),
  );
}

/** What comes from standard input goes to standard output, unless a file is named. */
function outputOf({ file, output }: ReportRequest): string | undefined {
  return output ?? (file === STANDARD_INPUT ? STANDARD_OUTPUT : undefined);
}

async function made(request: ReportRequest): Promise<Answer> {
  const { composeReport, pageText, report } = await import('../../engine/report/report.ts');
  if (request.output === STANDARD_OUTPUT) {
    const composed = await composeReport({ ...request, output: undefined });
    if (composed.format === 'markdown') request.onProgress?.(NO_FIGURE);
    const text = pageText(composed, null).trimEnd();
    return { data: {}, view: () => text };
  }
  const { reportView } = await import('../../report/report-view.ts');
  const result = await report(request);
  return { data: result, view: (screen) => reportView(result, screen) };
}

/** A safetensors file has the length of its header in 8 bytes, and then JSON. */
function nameOf(start: Buffer): string {
  const isSafetensors = start.length > 8 && start.readUInt32LE(4) === 0 && start[8] === '{'.charCodeAt(0);
  return isSafetensors ? 'standard-input.safetensors' : 'standard-input.json';
}

function twoOutputs(): UsageError {
  return new UsageError({
    code: 'two_outputs',
    message: '--json prints its document on standard output, where the page would go',
    hint: 'Give --output FILE, or leave --json out.',
  });
}
