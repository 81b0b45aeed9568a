/** What a stream can show: colours, how wide it is, and whether its cursor may be moved. */
import { Chalk, type ChalkInstance, type ColorSupportLevel } from 'chalk';

/** Where the width is unknown (a pipe, a file), tables are made for the classic terminal. */
const DEFAULT_COLUMNS = 80;

export interface Screen {
  readonly paint: ChalkInstance;
  readonly columns: number;
  /** True on a terminal whose lines may be rewritten: spinners and moving progress are welcome. */
  readonly interactive: boolean;
}

/** The part of a stream that decides. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `--no-color` first, then FORCE_COLOR, then NO_COLOR (the order that Node itself follows), then whether it is a terminal.
 * chalk's own detection is not asked: it does not know NO_COLOR, and it colours the pipes of some CI services.
 */
function colorLevel(stream: OutputStream, environment: Environment, wantsColor: boolean): ColorSupportLevel {
  if (!wantsColor) return 0;
  const forced = environment['FORCE_COLOR'];
  if (forced !== undefined) {
    if (forced === '0' || forced === 'false') return 0;
    return forced === '2' ? 2 : forced === '3' ? 3 : 1;
  }
  // https://no-color.org: present and not empty.
  if (environment['NO_COLOR']) return 0;
  if (environment['TERM'] === 'dumb') return 0;
  return stream.isTTY === true ? 1 : 0;
}

/**
 * In CI a terminal may be attached although nobody watches: its log would keep every frame of a spinner. A terminal of no
 * columns (some containers and recorders) has no lines that could be counted and taken back.
 */
function movesCursor(stream: OutputStream, environment: Environment): boolean {
  const inCi = Boolean(environment['CI']) && environment['CI'] !== 'false';
  const hasLines = stream.isTTY === true && stream.columns !== 0;
  return hasLines && environment['TERM'] !== 'dumb' && !inCi;
}

export function screenFor(
  stream: OutputStream,
  environment: Environment,
  options: { readonly color: boolean } = { color: true },
): Screen {
  return {
    paint: new Chalk({ level: colorLevel(stream, environment, options.color) }),
    columns: stream.columns ? stream.columns : DEFAULT_COLUMNS,
    interactive: movesCursor(stream, environment),
  };
}
