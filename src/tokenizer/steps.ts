/** Tokenizer, schemas that several parts of `tokenizer.json` share: a part is one step or a `Sequence` of steps. */
import * as v from 'valibot';
import { jsonObject } from '../formats/json-object.ts';
import type { Schema } from '../formats/parsed-text.ts';

export const NonEmptyText = v.pipe(v.string(), v.minLength(1));

export const OneCharacter = v.pipe(
  v.string(),
  v.check((text) => [...text].length === 1, 'expected one character'),
);
/** Above any nesting that a library writes. */
const DEEPEST_SEQUENCE = 8;

/** A part of the file as the list of its steps: one step, or a `Sequence` that has them under `field`, in any nesting. */
export function steps<Step>(field: string, step: Schema<Step>, depth = 0): Schema<Step[]> {
  const one = v.pipe(
    step,
    v.transform((found) => [found]),
  );
  const sequence = (): Schema<Step[]> =>
    v.pipe(
      jsonObject({ [field]: v.array(steps(field, step, depth + 1)) }),
      v.transform((found) => found[field]!.flat()),
    );
  return v.lazy((input) => (hasType(input, 'Sequence') && depth < DEEPEST_SEQUENCE ? sequence() : one));
}

/** As `steps`; none where the part is absent or null. */
export function stepsIfAny<Step>(field: string, step: Schema<Step>): Schema<Step[]> {
  return v.pipe(
    v.nullish(steps(field, step), null),
    v.transform((found) => found ?? []),
  );
}

export function hasType(step: unknown, type: string): boolean {
  return hasField(step, 'type') && step.type === type;
}

export function hasField<Name extends string>(value: unknown, name: Name): value is Record<Name, unknown> {
  return typeof value === 'object' && value !== null && name in value;
}
