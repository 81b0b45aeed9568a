/** Picture, subgraph: what dragging and keys do to the list of supernodes. All functions give back a new list. */

import type { LabelOf } from './labels.ts';
import type { PictureGraph } from './picture-graph.ts';
import { indexOf } from './picture.ts';
import { supernodeOf, type Supernodes } from './subgraph.ts';

/** A group of one is no group. */
const SMALLEST_GROUP = 2;

/** Dropping one box onto another: both become one group, with the name of the one that has one, the lower one first. */
export function groupIds(
  supernodes: Supernodes,
  draggedKey: string,
  ontoKey: string,
  labelOf: LabelOf,
  picture: PictureGraph,
): string[][] {
  return groupKeys(supernodes, [ontoKey, draggedKey], labelOf, picture);
}

/** Several boxes become one group. Boxes are meant by their keys: node ids and `supernode-N`. */
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

/** All these nodes become one group of that name, and leave the groups that they were in. */
export function groupPinned(supernodes: Supernodes, ids: readonly string[], name: string): string[][] {
  const members = [...new Set(ids)];
  if (members.length < SMALLEST_GROUP) return copy(supernodes);
  return [...without(supernodes, new Set(members)), [name, ...members]];
}

/** The nodes of a group stand alone again. */
export function ungroup(supernodes: Supernodes, supernode: number): string[][] {
  return copy(supernodes).filter((_, place) => place !== supernode);
}

function without(supernodes: Supernodes, ids: ReadonlySet<string>): string[][] {
  return supernodes.flatMap(([name = '', ...members]) => {
    const left = members.filter((id) => !ids.has(id));
    if (left.length === members.length) return [[name, ...members]]; // a group of one that came so stays so
    return left.length < SMALLEST_GROUP ? [] : [[name, ...left]];
  });
}

function copy(supernodes: Supernodes): string[][] {
  return supernodes.map((group) => [...group]);
}
