/** Study, `circuit`: nodes and links of graphs, matched by layer, feature and place. A place is a position counted from one end. */
import type { Study } from './open.ts';
import { chooseGraphs } from './sample.ts';

/** From which end positions are counted: prompts of different lengths agree at one of them. */
export type Alignment = 'end' | 'start';

/** The key of the explained tokens, which are one node: prompts have other answers. */
export const ANSWER = 'answer';

export interface AlignedNode {
  /** The same in all graphs. */
  readonly key: string;
  readonly kind: 'feature' | 'error' | 'token' | 'logit';
  readonly layer: number;
  /** From the end -1, -2, …; from the start 0, 1, … */
  readonly place: number;
  readonly feature: number;
  readonly n_graphs: number;
  /** Mean over the graphs that have it. */
  readonly activation: number;
}

export interface AlignedLink {
  readonly source: string;
  readonly target: string;
  readonly n_graphs: number;
  /** Mean over all graphs, zero where it is not; over several answers weighted by their probability. */
  readonly weight: number;
}

export interface AlignedToken {
  readonly place: number;
  readonly token: string;
  readonly token_id: number;
  readonly n_graphs: number;
}

export interface AlignedGraphs {
  readonly n_graphs: number;
  readonly nodes: readonly AlignedNode[];
  readonly links: readonly AlignedLink[];
  /** For each place, the most frequent first. */
  readonly tokens: readonly AlignedToken[];
  /** Most likely answers, the most frequent first. */
  readonly answers: readonly Omit<AlignedToken, 'place'>[];
  /** Means over graphs. */
  readonly probability: number;
  readonly replacement: number;
  readonly completeness: number;
}

/** The key of a feature at a place. */
export function featureKey({
  layer,
  place,
  feature,
}: Pick<AlignedNode, 'layer' | 'place' | 'feature'>): string {
  return ['feature', layer, place, feature].join(':');
}

/** Nodes with their keys; of several explained tokens each has its share of their probability. */
function alignedSql(align: Alignment): string {
  const place = align === 'end' ? 'position_from_end' : 'position';
  return `aligned AS (
    SELECT graph, node, kind, coalesce(layer, 0) AS layer, ${place} AS place, coalesce(feature, 0) AS feature, activation, token, token_id,
      probability,
      CASE kind WHEN 'logit' THEN '${ANSWER}' ELSE concat_ws(':', kind, coalesce(layer, 0), ${place}, coalesce(feature, 0)) END AS key,
      CASE kind WHEN 'logit' THEN probability::DOUBLE / sum(probability::DOUBLE) OVER (PARTITION BY graph, kind) ELSE 1 END AS part
    FROM nodes SEMI JOIN chosen USING (graph))`;
}

/** @param graphs numbers in the study, at least one */
export async function readAligned(
  study: Study,
  graphs: readonly number[],
  align: Alignment,
): Promise<AlignedGraphs> {
  await chooseGraphs(study, graphs);
  const aligned = alignedSql(align);
  const read = (sql: string): Promise<unknown[][]> => study.database.rows(`WITH ${aligned} ${sql}`);
  const nodes = await read(
    `SELECT key, first(kind), first(layer), first(place), first(feature), count(DISTINCT graph)::INTEGER, avg(activation::DOUBLE)
     FROM aligned WHERE kind <> 'logit' GROUP BY key ORDER BY 3, 4, 5, key`,
  );
  const links = await read(
    `SELECT s.key, t.key, count(DISTINCT e.graph)::INTEGER, sum(e.weight::DOUBLE * t.part) / ${graphs.length} FROM edges e
     JOIN aligned s ON s.graph = e.graph AND s.node = e.source JOIN aligned t ON t.graph = e.graph AND t.node = e.target
     GROUP BY ALL ORDER BY ALL`,
  );
  const tokens = await read(
    `SELECT place, token, token_id, count(*)::INTEGER AS n FROM aligned WHERE kind = 'token' GROUP BY ALL
     ORDER BY place, n DESC, token_id, token`,
  );
  const answers = await read(
    `SELECT token, token_id, count(*)::INTEGER AS n FROM (
       SELECT * FROM aligned WHERE kind = 'logit' QUALIFY row_number() OVER (PARTITION BY graph ORDER BY node) = 1)
     GROUP BY ALL ORDER BY n DESC, token_id, token`,
  );
  const [means] = await study.database.rows(
    `SELECT (SELECT avg(p) FROM (SELECT sum(probability::DOUBLE) AS p FROM nodes SEMI JOIN chosen USING (graph) WHERE kind = 'logit' GROUP BY graph ORDER BY graph)),
       avg(replacement), avg(completeness) FROM graphs SEMI JOIN chosen USING (graph)`,
  );
  const [probability, replacement, completeness] = means as [number, number, number];
  return {
    n_graphs: graphs.length,
    nodes: nodes.map((row) => nodeOf(row)),
    links: links.map(
      ([source, target, n_graphs, weight]) => ({ source, target, n_graphs, weight }) as AlignedLink,
    ),
    tokens: tokens.map(
      ([place, token, token_id, n_graphs]) => ({ place, token, token_id, n_graphs }) as AlignedToken,
    ),
    answers: answers.map(([token, token_id, n_graphs]) => ({ token, token_id, n_graphs }) as AlignedToken),
    ...{ probability, replacement, completeness },
  };
}

function nodeOf([key, kind, layer, place, feature, n_graphs, activation]: unknown[]): AlignedNode {
  return { key, kind, layer, place, feature, n_graphs, activation: activation ?? 0 } as AlignedNode;
}

/** One graph, with the keys of its nodes. */
export interface KeyedGraph {
  readonly nodes: readonly {
    readonly key: string;
    readonly kind: AlignedNode['kind'];
    /** Of a logit. */
    readonly probability: number;
    /** Of a feature. */
    readonly activation: number;
    /** Of a token or a logit. */
    readonly token_id: number;
  }[];
  /** Numbers in `nodes`. */
  readonly edges: readonly { readonly source: number; readonly target: number; readonly weight: number }[];
}

/** In the order of `graphs`. */
export async function readKeyed(
  study: Study,
  graphs: readonly number[],
  align: Alignment,
): Promise<KeyedGraph[]> {
  await chooseGraphs(study, graphs);
  const found = new Map(graphs.map((graph): [number, Building] => [graph, { nodes: [], edges: [] }]));
  const nodes = await study.database.rows(
    `WITH ${alignedSql(align)} SELECT graph, key, kind, coalesce(probability, 0), coalesce(activation, 0), coalesce(token_id, -1) FROM aligned
     ORDER BY graph, node`,
  );
  for (const row of nodes) {
    const [graph, key, kind, probability, activation, token_id] = row as KeyedRow;
    found.get(graph)!.nodes.push({ key, kind, probability, activation, token_id });
  }
  const edges = await study.database.rows(
    'SELECT graph, source, target, weight FROM edges SEMI JOIN chosen USING (graph) ORDER BY ALL',
  );
  for (const [graph, source, target, weight] of edges as [number, number, number, number][]) {
    found.get(graph)!.edges.push({ source, target, weight });
  }
  return graphs.map((graph) => found.get(graph)!);
}

type KeyedRow = [
  graph: number,
  key: string,
  kind: AlignedNode['kind'],
  probability: number,
  activation: number,
  token_id: number,
];

interface Building {
  readonly nodes: KeyedGraph['nodes'][number][];
  readonly edges: KeyedGraph['edges'][number][];
}
