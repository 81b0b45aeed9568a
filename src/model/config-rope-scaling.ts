/** Model, reading config.json: rotary embeddings that may be scaled, the same in all layers. */
import { isDeepStrictEqual } from 'node:util';
import { refuseConfig } from './config-file.ts';
import {
  asObject,
  NOT_USED,
  ownBase,
  PLAIN_VALUES,
  plainRotaryBase,
  ropeKey,
  type LayerTypes,
  type RopeFields,
} from './config-rope.ts';
import type { RotaryScaling } from './rope-scaling.ts';

export interface RotaryChoice {
  readonly base: number;
  readonly scaling: RotaryScaling | null;
}

/** Scalings that config.json can name. */
type Kind = Exclude<RotaryScaling['kind'], 'divisors'>;
type Part = Readonly<Record<string, unknown>>;

export interface ScaledRopeFields extends RopeFields {
  /** The length of training where a scaling does not say it. */
  readonly max_position_embeddings: number;
}

/** As `plainRotaryBase`, for families whose rotation may be scaled in one of these ways. */
export function rotaryChoice(
  name: string,
  fields: ScaledRopeFields,
  layerTypes: LayerTypes,
  kinds: readonly Kind[],
): RotaryChoice {
  const given = (['rope_scaling', 'rope_parameters'] as const)
    .filter((key) => fields[key] !== undefined && fields[key] !== null)
    .map((key) => ({ key: ropeKey(fields, key), part: asObject(name, key, fields[key]) }));
  const scaled = given.flatMap(({ key, part }) => {
    const kind = kinds.find((each) => each === (part['rope_type'] ?? part['type']));
    return kind ? [{ key, part, scaling: SCALINGS[kind](new ScalingKeys(name, key, part), fields) }] : [];
  });
  const [first] = scaled;
  if (!first) return { base: plainRotaryBase(name, fields, layerTypes), scaling: null };
  const other = given.find(({ part }) => !isDeepStrictEqual(part, first.part));
  if (other) refuseConfig(name, other.key, other.part, `the same as ${first.key}`);
  const base = ownBase(name, first.key, first.part) ?? fields.rope_theta;
  // All pairs turn equally often then, and the range of those that are scaled has no bounds.
  if (first.scaling.kind === 'yarn' && base === 1)
    refuseConfig(name, 'rope_theta', base, 'another base for "yarn"');
  return { base, scaling: first.scaling };
}

const SCALINGS: Readonly<Record<Kind, (keys: ScalingKeys, fields: ScaledRopeFields) => RotaryScaling>> = {
  linear(keys) {
    keys.checkKnown('linear', ['factor']);
    return { kind: 'linear', factor: keys.positive('factor') };
  },
  llama3(keys) {
    const names = ['factor', 'low_freq_factor', 'high_freq_factor', NOT_USED] as const;
    keys.checkKnown('llama3', names);
    const [factor, low, high, length] = names.map((key) => keys.positive(key)) as [
      number,
      number,
      number,
      number,
    ];
    if (low >= high) keys.refuse('high_freq_factor', `more than low_freq_factor = ${low}`);
    return {
      kind: 'llama3',
      factor,
      low_freq_factor: low,
      high_freq_factor: high,
      original_max_position_embeddings: length,
    };
  },
  yarn(keys, { max_position_embeddings }) {
    keys.checkKnown('yarn', [
      'factor',
      NOT_USED,
      'beta_fast',
      'beta_slow',
      'truncate',
      'attention_factor',
      'mscale',
      'mscale_all_dim',
    ]);
    const factor = keys.positive('factor');
    const beta_slow = keys.positive('beta_slow', DEFAULT_BETA_SLOW);
    const beta_fast = keys.positive('beta_fast', DEFAULT_BETA_FAST);
    if (beta_fast < beta_slow) keys.refuse('beta_fast', `at least beta_slow = ${beta_slow}`);
    return {
      kind: 'yarn',
      factor,
      original_max_position_embeddings: keys.positive(NOT_USED, max_position_embeddings),
      beta_fast,
      beta_slow,
      truncate: keys.flag('truncate', true),
      attention_factor: keys.positive('attention_factor', yarnAttention(keys, factor)),
    };
  },
};

/** As in transformers. */
const DEFAULT_BETA_FAST = 32;
const DEFAULT_BETA_SLOW = 1;

/** The factor of cos and sin that the paper on YaRN gives; DeepSeek's two keys change it when both are there. */
function yarnAttention(keys: ScalingKeys, factor: number): number {
  const of = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  if (!keys.has('mscale') || !keys.has('mscale_all_dim')) return of(1);
  return of(keys.positive('mscale')) / of(keys.positive('mscale_all_dim'));
}

/** The keys of a scaling, checked one by one. */
class ScalingKeys {
  private readonly name: string;
  private readonly key: string;
  private readonly part: Part;

  constructor(name: string, key: string, part: Part) {
    this.name = name;
    this.key = key;
    this.part = part;
  }

  has(field: string): boolean {
    return this.part[field] !== undefined && this.part[field] !== null;
  }

  positive(field: string, otherwise?: number): number {
    if (otherwise !== undefined && !this.has(field)) return otherwise;
    const value = this.part[field];
    return typeof value === 'number' && value > 0 ? value : this.refuse(field, 'a positive number');
  }

  flag(field: string, otherwise: boolean): boolean {
    const value = this.has(field) ? this.part[field] : otherwise;
    return typeof value === 'boolean' ? value : this.refuse(field, 'true or false');
  }

  checkKnown(kind: Kind, wanted: readonly string[]): void {
    const known = [...wanted, 'rope_type', 'type', 'rope_theta', NOT_USED];
    for (const [field, value] of Object.entries(this.part)) {
      if (!known.includes(field) && value !== null && !PLAIN_VALUES[field]?.includes(value))
        this.refuse(field, `nothing beside ${wanted.join(', ')} for "${kind}"`);
    }
  }

  refuse(field: string, expected: string): never {
    return refuseConfig(this.name, `${this.key}.${field}`, this.part[field], expected);
  }
}
