/** Attribution, checked: edges against what the frozen model does when a source writes, rows against what they have to sum to. */
import type { Arithmetic } from '../backend/backend.ts';
import { Random } from '../random.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { Attribution } from './attribute.ts';
import { Check, share } from './measure.ts';

/**
 * Errors are shares: of the largest edge into the same target, and of all that a row sums. Above the rounding of a pass in
 * that arithmetic, and far below what a wrong factor or a wrong layer makes.
 */
export const VERIFY_TOLERANCE: Readonly<Record<Arithmetic, number>> = { float32: 1e-4, bfloat16: 0.05 };

/** The same edges are checked every time, so that a failure can be looked at again. */
const SEED = 1;

export interface Verification {
  readonly n_edges: number;
  readonly worst_edge_error: number;
  readonly median_edge_error: number;
  /** All rows: features and logits. */
  readonly n_rows: number;
  readonly worst_row_error: number;
  readonly median_row_error: number;
  readonly tolerance: number;
  readonly ok: boolean;
  /** The edge of the largest error; node indices. */
  readonly worst_edge: EdgeCheck | null;
}

export interface EdgeCheck {
  readonly target: number;
  readonly source: number;
  readonly edge: number;
  /** Change at the target when the source writes in the frozen model. */
  readonly measured: number;
}

export interface VerifyOptions {
  readonly n_edges: number;
  readonly arithmetic: Arithmetic;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, wanted: number) => void;
}

/**
 * Checks `n_edges` random edges of an attribution, one pass each, and the sums of all rows: a row sums to what the target
 * reads (without its bias), less what comes from decoder biases, from MLPs at positions that are left out, and from features
 * that are left out.
 */
export async function verifyAttribution(
  replacement: ReplacementModel,
  attribution: Attribution,
  options: VerifyOptions,
): Promise<Verification> {
  using check = await Check.of(replacement, attribution, options.signal);
  const rowErrors = await check.rowErrors();
  const random = new Random(SEED);
  const edgeErrors: number[] = [];
  let worst: EdgeCheck | null = null;
  for (let i = 0; i < options.n_edges; i++) {
    const row = random.below(check.n_rows);
    const sources = check.sourcesOf(row);
    const source = random.pick(sources);
    const edge = check.edge(row, source);
    const measured = await check.measure(row, source);
    const error = share(Math.abs(measured - edge), check.largestOf(row));
    if (!(error <= worstOf(edgeErrors)) || worst === null) {
      worst = { target: check.nodeOfRow(row), source, edge, measured };
    }
    edgeErrors.push(error);
    options.onProgress?.(i + 1, options.n_edges);
  }
  const tolerance = VERIFY_TOLERANCE[options.arithmetic];
  return {
    n_edges: edgeErrors.length,
    worst_edge_error: worstOf(edgeErrors),
    median_edge_error: medianOf(edgeErrors),
    n_rows: rowErrors.length,
    worst_row_error: worstOf(rowErrors),
    median_row_error: medianOf(rowErrors),
    tolerance,
    ok: [...edgeErrors, ...rowErrors].every((error) => error <= tolerance),
    worst_edge: worst,
  };
}

function worstOf(errors: readonly number[]): number {
  return errors.reduce((worst, error) => (error <= worst ? worst : error), 0);
}

function medianOf(errors: readonly number[]): number {
  const sorted = Float64Array.from(errors).sort();
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
