/** Neuronpedia: annotations of a graph as a subgraph of the site, and the other way. Ids that the graph does not hold are told, not kept. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { annotationsSchema, emptyAnnotations, type Annotations } from '../graph/annotations.ts';
import type { ViewerGraph, ViewerNode } from '../graph/neuronpedia.ts';
import type { SubgraphContent } from './subgraphs.ts';

/** Pins, supernodes and labels as the site writes them: in a saved subgraph, in an address, in a graph's own file. */
export type SiteAnnotations = Pick<SubgraphContent, 'pinnedIds' | 'supernodes' | 'clerps'>;

export interface Held<T> {
  readonly held: T;
  /** Ids of nodes that the graph does not hold, each once. */
  readonly missing: readonly string[];
}

type Nodes = Pick<ViewerGraph, 'nodes'>;

/** For the site. A group of which nothing is left is left out. */
export function siteAnnotations(annotations: Annotations, { nodes }: Nodes): Held<SiteAnnotations> {
  const { pinnedIds, supernodes, clerps } = annotations;
  const ids = new IdFilter(nodes);
  const byId = new Map(nodes.map((node) => [node.node_id, node]));
  const keys = new Set(nodes.map(siteKey));
  const labels = Object.entries(clerps).filter(([id]) => ids.has(id));
  const held = {
    pinnedIds: ids.only(pinnedIds),
    supernodes: groups(supernodes, ids),
    clerps: labels.flatMap(([id, label]) => {
      const key = siteKey(byId.get(id)!);
      // The site's page looks labels up by its own key, other programs by the id; an id that is another node's key would name that.
      return key === id || keys.has(id)
        ? [[key, label]]
        : [
            [key, label],
            [id, label],
          ];
    }),
  };
  return { held, missing: ids.missing() };
}

/** From the site. Throws `BadFileError` for more or longer ones than annotations hold; `what` is what errors call them. */
export function ownAnnotations(
  what: string,
  { pinnedIds, supernodes, clerps }: SiteAnnotations,
  { nodes }: Nodes,
): Held<Annotations> {
  const ids = new IdFilter(nodes);
  const byKey = new Map(nodes.map((node) => [siteKey(node), node.node_id]));
  const labels: Record<string, string> = {};
  for (const [key = '', label = ''] of clerps) {
    const id = byKey.get(key) ?? key;
    if (label !== '' && ids.has(id)) labels[id] ??= label;
  }
  const annotations: Annotations = {
    ...emptyAnnotations(),
    pinnedIds: [...new Set(ids.only(pinnedIds))],
    supernodes: groups(supernodes, ids),
    clerps: labels,
  };
  const checked = v.safeParse(annotationsSchema, annotations);
  if (checked.success) return { held: checked.output, missing: ids.missing() };
  throw new BadFileError({
    code: 'bad_annotations',
    message: `${what}: more or longer pins, groups or labels than annotations hold (${checked.issues[0].message})`,
    hint: 'Leave them out: give the link without pinnedIds, supernodes, clerps and subgraph.',
  });
}

/** `LAYER_FEATURE_POSITION` with the number in the node's field `feature`, under which the site's page looks up labels. */
function siteKey({ layer, feature, ctx_idx }: ViewerNode): string {
  return `${layer}_${feature}_${ctx_idx}`;
}

function groups(supernodes: readonly (readonly string[])[], ids: IdFilter): string[][] {
  return supernodes.flatMap(([name = '', ...members]) => {
    const held = ids.only(members);
    return held.length === 0 ? [] : [[name, ...held]];
  });
}

class IdFilter {
  readonly #ids: ReadonlySet<string>;
  readonly #missing = new Set<string>();

  constructor(nodes: readonly ViewerNode[]) {
    this.#ids = new Set(nodes.map(({ node_id }) => node_id));
  }

  has(id: string): boolean {
    if (this.#ids.has(id)) return true;
    this.#missing.add(id);
    return false;
  }

  only(ids: readonly string[]): string[] {
    return ids.filter((id) => this.has(id));
  }

  missing(): string[] {
    return [...this.#missing];
  }
}
