/**
 * Graph, annotations: pinned nodes, groups, labels and notes that people add in the viewer. They are stored in a file of their own
 * beside the graph, so that the graph file is never rewritten.
 */

import path from 'node:path';
import * as v from 'valibot';
import { NotFoundError } from '../errors.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { writeFileAtomic, type AtomicOptions } from '../formats/atomic.ts';
import { readJson } from '../formats/json.ts';
import { placeOfNode, type ViewerGraph, type ViewerNode } from './neuronpedia.ts';

/** The names are those of `qParams` in viewer files. */
export interface Annotations {
  readonly pinnedIds: readonly string[];
  /** Each: its name, then node ids. */
  readonly supernodes: readonly (readonly string[])[];
  readonly clickedId: string;
  /** Positions in the subgraph: `id:x,y` joined by `;`, as fractions of the panel. */
  readonly sg_pos: string;
  /** Labels of single nodes of this graph, by node id. */
  readonly clerps: Readonly<Record<string, string>>;
  readonly notes: string;
}

/** Lengths in UTF-16 units. Far above what a person enters, and small enough that no request fills memory or disk. */
const LIMITS = { id: 200, pinned: 5_000, label: 2_000, positions: 400_000, notes: 200_000 } as const;

const id = v.pipe(v.string(), v.maxLength(LIMITS.id));
const label = v.pipe(v.string(), v.maxLength(LIMITS.label));
const supernode = v.pipe(v.array(label), v.minLength(1), v.maxLength(LIMITS.pinned));

/** Schema of the file and of a request. Missing fields are empty. */
export const annotationsSchema: v.GenericSchema<unknown, Annotations> = jsonObject({
  pinnedIds: v.optional(v.pipe(v.array(id), v.maxLength(LIMITS.pinned)), []),
  supernodes: v.optional(v.pipe(v.array(supernode), v.maxLength(LIMITS.pinned)), []),
  clickedId: v.optional(id, ''),
  sg_pos: v.optional(v.pipe(v.string(), v.maxLength(LIMITS.positions)), ''),
  clerps: v.optional(v.pipe(jsonRecord(id, label), v.maxEntries(LIMITS.pinned)), {}),
  notes: v.optional(v.pipe(v.string(), v.maxLength(LIMITS.notes)), ''),
});

export function emptyAnnotations(): Annotations {
  return { pinnedIds: [], supernodes: [], clickedId: '', sg_pos: '', clerps: {}, notes: '' };
}

/** The annotations in a viewer file. */
export function annotationsOf({ qParams }: ViewerGraph): Annotations {
  const { pinnedIds, supernodes, clickedId } = qParams;
  const sg_pos = qParams.tracer_positions ?? qParams.sg_pos;
  return { ...emptyAnnotations(), pinnedIds, supernodes, clickedId, sg_pos };
}

/**
 * The graph as other viewers show it with these annotations: in `qParams`, and labels as `clerp`, those of nodes before those of
 * features.
 * @param labels of features, by `LAYER_FEATURE`
 */
export function withAnnotations(
  graph: ViewerGraph,
  annotations: Annotations,
  labels: Readonly<Record<string, string>> = {},
): ViewerGraph {
  const { pinnedIds, supernodes, clickedId } = annotations;
  // circuit-tracer's page reads `sg_pos` as plain numbers in another order, so tracer's positions have a name of their own.
  const places = annotations.sg_pos === '' ? {} : { tracer_positions: annotations.sg_pos };
  const clerps = new Map(Object.entries(annotations.clerps));
  const ofFeature = (node: ViewerNode): string | undefined => {
    const place = placeOfNode(node);
    return place ? labels[`${place.layer}_${place.feature}`] : undefined;
  };
  return {
    ...graph,
    qParams: { pinnedIds, supernodes, linkType: 'both', clickedId, sg_pos: '', ...places },
    nodes: graph.nodes.map((node) => ({
      ...node,
      clerp: clerps.get(node.node_id) ?? ofFeature(node) ?? node.clerp,
    })),
  };
}

const EXTENSION = '.annotations.json';

/** `SLUG.annotations.json` beside the graph. */
export function annotationsPath(graphFile: string): string {
  const { dir, name } = path.parse(graphFile);
  return path.join(dir, `${name}${EXTENSION}`);
}

/** Whether a file would be taken for the annotations of a graph. */
export function isAnnotationsFile(file: string): boolean {
  return file.toLowerCase().endsWith(EXTENSION);
}

/** Null when there is no file yet. Throws `BadFileError` that names the file and the field. */
export async function readAnnotations(file: string): Promise<Annotations | null> {
  try {
    return await readJson(file, annotationsSchema);
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}

/** The file appears complete or not at all. */
export async function writeAnnotations(
  file: string,
  annotations: Annotations,
  options?: AtomicOptions,
): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(annotations, null, 2)}\n`, options);
}
