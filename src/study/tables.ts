/** Study, tables: the columns of the four tables, which `docs/study.md` explains. Scripts read them by these names. */

export const TABLE_NAMES = ['graphs', 'nodes', 'edges', 'features'] as const;
export type TableName = (typeof TABLE_NAMES)[number];

export const TABLE_SUFFIX = '.parquet';

/** Types as DuckDB names them. */
export type ColumnType = 'INTEGER' | 'BIGINT' | 'FLOAT' | 'DOUBLE' | 'BOOLEAN' | 'VARCHAR' | 'VARCHAR[]';
export type Columns = Readonly<Record<string, ColumnType>>;

/** A row a graph, in the order of the list of prompts. Columns of the list follow. */
export const GRAPH_COLUMNS = {
  /** Number of the graph in the study, from 0. */
  graph: 'INTEGER',
  slug: 'VARCHAR',
  /** Of the list of prompts. */
  line: 'INTEGER',
  /** As the list has it. */
  prompt: 'VARCHAR',
  /** Name of the graph file, without its folder. */
  file: 'VARCHAR',
  tokens: 'VARCHAR[]',
  n_tokens: 'INTEGER',
  /** The most likely explained token. */
  answer: 'VARCHAR',
  answer_probability: 'DOUBLE',
  replacement: 'DOUBLE',
  completeness: 'DOUBLE',
  /** What pruning left. */
  n_nodes: 'INTEGER',
  n_features: 'INTEGER',
  n_edges: 'INTEGER',
  node_threshold: 'DOUBLE',
  edge_threshold: 'DOUBLE',
} as const satisfies Columns;

/** A row a node that pruning left. */
export const NODE_COLUMNS = {
  graph: 'INTEGER',
  /** Number of the node among those of its graph, from 0. */
  node: 'INTEGER',
  /** As viewers and commands name it. */
  id: 'VARCHAR',
  /** feature, error, token or logit */
  kind: 'VARCHAR',
  layer: 'INTEGER',
  position: 'INTEGER',
  /** -1 is the last token. */
  position_from_end: 'INTEGER',
  feature: 'INTEGER',
  token: 'VARCHAR',
  token_id: 'INTEGER',
  activation: 'FLOAT',
  probability: 'FLOAT',
  /** Of the whole graph. */
  influence: 'FLOAT',
} as const satisfies Columns;

/** A row a link that pruning left, by target, then source. */
export const EDGE_COLUMNS = {
  graph: 'INTEGER',
  source: 'INTEGER',
  target: 'INTEGER',
  /** Direct effect. */
  weight: 'FLOAT',
  /** Of the target's influence (of a logit: its probability), what this link passes on: its share of the absolute weights left. */
  influence: 'FLOAT',
} as const satisfies Columns;

/** A row a feature of the set that is in any graph. */
export const FEATURE_COLUMNS = {
  layer: 'INTEGER',
  feature: 'INTEGER',
  n_graphs: 'INTEGER',
  n_nodes: 'INTEGER',
  /** Summed over positions, averaged over all graphs; where it is not in a graph it counts as zero. */
  mean_influence: 'DOUBLE',
  max_activation: 'FLOAT',
  /** Where that activation is. */
  max_token: 'VARCHAR',
} as const satisfies Columns;

/** In front of the columns of the list of prompts, so that they cannot be mistaken for others. */
export const METADATA_PREFIX = 'meta_';

/** A name in SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text in SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
