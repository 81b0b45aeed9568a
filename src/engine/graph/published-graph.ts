/** Engine: a published graph as a graph file holds it. What its pruning left out is not there. */
import { BadFileError, UsageError } from '../../errors.ts';
import type { Annotations } from '../../graph/annotations.ts';
import { checkGraph } from '../../graph/check.ts';
import type { Graph } from '../../graph/graph.ts';
import { withMatrix } from '../../graph/links.ts';
import type { ViewerGraph } from '../../graph/neuronpedia.ts';
import { nodeId } from '../../graph/nodes.ts';
import { graphOfViewer } from '../../graph/viewer-arrays.ts';
import { tokenizerOfModel } from '../opened-subject.ts';
import { packageVersion } from '../provenance.ts';
import type { PullRequest } from './neuronpedia-types.ts';

export interface PublishedGraph {
  readonly graph: Graph;
  /** Annotations with the ids that nodes have in the graph file. */
  readonly renamed: (annotations: Annotations) => Annotations;
}

export interface PublishedAs {
  /** Address of its page. */
  readonly page: string;
  /** Of model and set, as graph files name them. */
  readonly names: { readonly model: string; readonly transcoders: string };
}

/** Throws `BadFileError` for a graph that no graph file can hold, and `UsageError` where ids of tokens are missing. */
export async function graphOfPublished(
  viewer: ViewerGraph,
  { page, names }: PublishedAs,
  request: PullRequest,
): Promise<PublishedGraph> {
  const found = graphOfViewer(viewer);
  if (found === null) {
    throw new BadFileError({
      code: 'not_a_graph',
      message: `${page} has no features or no logits, or more of them than fit into memory`,
      hint: 'Give --output NAME.json to have the file as it is published.',
    });
  }
  const { metadata } = viewer;
  const unversioned = { revision: null, config_sha256: null };
  const graph: Graph = {
    ...withMatrix(found.graph),
    input_tokens: await tokensOf(viewer, found, page, request),
    provenance: {
      ...found.graph.provenance,
      tracer_version: packageVersion(),
      model: { name: names.model, ...unversioned },
      transcoders: { name: names.transcoders, ...unversioned },
      options: {
        published: page,
        published_by: `${metadata.info.generator.name} ${metadata.info.generator.version}`.trim(),
        node_threshold: metadata.pruning_settings.node_threshold,
        edge_threshold: metadata.pruning_settings.edge_threshold,
      },
      created: createdOf(metadata),
    },
  };
  checkGraph(page, graph);
  const ids = new Map<string, string>();
  found.ids.forEach((id, node) => id !== undefined && ids.set(id, nodeId(graph, node)));
  const name = (id: string): string => ids.get(id) ?? id;
  return {
    graph,
    renamed: (annotations) => ({
      ...annotations,
      pinnedIds: annotations.pinnedIds.map(name),
      supernodes: annotations.supernodes.map(([title = '', ...ids]) => [title, ...ids.map(name)]),
      clerps: Object.fromEntries(Object.entries(annotations.clerps).map(([id, label]) => [name(id), label])),
    }),
  };
}

function createdOf({ info }: ViewerGraph['metadata']): string {
  const { create_time_ms } = info;
  const date = new Date(create_time_ms ?? NaN);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

/** Pruning leaves out tokens, and their ids with them: those are what the tokenizer of `--model` has for their texts. */
async function tokensOf(
  { metadata }: ViewerGraph,
  { graph, lostTokens }: NonNullable<ReturnType<typeof graphOfViewer>>,
  page: string,
  request: PullRequest,
): Promise<Int32Array> {
  if (lostTokens.length === 0) return graph.input_tokens;
  const texts = lostTokens.map((position) => metadata.prompt_tokens[position] ?? '');
  const { model } = request;
  if (model === undefined) {
    throw new UsageError({
      code: 'tokens_left_out',
      message: `the graph was pruned of ${lostTokens.length === 1 ? 'a token' : `${lostTokens.length} tokens`} (${texts.map((text) => JSON.stringify(text)).join(', ')}), and a graph file has the ids of all tokens`,
      hint: 'Give --model NAME, whose tokenizer has them (nothing else of it is fetched), or --output NAME.json.',
    });
  }
  const tokenizer = await tokenizerOfModel(request);
  const known = [...graph.input_tokens];
  const bos = tokenizer.tokenStrings([tokenizer.bosId])[0];
  lostTokens.forEach((position, i) => {
    known[position] = texts[i] === bos ? tokenizer.bosId : tokenizer.singleToken(texts[i]!);
  });
  const strings = tokenizer.tokenStrings(known);
  const other = strings.findIndex((text, position) => text !== metadata.prompt_tokens[position]);
  if (other < 0) return Int32Array.from(known);
  throw new UsageError({
    code: 'other_tokenizer',
    message: `${model} is not the model of ${page}: its token ${known[other]!} is ${JSON.stringify(strings[other])}, the graph has ${JSON.stringify(metadata.prompt_tokens[other] ?? null)}`,
    hint: 'Give the model that the graph was made with, or --output NAME.json.',
  });
}
