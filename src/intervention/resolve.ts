/** Interventions, step 2 of 4: checked against a model and a prompt; every later step trusts them. */
import { UsageError } from '../errors.ts';
import { addressText, type Change, type Intervention } from './intervention.ts';

/** Sizes that interventions are checked against. */
export interface Extent {
  /** Features of each layer of the model, [n_layers]; 0 where there is no transcoder. */
  readonly featureCounts: readonly number[];
  /** Tokens of the prompt. */
  readonly n_pos: number;
  /** Positions that an open range may begin at besides the prompt's: those of tokens still to be generated. */
  readonly n_generated?: number;
}

/** An intervention at absolute positions [start, stop); `stop` is Infinity for an open range. */
export interface ResolvedIntervention {
  readonly layer: number;
  readonly feature: number;
  readonly start: number;
  readonly stop: number;
  readonly change: Change;
}

/** Throws `UsageError` that names the intervention and the valid range of what is outside it. */
export function resolveInterventions(
  interventions: readonly Intervention[],
  extent: Extent,
): ResolvedIntervention[] {
  return interventions.map((intervention) => {
    const { layer, feature, change } = intervention;
    const { featureCounts } = extent;
    checkIndex(intervention, 'layer', layer, featureCounts.length, 'the model');
    if (featureCounts[layer] === 0) throw noTranscoder(intervention);
    checkIndex(intervention, 'feature', feature, featureCounts[layer]!, `layer ${layer}`);
    checkChange(intervention);
    return { layer, feature, ...absolute(intervention, extent), change };
  });
}

/** Interventions that a later one overrides in part. */
export function overruled(resolved: readonly ResolvedIntervention[]): ResolvedIntervention[] {
  const later = new Map<string, ResolvedIntervention[]>();
  const lost: ResolvedIntervention[] = [];
  for (const one of resolved.toReversed()) {
    const key = `${one.layer}:${one.feature}`;
    const others = later.get(key) ?? [];
    if (others.some(({ start, stop }) => start < one.stop && one.start < stop)) lost.push(one);
    others.push(one);
    later.set(key, others);
  }
  return lost.reverse();
}

function checkIndex(
  intervention: Intervention,
  name: 'layer' | 'feature',
  index: number,
  count: number,
  where: string,
): void {
  if (Number.isInteger(index) && index >= 0 && index < count) return;
  throw new UsageError({
    code: `${name}_out_of_range`,
    message: `intervention ${addressText(intervention)}: ${name} ${index} does not exist; ${where} has ${count} ${name}s`,
    hint: `Give a ${name} from 0 to ${count - 1}.`,
  });
}

function noTranscoder(intervention: Intervention): UsageError {
  return new UsageError({
    code: 'layer_out_of_range',
    message: `intervention ${addressText(intervention)}: the set has no transcoder for layer ${intervention.layer}, so no features`,
    hint: 'Name a feature of another layer, or a set that has this one.',
  });
}

function checkChange(intervention: Intervention): void {
  const { change } = intervention;
  const number =
    change.kind === 'set' ? change.value : change.kind === 'scale' ? change.factor : change.amount;
  // What float32 cannot hold would arrive as infinite.
  if (Number.isFinite(Math.fround(number))) return;
  throw new UsageError({
    code: 'bad_intervention',
    message: `intervention ${addressText(intervention)}: ${number} is not a finite number`,
    hint: 'Give a finite number that float32 can hold.',
  });
}

function absolute(intervention: Intervention, extent: Extent): { start: number; stop: number } {
  const { pos } = intervention;
  const { n_pos } = extent;
  const fromStart = (position: number): number => (position < 0 ? n_pos + position : position);
  if (typeof pos === 'number') {
    const start = fromStart(pos);
    if (!Number.isInteger(start) || start < 0 || start >= n_pos) throw badPosition(intervention, pos, n_pos);
    return { start, stop: start + 1 };
  }
  const start = fromStart(pos.start);
  const last = pos.stop === null ? n_pos + (extent.n_generated ?? 0) : n_pos;
  if (!Number.isInteger(start) || start < 0 || start >= last)
    throw badPosition(intervention, pos.start, n_pos);
  if (pos.stop === null) return { start, stop: Infinity };
  const stop = fromStart(pos.stop);
  if (!Number.isInteger(stop) || stop > n_pos) throw badPosition(intervention, pos.stop, n_pos);
  if (stop <= start) {
    throw new UsageError({
      code: 'position_out_of_range',
      message: `intervention ${addressText(intervention)}: the range is empty`,
      hint: 'The end of a range is excluded: 2..5 is 2, 3 and 4.',
    });
  }
  return { start, stop };
}

function badPosition(intervention: Intervention, position: number, n_pos: number): UsageError {
  return new UsageError({
    code: 'position_out_of_range',
    message: `intervention ${addressText(intervention)}: position ${position} does not exist; the prompt has ${n_pos} tokens`,
    hint: `Give a position from 0 to ${n_pos - 1}, or from -${n_pos} to -1 counted from the end.`,
  });
}
