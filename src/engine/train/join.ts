/** Engine, verb `train merge`: whether parts belong together, and what they are together. */
import { BadFileError, UsageError } from '../../errors.ts';
import type { JoinedTraining } from '../../trainer/joined-log.ts';
import type { TrainedPart } from '../../trainer/part.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import { shownLayers } from './progress-line.ts';

/** Values of the identity that have to be equal. */
const SAME = ['model', 'corpus', 'held_out', 'rows'] as const;
/** Values with which layers are as good, and their bytes not those of one training. */
const ALIKE = ['tracer_version', 'backend', 'block_tokens'] as const;

export interface Joined extends JoinedTraining {
  /** Layers of the whole set that no part has. */
  readonly missing: readonly number[];
  /** What differs between parts, and may. */
  readonly notes: readonly string[];
}

/**
 * Throws `UsageError` for cross-layer sets and for layers that two parts have, `BadFileError` for parts of different trainings, and for
 * layers that are missing unless that is allowed.
 */
export function join(
  given: readonly TrainedPart[],
  { allowMissingLayers = false }: { readonly allowMissingLayers?: boolean | undefined },
): Joined {
  const parts = [...given].sort((a, b) => a.recipe.layers[0]! - b.recipe.layers[0]!);
  const [first, ...others] = parts as [TrainedPart, ...TrainedPart[]];
  if (first.recipe.kind === 'cross-layer') {
    throw new UsageError({
      code: 'cross_layer_part',
      message: `${first.folder} is a cross-layer set, whose layers are trained together`,
      hint: 'Only per-layer sets are joined.',
    });
  }
  for (const other of others) checkSame(first, other);
  checkOnce(parts);
  const layers = parts.flatMap(({ recipe }) => recipe.layers).sort((a, b) => a - b);
  const layersOfSet = sortedUnion(parts.map(({ record }) => record.layersOfSet));
  const missing = layersOfSet.filter((layer) => !layers.includes(layer));
  if (missing.length > 0 && !allowMissingLayers) {
    throw new BadFileError({
      code: 'missing_layers',
      message: `no part has layer ${shownLayers(missing)} of the set, which has ${shownLayers(layersOfSet)}`,
      hint: 'Name the folders of all parts, or give --allow-missing-layers.',
    });
  }
  const recipe: Recipe = { ...first.recipe, layers };
  const identity = { ...first.record.identity, recipe: JSON.stringify(recipe) };
  const passes = JSON.stringify(parts.flatMap((part) => part.passes));
  const record = { ...first.record, identity: { ...identity, passes }, layersOfSet };
  return { parts, recipe, record, missing, notes: others.flatMap((other) => differences(first, other)) };
}

function checkSame(first: TrainedPart, other: TrainedPart): void {
  for (const name of SAME) check(name, first, other, ({ record }) => record.identity[name]);
  check('the name of the model', first, other, ({ record }) => record.modelName);
  for (const name of Object.keys(first.recipe) as (keyof Recipe)[]) {
    if (name !== 'layers') check(`${name} of the recipe`, first, other, ({ recipe }) => String(recipe[name]));
  }
  check('the number of tokens', first, other, ({ n_tokens }) => String(n_tokens));
}

function check(
  name: string,
  first: TrainedPart,
  other: TrainedPart,
  of: (part: TrainedPart) => string | undefined,
): void {
  const [expected, found] = [of(first), of(other)];
  if (expected === found) return;
  throw new BadFileError({
    code: 'other_training',
    message: `${other.folder} is of another training than ${first.folder}: ${name} is ${found ?? 'not known'}, expected ${expected ?? 'none'}`,
    hint: 'Parts of a set are trained with the same options, but for --shard or --layers.',
  });
}

function checkOnce(parts: readonly TrainedPart[]): void {
  const owners = new Map<number, string>();
  for (const { folder, recipe } of parts) {
    for (const layer of recipe.layers) {
      const owner = owners.get(layer);
      if (owner !== undefined) {
        throw new UsageError({
          code: 'layer_twice',
          message: `layer ${layer} is in ${owner} and in ${folder}`,
          hint: 'Name each part once, and only one of those that have the same layers.',
        });
      }
      owners.set(layer, folder);
    }
  }
}

function differences(first: TrainedPart, other: TrainedPart): string[] {
  return ALIKE.flatMap((name) => {
    const [one, two] = [first, other].map(({ record }) => record.identity[name] ?? 'not known');
    return one === two
      ? []
      : [
          `${name} is ${two} in ${other.folder}, and ${one} in ${first.folder}: layers are as good, but not those of one training byte for byte`,
        ];
  });
}

function sortedUnion(lists: readonly (readonly number[])[]): number[] {
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}
