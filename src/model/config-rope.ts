/**
 * Model, reading config.json: plain rotary embeddings. They are described by `rope_theta`, by `rope_scaling` (transformers 4)
 * or by `rope_parameters` (transformers 5), the last two with one object for all layers or one for each type of layer.
 */
import { refuseConfig, valueText } from './config-file.ts';

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
  /** The type of layers whose part of the file's `rope_parameters` is given. */
  readonly within?: string;
}

/** What messages call a key. */
export function ropeKey({ within }: RopeFields, key: 'rope_scaling' | 'rope_parameters'): string {
  return within !== undefined && key === 'rope_parameters' ? `${key}.${within}` : key;
}

/** Keys of an object, and the values under which they leave a plain rotation as it is. */
export const PLAIN_VALUES: Readonly<Record<string, readonly unknown[]>> = {
  rope_type: ['default'],
  type: ['default'], // the older spelling
  factor: [1],
  attention_factor: [1],
  partial_rotary_factor: [1],
};
/** Says how a model was trained; a plain rotation does not use it. */
export const NOT_USED = 'original_max_position_embeddings';

/**
 * The base of the rotation of all layers. As in transformers 5, `rope_scaling` and `rope_parameters` mean the same, and a
 * base in them wins over `rope_theta`. Throws `BadFileError` for everything that is no plain rotation, and for several bases.
 */
export function plainRotaryBase(name: string, fields: RopeFields, layerTypes: LayerTypes): number {
  const found = (['rope_scaling', 'rope_parameters'] as const).flatMap((key) =>
    basesIn(name, ropeKey(fields, key), fields[key], fields.rope_theta, layerTypes),
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

export function asObject(name: string, key: string, value: unknown): Readonly<Record<string, unknown>> {
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

export function ownBase(
  name: string,
  key: string,
  part: Readonly<Record<string, unknown>>,
): number | undefined {
  const base = part['rope_theta'];
  if (base === undefined || base === null) return undefined;
  if (typeof base !== 'number' || !(base > 0))
    return refuseConfig(name, `${key}.rope_theta`, base, 'a positive number');
  return base;
}
