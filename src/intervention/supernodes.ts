/** Interventions, step 1 of 4: groups of features as graph viewers save them, `[name, ids…]`, scaled together. */
import * as v from 'valibot';
import { UsageError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { parseFeatureId } from '../graph/feature-id.ts';
import { nearest } from '../nearest.ts';
import { readJson } from '../formats/json.ts';
import { asUsage } from './json-form.ts';
import type { Intervention } from './intervention.ts';

/** A named group of features. */
export interface Supernode {
  readonly name: string;
  /** Node ids of a graph; a feature's is `<layer>_<feature>_<position>`. */
  readonly ids: readonly string[];
}

/** A group and the factor of its activations. */
export interface ScaledSupernode extends Supernode {
  readonly factor: number;
}

const Group = v.pipe(v.array(v.string()), v.minLength(1));
const Groups = v.array(Group);

/** One group, a list of groups, a viewer's selection, or a whole graph of the viewer. */
const SupernodeFile = v.union([
  Groups,
  Group,
  jsonObject({ supernodes: Groups }),
  jsonObject({ qParams: jsonObject({ supernodes: Groups }) }),
]);

/** Throws `NotFoundError` without the file, `UsageError` for a file without groups. */
export async function readSupernodes(path: string): Promise<Supernode[]> {
  const file = await asUsage(() => readJson(path, SupernodeFile));
  const groups = Array.isArray(file)
    ? file
    : 'supernodes' in file
      ? file.supernodes
      : file.qParams.supernodes;
  const isOne = groups.length > 0 && groups.every((group) => typeof group === 'string');
  const list = isOne ? [groups] : groups.filter((group) => typeof group !== 'string');
  const supernodes = list.map(([name, ...ids]) => ({ name: name ?? '', ids }));
  if (supernodes.length > 0) return supernodes;
  throw new UsageError({
    code: 'no_supernodes',
    message: `${path} has no supernodes`,
    hint: 'Group features in the viewer and save them, or write [["name","20_15589_10"]].',
  });
}

/**
 * The groups that factors are given for; a factor without a name is for all groups that have none of their own. Without
 * any factor, all are switched off. Throws `UsageError` for a name that no group has.
 */
export function scaleSupernodes(
  groups: readonly Supernode[],
  factors: readonly { readonly name: string | null; readonly factor: number }[],
): ScaledSupernode[] {
  for (const { name } of factors) {
    if (name === null || groups.some((group) => group.name === name)) continue;
    const near = nearest(
      name,
      groups.map((group) => group.name),
    );
    throw new UsageError({
      code: 'unknown_supernode',
      message: `--scale: no supernode is called '${name}'`,
      hint: near
        ? `Did you mean '${near}'?`
        : `There are ${groups.map((group) => `'${group.name}'`).join(', ')}.`,
    });
  }
  const general = factors.length === 0 ? 0 : factors.findLast(({ name }) => name === null)?.factor;
  return groups.flatMap((group) => {
    const factor = factors.findLast(({ name }) => name === group.name)?.factor ?? general;
    return factor === undefined ? [] : [{ ...group, factor }];
  });
}

/**
 * A group as interventions, and the ids that are not features (tokens, errors, logits: a logit's layer lies beyond
 * the last). Throws `UsageError` for a group without features.
 */
export function supernodeInterventions(
  { name, ids, factor }: ScaledSupernode,
  n_layers: number,
): { interventions: Intervention[]; others: string[] } {
  const interventions: Intervention[] = [];
  const others: string[] = [];
  for (const id of ids) {
    const node = parseFeatureId(id);
    if (node === null || node.layer >= n_layers) others.push(id);
    else {
      const { layer, feature, position } = node;
      interventions.push({ layer, feature, pos: position, change: { kind: 'scale', factor } });
    }
  }
  if (interventions.length > 0) return { interventions, others };
  throw new UsageError({
    code: 'no_features',
    message: `supernode '${name}' has no feature among its ${ids.length} ids`,
    hint: 'The id of a feature is <layer>_<feature>_<position>, such as 20_15589_10.',
  });
}
