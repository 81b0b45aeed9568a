/**
 * Graph, viewer files: makes shared ids unique. circuit-tracer gives the error of layer L and position P the id `0_L_P`, which is
 * also the id of feature L of layer 0 there.
 */

import { BadFileError } from '../errors.ts';
import type { ViewerLink, ViewerNode } from './neuronpedia.ts';

/** Two nodes with one id, by their indices in the file. */
interface Collision {
  readonly feature: number;
  readonly error: number;
  /** New id of the error. */
  readonly errorId: string;
}

/**
 * Renames errors that share the id of a feature to `L_error_P`. To which of the two a link belongs: only features have inputs; for
 * sources the order of the file decides, since links of one target are sorted by node. A link that fits both after that belongs
 * to the feature.
 */
export function withUniqueIds(
  name: string,
  nodes: readonly ViewerNode[],
  links: readonly ViewerLink[],
): { nodes: readonly ViewerNode[]; links: readonly ViewerLink[] } {
  const places = new Map<string, number>();
  const collisions = new Map<string, Collision>();
  for (const [place, node] of nodes.entries()) {
    const other = places.get(node.node_id);
    if (other === undefined) places.set(node.node_id, place);
    else collisions.set(node.node_id, collisionOf(name, nodes, collisions, [other, place]));
  }
  if (collisions.size === 0) return { nodes, links };
  const renamed = [...nodes];
  for (const { error, errorId } of collisions.values()) {
    if (places.has(errorId)) throw sharedId(name, errorId);
    renamed[error] = { ...nodes[error]!, node_id: errorId };
  }
  return { nodes: renamed, links: withSources(nodes, links, places, collisions) };
}

function collisionOf(
  name: string,
  nodes: readonly ViewerNode[],
  collisions: ReadonlyMap<string, Collision>,
  pair: readonly number[],
): Collision {
  const feature = pair.find((place) => nodes[place]!.feature_type === 'cross layer transcoder');
  const error = pair.find((place) => nodes[place]!.feature_type === 'mlp reconstruction error');
  const id = nodes[pair[0]!]!.node_id;
  if (feature === undefined || error === undefined || collisions.has(id)) throw sharedId(name, id);
  return { feature, error, errorId: `${nodes[error]!.layer}_error_${nodes[error]!.ctx_idx}` };
}

function withSources(
  nodes: readonly ViewerNode[],
  links: readonly ViewerLink[],
  places: ReadonlyMap<string, number>,
  collisions: ReadonlyMap<string, Collision>,
): ViewerLink[] {
  const fixed = [...links];
  for (const group of linksByTarget(links).values()) {
    const sources = group.map((link) => links[link]!.source);
    for (const [i, source] of sources.entries()) {
      const collision = collisions.get(source);
      if (collision === undefined) continue;
      const target = nodes[places.get(links[group[i]!]!.target) ?? -1];
      if (isError(i, collision, { sources, places, collisions, nodes, target })) {
        fixed[group[i]!] = { ...links[group[i]!]!, source: collision.errorId };
      }
    }
  }
  return fixed;
}

interface Inputs {
  /** Ids of the inputs of one target, in the order of the file. */
  readonly sources: readonly string[];
  readonly places: ReadonlyMap<string, number>;
  readonly collisions: ReadonlyMap<string, Collision>;
  readonly nodes: readonly ViewerNode[];
  readonly target: ViewerNode | undefined;
}

function isError(i: number, { feature, error }: Collision, inputs: Inputs): boolean {
  const { sources, places, collisions, nodes, target } = inputs;
  const first = sources.indexOf(sources[i]!);
  const last = sources.lastIndexOf(sources[i]!);
  if (first !== last) return i !== first; // both occur, the feature first
  const known = (at: number): number | undefined =>
    collisions.has(sources[at]!) ? undefined : places.get(sources[at]!);
  for (let at = i - 1; at >= 0; at--) if ((known(at) ?? -1) > feature) return true;
  for (let at = i + 1; at < sources.length; at++) if ((known(at) ?? error) < error) return false;
  const below = (place: number): boolean => Number(nodes[place]!.layer) < Number(target?.layer);
  return !below(feature) && below(error);
}

/** Indices of links, in the order of the file. */
function linksByTarget(links: readonly ViewerLink[]): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const [i, { target }] of links.entries()) {
    const group = groups.get(target);
    if (group === undefined) groups.set(target, [i]);
    else group.push(i);
  }
  return groups;
}

function sharedId(name: string, id: string): BadFileError {
  return new BadFileError({
    code: 'shared_node_id',
    message: `${name}: field nodes: two nodes have the id ${JSON.stringify(id)}`,
    hint: 'Links cannot tell them apart. Export the graph again.',
  });
}
