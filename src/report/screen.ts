/** Properties of an output stream: colours, width, and whether lines may be rewritten. */
import { Chalk, type ChalkInstance, type ColorSupportLevel } from 'chalk';

/** Width if it is unknown (a pipe, a file). */
const DEFAULT_COLUMNS = 80;

export interface Screen {
  readonly paint: ChalkInstance;
  readonly columns: number;
  /** Whether lines may be rewritten, as spinners do. */
  readonly interactive: boolean;
}

/** The properties of a stream that are read. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `--no-color` first, then FORCE_COLOR, then NO_COLOR (the order that Node itself follows), then whether it is a terminal.
 * chalk's own detection is not used: it does not know NO_COLOR, and it colours the pipes of some CI services.
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
 * In CI a terminal may be attached whose log would keep every frame of a spinner. On a terminal without columns (some containers
 * and recorders) lines cannot be counted and rewritten.
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
