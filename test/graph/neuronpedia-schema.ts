/**
 * The fields of Neuronpedia's public graph schema, in our own words: what has to be there, of which type, and what its
 * importer demands of names. Fields that it does not know are allowed.
 */
import * as v from 'valibot';

const NAME = /^[a-zA-Z0-9_.-]+$/;
const name = v.pipe(v.string(), v.regex(NAME));
const integer = v.pipe(v.number(), v.integer());
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));

const metadata = v.looseObject({
  slug: name,
  scan: name,
  prompt_tokens: v.array(v.string()),
  prompt: v.string(),
  node_threshold: v.optional(share),
  schema_version: v.optional(integer),
  info: v.optional(
    v.looseObject({
      generator: v.optional(
        v.looseObject({ name: v.string(), version: v.string(), url: v.optional(v.string()) }),
      ),
      create_time_ms: v.optional(v.number()),
    }),
  ),
  generation_settings: v.optional(
    v.looseObject({
      max_n_logits: v.optional(integer),
      desired_logit_prob: v.optional(v.number()),
      batch_size: v.optional(integer),
      max_feature_nodes: v.optional(integer),
    }),
  ),
  pruning_settings: v.optional(
    v.looseObject({ node_threshold: v.optional(share), edge_threshold: v.optional(share) }),
  ),
});

const node = v.looseObject({
  node_id: v.string(),
  feature: v.nullable(integer),
  layer: v.union([v.string(), integer]),
  ctx_idx: integer,
  feature_type: v.picklist(['cross layer transcoder', 'mlp reconstruction error', 'embedding', 'logit']),
  jsNodeId: v.string(),
  clerp: v.string(),
  influence: v.optional(v.nullable(v.number())),
  activation: v.optional(v.nullable(v.number())),
});

export const neuronpediaSchema = v.looseObject({
  metadata,
  qParams: v.looseObject({
    pinnedIds: v.optional(v.array(v.string())),
    supernodes: v.optional(v.array(v.unknown())),
    linkType: v.optional(v.string()),
    clickedId: v.optional(v.string()),
    sg_pos: v.optional(v.string()),
  }),
  nodes: v.array(node),
  links: v.array(v.looseObject({ source: v.string(), target: v.string(), weight: v.number() })),
});
