/** Engine, `report`: formats and names of the files that are written. */
import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { checkWritable } from '../../formats/atomic.ts';
import { annotationsPath } from '../../graph/annotations.ts';
import { namedCircuitFile } from './circuit.ts';
import { checkTextOutput } from '../graph-output.ts';
import { refuseInputs } from '../refuse-inputs.ts';
import type { ReportFormat, ReportRequest } from './types.ts';

const EXTENSIONS: Readonly<Record<ReportFormat, readonly string[]>> = {
  html: ['.html', '.htm', '.xhtml'],
  markdown: ['.md', '.markdown'],
};
const DEFAULT_FORMAT: ReportFormat = 'html';

/** Throws `UsageError` for an output whose extension says nothing, without a format. */
export function formatOf({ format, output }: Pick<ReportRequest, 'format' | 'output'>): ReportFormat {
  if (format !== undefined) return format;
  if (output === undefined) return DEFAULT_FORMAT;
  const extension = path.extname(output).toLowerCase();
  const found = (Object.keys(EXTENSIONS) as ReportFormat[]).find((one) =>
    EXTENSIONS[one].includes(extension),
  );
  if (found !== undefined) return found;
  throw new UsageError({
    code: 'report_format',
    message: `${output}: the name of a report ends in .html or .md`,
    hint: 'Give --format html or --format markdown, or another name.',
  });
}

export interface OutputFiles {
  readonly page: string;
  /** Of Markdown: the figure. */
  readonly svg: string | null;
}

/** `NAME.report.html` beside the graph, and other names than the viewer's page of `graph export`. */
export function outputFiles(request: ReportRequest, format: ReportFormat): OutputFiles {
  const { dir, name } = path.parse(request.file);
  const page = request.output ?? path.join(dir, `${name}.report${EXTENSIONS[format][0]!}`);
  return { page, svg: format === 'markdown' ? figurePath(page) : null };
}

function figurePath(page: string): string {
  const { dir, name } = path.parse(page);
  return path.join(dir, `${name}.svg`);
}

/**
 * Before the model runs. Throws `UsageError` for an output that would replace what the page is made from, for a page and figure of one
 * name, and what `checkWritable` throws.
 */
export async function checkOutputs({ page, svg }: OutputFiles, request: ReportRequest): Promise<void> {
  if (svg !== null && path.resolve(svg) === path.resolve(page)) {
    throw new UsageError({
      code: 'output_is_figure',
      message: `${page} is also the name of the figure beside the page`,
      hint: 'End the name in .md.',
    });
  }
  const named = namedCircuitFile(request);
  const inputs = [request.file, annotationsPath(request.file), ...(named === null ? [] : [named])];
  const outputs = svg === null ? [page] : [page, svg];
  await refuseInputs(outputs, inputs, 'what the page is made from');
  checkTextOutput(page);
  for (const output of outputs) await checkWritable(output);
}
