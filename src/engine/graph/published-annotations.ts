/** Engine: which pins, supernodes and labels come with a link: a saved subgraph's, those in the address, or those in the graph. */
import { NotFoundError, UsageError } from '../../errors.ts';
import { annotationsOf, emptyAnnotations, type Annotations } from '../../graph/annotations.ts';
import type { ViewerGraph } from '../../graph/neuronpedia.ts';
import { ownAnnotations, type Held, type SiteAnnotations } from '../../neuronpedia/annotations.ts';
import { NEURONPEDIA_ENVIRONMENT } from '../../neuronpedia/address.ts';
import type { GraphRecord } from '../../neuronpedia/graphs.ts';
import type { NeuronpediaHttp } from '../../neuronpedia/http.ts';
import type { GraphLink } from '../../neuronpedia/link.ts';
import { listSubgraphs, type Subgraph } from '../../neuronpedia/subgraphs.ts';
import { readAddress } from '../../picture/address.ts';
import type { PullRequest, PullResult } from './neuronpedia-types.ts';

export interface Published {
  readonly http: NeuronpediaHttp;
  readonly link: GraphLink;
  readonly record: GraphRecord | null;
  readonly viewer: ViewerGraph;
  /** Saved subgraphs of the key's account. */
  readonly own: readonly Subgraph[];
  readonly request: PullRequest;
}

export interface FoundAnnotations extends Held<Annotations> {
  /** Null where there are none. */
  readonly from: NonNullable<PullResult['annotations']>['from'] | null;
}

/** As the site's page chooses: a saved subgraph before the address, and that before the graph's own. */
export async function publishedAnnotations(published: Published): Promise<FoundAnnotations> {
  const { link, viewer, request } = published;
  const asked = request.subgraph ?? link.subgraph;
  if (asked !== null) {
    const subgraph = await subgraphCalled(asked, published);
    return found('subgraph', `the subgraph '${asked}'`, subgraph, viewer);
  }
  const { pinnedIds = [], supernodes = [], clerps = {} } = readAddress(link.query);
  const inAddress = {
    pinnedIds: [...pinnedIds],
    supernodes: supernodes.map((row) => [...row]),
    clerps: Object.entries(clerps),
  };
  if (!isEmpty(inAddress)) return found('address', 'the link', inAddress, viewer);
  const inGraph = annotationsOf(viewer);
  const rows = inGraph.supernodes.map((row) => [...row]);
  return found(
    'graph',
    'the graph',
    { pinnedIds: [...inGraph.pinnedIds], supernodes: rows, clerps: [] },
    viewer,
  );
}

function found(
  from: NonNullable<FoundAnnotations['from']>,
  what: string,
  site: SiteAnnotations,
  viewer: ViewerGraph,
): FoundAnnotations {
  const { held, missing } = ownAnnotations(what, site, viewer);
  const isNothing = isEmpty({ ...held, clerps: Object.entries(held.clerps) });
  return { held: isNothing ? emptyAnnotations() : held, missing, from: isNothing ? null : from };
}

function isEmpty(one: { readonly [K in keyof SiteAnnotations]: { readonly length: number } }): boolean {
  return one.pinnedIds.length === 0 && one.supernodes.length === 0 && one.clerps.length === 0;
}

/** By id or name, of the key's account or among those that the site shows to all; others cannot be asked for. */
async function subgraphCalled(asked: string, { http, record, own, request }: Published): Promise<Subgraph> {
  if (record === null) {
    throw new UsageError({
      code: 'subgraph_without_graph',
      message: 'the address of a JSON has no saved subgraphs',
      hint: 'Give the link to the page of the graph.',
    });
  }
  const name = { model: record.modelId, slug: record.slug };
  const featured = await listSubgraphs(http, name, 'featured', { signal: request.signal });
  const all = [...own, ...featured];
  const match = all.find(({ id }) => id === asked) ?? all.find(({ displayName }) => displayName === asked);
  if (match) return match;
  const names = own.map(({ id, displayName }) => `'${displayName ?? id}'`).join(', ');
  const { key } = NEURONPEDIA_ENVIRONMENT;
  throw new NotFoundError({
    code: 'subgraph_not_found',
    message: `the subgraph '${asked}' of ${name.model}/${name.slug} is neither featured nor of the account of ${key}${names === '' ? '' : `, which has ${names}`}`,
    hint: `Set ${key} to the key of its owner, or open the link in a browser and copy an address that has the pins in it.`,
  });
}
