/** Interventions, step 1 of 4: their text form, as flags have it. */
import { UsageError } from '../errors.ts';
import type { Change, Intervention, Positions } from './intervention.ts';

const ADDRESS = /^(\d+):([^:]+):(\d+)$/;
const POSITION = /^-?\d+$/;
const RANGE = /^(-?\d+)\.\.(-?\d+)?$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const SWEEP = /^(.+)\.\.([^/]+)\/(\d+)$/;

/** Layer, positions and feature of a change. */
export type Address = Omit<Intervention, 'change'>;

/** Several changes of the same feature and positions, to be tried one after the other. */
export interface Sweep {
  readonly address: Address;
  readonly changes: readonly Change[];
}

/** `LAYER:POSITION:FEATURE`; the position is a number, `2..` or `2..5`. Throws `UsageError` naming the flag. */
export function parseAddress(flag: string, text: string): Address {
  const parts = ADDRESS.exec(text);
  const pos = parts ? parsePositions(parts[2]!) : undefined;
  if (!parts || pos === undefined) {
    throw badText(flag, 'LAYER:POSITION:FEATURE', text, '20:10:15589, or 20:2..5:15589 for a range');
  }
  return { layer: Number(parts[1]), pos, feature: Number(parts[3]) };
}

/** `LAYER:POSITION:FEATURE=VALUE`, or `=*FACTOR`, `=+AMOUNT` on top of the present activation. */
export function parseIntervention(flag: string, text: string): Intervention {
  const [address, right] = split(flag, text);
  return { ...parseAddress(flag, address), change: parseChange(flag, right) };
}

/** `LAYER:POSITION:FEATURE=FROM..TO/COUNT`: evenly spaced, both ends included; `=*FROM..TO/COUNT` for factors. */
export function parseSweep(flag: string, text: string): Sweep {
  const [address, right] = split(flag, text);
  const sign = /^[*+]/.exec(right)?.[0] ?? '';
  const parts = SWEEP.exec(right.slice(sign.length));
  const [from, to] = [numberOf(parts?.[1]), numberOf(parts?.[2])];
  const count = Number(parts?.[3]);
  if (from === undefined || to === undefined || !(count >= 2)) {
    throw badText(flag, 'a range of two values or more', text, '20:10:15589=-4..4/9');
  }
  const changes = Array.from({ length: count }, (_, i) =>
    changeOf(sign, from + ((to - from) * i) / (count - 1)),
  );
  return { address: parseAddress(flag, address), changes };
}

/** `30.9`, `*-2`, `+5`. */
export function parseChange(flag: string, text: string): Change {
  const sign = /^[*+]/.exec(text)?.[0] ?? '';
  const value = numberOf(text.slice(sign.length));
  if (value === undefined) throw badText(flag, 'a finite number', text, '20:10:15589=30.9, =*-2 or =+5');
  return changeOf(sign, value);
}

function changeOf(sign: string, value: number): Change {
  if (sign === '*') return { kind: 'scale', factor: value };
  return sign === '+' ? { kind: 'add', amount: value } : { kind: 'set', value };
}

function parsePositions(text: string): Positions | undefined {
  if (POSITION.test(text)) return Number(text);
  const range = RANGE.exec(text);
  return range
    ? { start: Number(range[1]), stop: range[2] === undefined ? null : Number(range[2]) }
    : undefined;
}

function numberOf(text: string | undefined): number | undefined {
  const value = text !== undefined && NUMBER.test(text) ? Number(text) : NaN;
  return Number.isFinite(value) ? value : undefined;
}

function split(flag: string, text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 0) throw badText(flag, 'LAYER:POSITION:FEATURE=VALUE', text, '20:10:15589=30.9');
  return [text.slice(0, at), text.slice(at + 1)];
}

function badText(flag: string, expected: string, found: string, example: string): UsageError {
  return new UsageError({
    code: 'bad_intervention',
    message: `${flag}: expected ${expected}, found '${found}'`,
    hint: `Write it as ${example}.`,
  });
}
