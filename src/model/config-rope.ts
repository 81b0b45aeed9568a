/**
 * Model, reading config.json: plain rotary embeddings. They are described by `rope_theta`, by `rope_scaling` (transformers 4)
 * or by `rope_parameters` (transformers 5), the last two with one object for all layers or one for each type of layer.
 */
import { isDeepStrictEqual } from 'node:util';
import { refuseConfig, valueText } from './config-file.ts';
import type { RotaryScaling } from './rope-scaling.ts';

export interface LayerTypes {
  /** All that the family has. */
  readonly known: readonly string[];
  /** Those that layers of this model are of. */
  readonly used: readonly string[];
}

export interface RopeFields {
  readonly rope_theta: number;
  readonly rope_scaling?: unknown;
  readonly rope_parameters?: unknown;
}

/** Keys of an object, and the values under which they leave a plain rotation as it is. */
const PLAIN_VALUES: Readonly<Record<string, readonly unknown[]>> = {
  rope_type: ['default'],
  type: ['default'], // the older spelling
  factor: [1],
  attention_factor: [1],
  partial_rotary_factor: [1],
};
/** Says how a model was trained; a plain rotation does not use it. */
const NOT_USED = 'original_max_position_embeddings';

/**
 * The base of the rotation of all layers. As in transformers 5, `rope_scaling` and `rope_parameters` mean the same, and a
 * base in them wins over `rope_theta`. Throws `BadFileError` for everything that is no plain rotation, and for several bases.
 */
export function plainRotaryBase(name: string, fields: RopeFields, layerTypes: LayerTypes): number {
  const found = (['rope_scaling', 'rope_parameters'] as const).flatMap((key) =>
    basesIn(name, key, fields[key], fields.rope_theta, layerTypes),
  );
  const [first, ...others] = found;
  const other = others.find(({ base }) => base !== first!.base);
  if (other)
    refuseConfig(name, other.key, other.base, `${first!.base} as ${first!.key}: one base for all layers`);
  return first?.base ?? fields.rope_theta;
}

interface NamedBase {
  readonly key: string;
  readonly base: number;
}

/** The bases that an object gives, one for each of its parts that has one. */
function basesIn(
  name: string,
  key: string,
  value: unknown,
  rope_theta: number,
  { known, used }: LayerTypes,
): NamedBase[] {
  if (value === undefined || value === null) return [];
  const part = asObject(name, key, value);
  if (!known.some((type) => Object.hasOwn(part, type))) return plainBase(name, key, part);
  const unknown = Object.keys(part).find((type) => !known.includes(type));
  if (unknown !== undefined)
    refuseConfig(name, `${key}.${unknown}`, part[unknown], 'nothing beside the types of layers');
  return used.flatMap((type): NamedBase[] => {
    const at = `${key}.${type}`;
    const given = Object.hasOwn(part, type) ? plainBase(name, at, asObject(name, at, part[type])) : [];
    return given.length > 0 ? given : [{ key: 'rope_theta', base: rope_theta }];
  });
}

function asObject(name: string, key: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  return refuseConfig(name, key, value, 'an object');
}

function plainBase(name: string, key: string, part: Readonly<Record<string, unknown>>): NamedBase[] {
  for (const [field, value] of Object.entries(part)) {
    if (value === null || field === 'rope_theta' || field === NOT_USED) continue;
    const plain = PLAIN_VALUES[field];
    if (plain?.includes(value)) continue;
    const expected = plain ? JSON.stringify(plain[0]) : 'nothing beside "rope_type" and "rope_theta"';
    refuseConfig(
      name,
      `${key}.${field}`,
      value,
      `${expected}: of rotations, only plain ones are computed (all of ${key}: ${valueText(part)})`,
    );
  }
  const base = ownBase(name, key, part);
  return base === undefined ? [] : [{ key: `${key}.rope_theta`, base }];
}

function ownBase(name: string, key: string, part: Readonly<Record<string, unknown>>): number | undefined {
  const base = part['rope_theta'];
  if (base === undefined || base === null) return undefined;
  if (typeof base !== 'number' || !(base > 0))
    return refuseConfig(name, `${key}.rope_theta`, base, 'a positive number');
  return base;
}

export interface RotaryChoice {
  readonly base: number;
  readonly scaling: RotaryScaling | null;
}

/** Scalings that config.json can name. */
export type NamedScaling = Exclude<RotaryScaling['kind'], 'divisors'>;

/** The keys of a scaling, all of them positive numbers. */
const SCALING_KEYS = {
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
} as const satisfies Readonly<Record<NamedScaling, readonly string[]>>;

/** As `plainRotaryBase`, for families whose rotation may be scaled in one of these ways, the same in all layers. */
export function rotaryChoice(
  name: string,
  fields: RopeFields,
  layerTypes: LayerTypes,
  kinds: readonly NamedScaling[],
): RotaryChoice {
  const given = (['rope_scaling', 'rope_parameters'] as const)
    .filter((key) => fields[key] !== undefined && fields[key] !== null)
    .map((key) => ({ key, part: asObject(name, key, fields[key]) }));
  const scaled = given.flatMap(({ key, part }) => {
    const kind = kinds.find((each) => each === (part['rope_type'] ?? part['type']));
    return kind ? [{ key, part, scaling: readScaling(name, key, kind, part) }] : [];
  });
  const [first] = scaled;
  if (!first) return { base: plainRotaryBase(name, fields, layerTypes), scaling: null };
  const other = given.find(({ part }) => !isDeepStrictEqual(part, first.part));
  if (other) refuseConfig(name, other.key, other.part, `the same as ${first.key}`);
  return { base: ownBase(name, first.key, first.part) ?? fields.rope_theta, scaling: first.scaling };
}

function readScaling(
  name: string,
  key: string,
  kind: NamedScaling,
  part: Readonly<Record<string, unknown>>,
): RotaryScaling {
  const wanted: readonly string[] = SCALING_KEYS[kind];
  for (const [field, value] of Object.entries(part)) {
    const isKnown = wanted.includes(field) || ['rope_type', 'type', 'rope_theta', NOT_USED].includes(field);
    if (!isKnown && value !== null && !PLAIN_VALUES[field]?.includes(value))
      refuseConfig(name, `${key}.${field}`, value, `nothing beside ${wanted.join(', ')} for "${kind}"`);
  }
  for (const field of wanted) {
    const value = part[field];
    if (typeof value !== 'number' || !(value > 0))
      refuseConfig(name, `${key}.${field}`, value, 'a positive number');
  }
  const { low_freq_factor: low, high_freq_factor: high } = part;
  if (kind === 'llama3' && (low as number) >= (high as number))
    refuseConfig(name, `${key}.high_freq_factor`, high, `more than low_freq_factor = ${String(low)}`);
  return {
    kind,
    ...Object.fromEntries(wanted.map((field) => [field, part[field]])),
  } as unknown as RotaryScaling;
}
