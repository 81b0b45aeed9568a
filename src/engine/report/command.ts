/** Engine, `report`: the command that makes the page again, for its provenance. */
import path from 'node:path';
import type { ReportRequest } from './types.ts';

/** Words that a shell takes as they are. */
const PLAIN = /^[\w./:@%+=,-]+$/;

/** Files are named without their folders, which are nobody's business; the output has no effect on the page. */
export function commandOf(request: ReportRequest, file: string): string {
  const {
    format,
    circuit,
    maxBoxes,
    nodeThreshold,
    edgeThreshold,
    measure,
    title,
    model,
    transcoders,
    features,
  } = request;
  const isName = circuit === 'suggested' || circuit === 'annotated';
  const flags: [flag: string, value: string | number | undefined][] = [
    ['--format', format],
    ['--circuit', circuit === undefined || isName ? circuit : path.basename(circuit)],
    ['--max-boxes', maxBoxes],
    ['--node-threshold', nodeThreshold],
    ['--edge-threshold', edgeThreshold],
    ['--title', title],
    ['--model', model],
    ['--transcoders', transcoders],
    ['--features', features === undefined ? undefined : path.basename(features)],
  ];
  const words = flags.flatMap(([flag, value]) => (value === undefined ? [] : [flag, quoted(String(value))]));
  return ['tracer report', quoted(file), ...words, ...(measure === false ? ['--no-measure'] : [])].join(' ');
}

function quoted(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
