/**
 * Graph, viewer files: reads and checks files of circuit-tracer, Neuronpedia and tracer, and makes node ids unique.
 */

import path from 'node:path';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject, jsonRecord, looseJsonObject } from '../formats/json-object.ts';
import { parseJson } from '../formats/json.ts';
import { checkSchema, readText } from '../formats/parsed-text.ts';
import type { JsonValue } from './graph.ts';
import type { ViewerGraph, ViewerLink, ViewerNode } from './neuronpedia.ts';
import { withUniqueIds } from './unique-ids.ts';

/** A graph of 100,000 links has about 15 MB; more than this cannot be drawn. */
const LARGEST_VIEWER_BYTES = 128 * 2 ** 20;
/** Rows and columns of the picture; a larger number is no position of a prompt, and would take all memory. */
const LARGEST_PLACE = 100_000;
/** Of tokens `E`; there is no model of 10,000 layers. */
const LAYER = /^(E|\d{1,4})$/;
/** Default of thresholds that the file does not have: shares then refer to the nodes and links of the file. */
const UNSAID_THRESHOLD = 1;

const orEmpty = v.pipe(
  v.nullish(v.string(), ''),
  v.transform((text) => text ?? ''),
);
const finiteOrNull = v.pipe(
  v.nullish(v.pipe(v.number(), v.finite()), null),
  v.transform((value) => value ?? null),
);
const place = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(LARGEST_PLACE));
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));

const Node = jsonObject({
  node_id: v.pipe(v.string(), v.nonEmpty()),
  feature: v.nullish(v.number(), -1),
  layer: v.pipe(v.union([v.string(), v.number()]), v.transform(String), v.regex(LAYER)),
  ctx_idx: place,
  feature_type: v.string(),
  token_prob: finiteOrNull,
  is_target_logit: v.nullish(v.boolean(), false),
  jsNodeId: orEmpty,
  clerp: orEmpty,
  influence: finiteOrNull,
  activation: finiteOrNull,
});
const Link = jsonObject({ source: v.string(), target: v.string(), weight: v.pipe(v.number(), v.finite()) });
const Strings = v.array(v.string());
const Viewer = jsonObject({
  metadata: jsonObject({
    slug: orEmpty,
    // Neuronpedia has written lists of sets here.
    scan: v.pipe(
      v.nullish(v.union([v.string(), Strings]), ''),
      v.transform((scan) => (typeof scan === 'string' ? scan : (scan?.join(' ') ?? ''))),
    ),
    transcoder_list: v.nullish(Strings, []),
    prompt_tokens: Strings,
    prompt: orEmpty,
    feature_details: v.nullish(looseJsonObject({ neuronpedia_source_set: v.nullish(v.string()) })),
    node_threshold: v.nullish(share),
    schema_version: v.nullish(v.number(), 1),
    info: v.nullish(
      looseJsonObject({
        generator: v.nullish(
          looseJsonObject({ name: v.nullish(v.string()), version: v.nullish(v.string()) }),
        ),
        create_time_ms: v.nullish(v.number()),
      }),
    ),
    generation_settings: v.nullish(
      jsonRecord(
        v.string(),
        v.custom<JsonValue>(() => true),
      ),
    ),
    pruning_settings: v.nullish(
      looseJsonObject({ node_threshold: v.nullish(share), edge_threshold: v.nullish(share) }),
    ),
  }),
  qParams: v.nullish(
    looseJsonObject({
      pinnedIds: v.nullish(v.union([v.string(), Strings])),
      supernodes: v.nullish(v.array(Strings)),
      clickedId: v.nullish(v.string()),
      sg_pos: v.nullish(v.string()),
      tracer_positions: v.nullish(v.string()),
    }),
  ),
  nodes: v.array(Node),
  links: v.array(Link),
});
type Viewer = v.InferOutput<typeof Viewer>;

/** What every version of the format has. */
const PARTS = ['metadata', 'nodes', 'links'] as const satisfies readonly (keyof Viewer)[];

/** Viewer files are JSON, graph files are safetensors. */
export function isViewerFile(file: string): boolean {
  return path.extname(file).toLowerCase() === '.json';
}

/** Reads a viewer file. Throws `NotFoundError`, or `BadFileError` that names the file and the field. */
export async function readViewerGraph(file: string): Promise<ViewerGraph> {
  return parseViewerGraph(file, await readText(file, LARGEST_VIEWER_BYTES));
}

/**
 * As `readViewerGraph`, for the text of a file; `name` is used in errors. Fields that older files leave out get a default. An error node whose id is also a feature's is renamed as `nodeId` does, and its links with it.
 */
export function parseViewerGraph(name: string, text: string): ViewerGraph {
  const value = parseJson(name, text, v.unknown());
  refuseOtherJson(name, value);
  const viewer = checkSchema(name, value, Viewer);
  const { nodes, links } = withUniqueIds(name, viewer.nodes.map(nodeOf), viewer.links);
  checkEnds(name, nodes, links);
  return { metadata: metadataOf(viewer), qParams: qParamsOf(viewer), nodes, links };
}

/** JSON of another kind is called so, instead of a graph with a field that is wrong. */
function refuseOtherJson(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return; // which the schema says
  const has = (field: string): boolean => Object.hasOwn(value, field);
  const missing = PARTS.filter((part) => !has(part));
  if (missing.length === 0) return;
  throw new BadFileError({
    code: 'not_a_graph',
    message: `${name} is JSON, but no graph of a viewer: it has no ${missing.join(' and no ')}`,
    hint: has('pinnedIds')
      ? 'It has the pins of a graph: name the graph itself, beside which they are found.'
      : 'Give what `tracer graph export --format neuronpedia`, circuit-tracer or Neuronpedia wrote, or a graph file.',
  });
}

function nodeOf(node: Viewer['nodes'][number]): ViewerNode {
  return {
    ...node,
    feature: node.feature ?? -1,
    feature_type: featureType(node.feature_type),
    token_prob: node.token_prob ?? 0,
    is_target_logit: node.is_target_logit ?? false,
    run_idx: 0,
    reverse_ctx_idx: 0,
  };
}

/** Every type but error, token and logit is a feature: other programs have other names for it. */
function featureType(text: string): ViewerNode['feature_type'] {
  switch (text) {
    case 'mlp reconstruction error':
    case 'embedding':
    case 'logit':
      return text;
    default:
      return 'cross layer transcoder';
  }
}

function metadataOf({ metadata }: Viewer): ViewerGraph['metadata'] {
  const { info, pruning_settings, feature_details } = metadata;
  const sourceSet = feature_details?.neuronpedia_source_set;
  const nodeThreshold = pruning_settings?.node_threshold ?? metadata.node_threshold ?? UNSAID_THRESHOLD;
  const created = info?.create_time_ms;
  return {
    slug: metadata.slug,
    scan: metadata.scan,
    transcoder_list: metadata.transcoder_list ?? [],
    prompt_tokens: metadata.prompt_tokens,
    prompt: metadata.prompt,
    ...(typeof sourceSet === 'string' && { feature_details: { neuronpedia_source_set: sourceSet } }),
    node_threshold: nodeThreshold,
    schema_version: metadata.schema_version ?? 1,
    info: {
      generator: { name: info?.generator?.name ?? '', version: info?.generator?.version ?? '' },
      ...(typeof created === 'number' ? { create_time_ms: created } : {}),
    },
    generation_settings: metadata.generation_settings ?? {},
    pruning_settings: {
      node_threshold: nodeThreshold,
      edge_threshold: pruning_settings?.edge_threshold ?? UNSAID_THRESHOLD,
    },
  };
}

/** A list, or text joined by commas, as in addresses. */
function qParamsOf({ qParams }: Viewer): ViewerGraph['qParams'] {
  const pinned = qParams?.pinnedIds ?? [];
  return {
    pinnedIds: typeof pinned === 'string' ? pinned.split(',').filter((id) => id !== '') : pinned,
    supernodes: qParams?.supernodes ?? [],
    linkType: 'both',
    clickedId: qParams?.clickedId ?? '',
    sg_pos: qParams?.sg_pos ?? '',
    ...(typeof qParams?.tracer_positions === 'string' && { tracer_positions: qParams.tracer_positions }),
  };
}

function checkEnds(name: string, nodes: readonly ViewerNode[], links: readonly ViewerLink[]): void {
  const ids = new Set(nodes.map(({ node_id }) => node_id));
  for (const [i, link] of links.entries()) {
    for (const end of ['source', 'target'] as const) {
      if (ids.has(link[end])) continue;
      throw new BadFileError({
        code: 'unknown_node',
        message: `${name}: field links[${i}].${end}: expected the id of a node, found ${JSON.stringify(link[end])}`,
        hint: 'The file is damaged. Export the graph again.',
      });
    }
  }
}
