/** Picture, subgraph: changes of the list of supernodes by dragging and keys. All functions return a new list. */

import type { LabelOf } from './labels.ts';
import type { PictureGraph } from './picture-graph.ts';
import { indexOf } from './picture.ts';
import { supernodeOf, type Supernodes } from './subgraph.ts';

/** Smaller groups are dissolved. */
const SMALLEST_GROUP = 2;

/** After one box was dropped onto another: joins both into one group. The name is that of a group among them, first of the lower one. */
export function groupIds(
  supernodes: Supernodes,
  draggedKey: string,
  ontoKey: string,
  labelOf: LabelOf,
  picture: PictureGraph,
): string[][] {
  return groupKeys(supernodes, [ontoKey, draggedKey], labelOf, picture);
}

/** Joins several boxes into one group. Boxes are given by their keys: node ids and `supernode-N`. */
export function groupKeys(
  supernodes: Supernodes,
  keys: readonly string[],
  labelOf: LabelOf,
  picture: PictureGraph,
): string[][] {
  const places = keys.map((key) => supernodeOf(key));
  const ids = keys.flatMap((key, i) =>
    places[i] === null ? [key] : (supernodes[places[i]!]?.slice(1) ?? []),
  );
  const named = places.find((place) => place !== null && supernodes[place] !== undefined);
  const first = indexOf(picture, ids[0] ?? '');
  const name =
    named === undefined || named === null
      ? first === undefined
        ? 'group'
        : labelOf(first)
      : supernodes[named]![0]!;
  return groupPinned(supernodes, ids, name);
}

/** Makes one group of these nodes, which leave their former groups. */
export function groupPinned(supernodes: Supernodes, ids: readonly string[], name: string): string[][] {
  const members = [...new Set(ids)];
  if (members.length < SMALLEST_GROUP) return copy(supernodes);
  return [...without(supernodes, new Set(members)), [name, ...members]];
}

/** Dissolves a group. */
export function ungroup(supernodes: Supernodes, supernode: number): string[][] {
  return copy(supernodes).filter((_, place) => place !== supernode);
}

function without(supernodes: Supernodes, ids: ReadonlySet<string>): string[][] {
  return supernodes.flatMap(([name = '', ...members]) => {
    const left = members.filter((id) => !ids.has(id));
    if (left.length === members.length) return [[name, ...members]]; // a group that had one member before is kept
    return left.length < SMALLEST_GROUP ? [] : [[name, ...left]];
  });
}

function copy(supernodes: Supernodes): string[][] {
  return supernodes.map((group) => [...group]);
}
