/** Neuronpedia: subgraphs, which are the pins, supernodes and labels that a user saves for a graph. */
import * as v from 'valibot';
import { jsonObject } from '../formats/json-object.ts';
import type { NeuronpediaHttp, TryOptions } from './http.ts';
import { askJson } from './json.ts';
import type { GraphName } from './link.ts';

const rows = v.array(v.array(v.string()));
const Subgraph = jsonObject({
  id: v.string(),
  displayName: v.nullish(v.string(), null),
  pinnedIds: v.nullish(v.array(v.string()), []),
  supernodes: v.nullish(rows, []),
  clerps: v.nullish(rows, []),
  pruningThreshold: v.nullish(v.number(), null),
  densityThreshold: v.nullish(v.number(), null),
});
export type Subgraph = v.InferOutput<typeof Subgraph>;
export type SubgraphContent = Omit<Subgraph, 'id'>;

const List = jsonObject({ subgraphs: v.array(Subgraph) });
const Saved = jsonObject({ subgraphId: v.pipe(v.string(), v.nonEmpty()) });

/** `own`: those of the key's account; `featured`: those that the site shows to all. */
export async function listSubgraphs(
  http: NeuronpediaHttp,
  { model, slug }: GraphName,
  which: 'own' | 'featured',
  tries: TryOptions,
): Promise<readonly Subgraph[]> {
  const path = which === 'own' ? '/api/graph/subgraph/list' : '/api/graph/subgraph/list-featured';
  return (await askJson(http, path, List, { ...tries, send: { modelId: model, slug } })).subgraphs;
}

/**
 * Saves a subgraph, in the place of the account's own of the same name if there is one: so a request whose answer was lost, and
 * the same command a second time, do not make another.
 */
export async function saveSubgraph(
  http: NeuronpediaHttp,
  name: GraphName,
  content: SubgraphContent & { readonly displayName: string },
  { signal }: Pick<TryOptions, 'signal'>,
): Promise<{ readonly id: string; readonly isReplaced: boolean }> {
  let before: boolean | undefined;
  return http.run(
    async () => {
      // Asked before each try.
      const own = await listSubgraphs(http, name, 'own', { signal, tries: 'one' });
      const same = own.find(({ displayName }) => displayName === content.displayName);
      before ??= same !== undefined;
      const { subgraphId } = await askJson(http, '/api/graph/subgraph/save', Saved, {
        signal,
        tries: 'one',
        send: { modelId: name.model, slug: name.slug, ...content, ...(same && { overwriteId: same.id }) },
      });
      return { id: subgraphId, isReplaced: before };
    },
    { signal },
  );
}
