/**
 * Neuronpedia: what its published schema and its importer demand of a graph, checked before anything is sent. The site refuses a
 * file that fails only after it was sent, and its page fails on some that it takes.
 */
import * as v from 'valibot';
import { BadFileError, UsageError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { checkSchema } from '../formats/parsed-text.ts';
import type { ViewerGraph } from '../graph/neuronpedia.ts';

const NAME = /^[a-zA-Z0-9_-]+$/;
const integer = v.pipe(v.number(), v.integer());
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const finite = v.pipe(v.number(), v.finite());

const Node = jsonObject({
  node_id: v.pipe(v.string(), v.nonEmpty()),
  feature: v.nullable(integer),
  layer: v.string(),
  ctx_idx: v.pipe(integer, v.minValue(0)),
  feature_type: v.string(),
  jsNodeId: v.string(),
  clerp: v.string(),
  influence: v.nullable(finite),
  activation: v.nullable(finite),
});

const Graph = jsonObject({
  metadata: jsonObject({
    slug: v.string(),
    scan: v.string(),
    prompt_tokens: v.array(v.string()),
    prompt: v.string(),
    node_threshold: share,
    pruning_settings: jsonObject({ node_threshold: share, edge_threshold: share }),
  }),
  qParams: jsonObject({ pinnedIds: v.array(v.string()), supernodes: v.array(v.array(v.string())) }),
  nodes: v.array(Node),
  links: v.array(jsonObject({ source: v.string(), target: v.string(), weight: finite })),
});

/** Whether the site takes it as the name of a graph. */
export function isSiteSlug(slug: string): boolean {
  return NAME.test(slug);
}

/** Throws `UsageError` for names that the site refuses, and `BadFileError` for a graph that its schema or its page does. */
export function checkForUpload(file: string, graph: ViewerGraph): void {
  const { slug } = graph.metadata;
  if (!isSiteSlug(slug)) {
    throw new UsageError({
      code: 'bad_slug',
      message: `Neuronpedia takes letters, digits, '_' and '-' in the name of a graph, found '${slug}'`,
      hint: 'Give such a name with --slug.',
    });
  }
  checkSchema(file, graph, Graph);
  // The page reads the probability of a logit from its label, and the last layer from those of other nodes.
  const logits = graph.nodes.filter(({ feature_type }) => feature_type === 'logit');
  if (logits.length === 0) throw unsuitable(file, 'it has no logits');
  if (!logits.every(({ clerp }) => /\(p=[\d.e-]+\)/.test(clerp))) {
    throw unsuitable(file, 'a logit is not labelled as Output "TOKEN" (p=PROBABILITY)');
  }
  if (!graph.nodes.some(({ feature_type, layer }) => feature_type !== 'logit' && Number(layer) > 0)) {
    throw unsuitable(file, 'no node is above layer 0');
  }
}

function unsuitable(file: string, why: string): BadFileError {
  return new BadFileError({
    code: 'graph_unsuitable',
    message: `${file} cannot be shown by Neuronpedia: ${why}`,
    hint: 'Attribute the prompt again, or prune less with --node-threshold.',
  });
}
