/** Study, writing: rows of graphs, one graph after the other, become four Parquet files. Memory is that of one graph. */
import path from 'node:path';
import {
  Database,
  loadDuckDB,
  type DuckDB,
  type DuckDBAppender,
  type DuckDBType,
  type DuckDBValue,
} from './duckdb.ts';
import { tableFile } from './description.ts';
import type { GraphRows } from './graph-rows.ts';
import type { MetadataColumn, MetadataValue } from './metadata-columns.ts';
import {
  EDGE_COLUMNS,
  FEATURE_COLUMNS,
  GRAPH_COLUMNS,
  literal,
  NODE_COLUMNS,
  quoted,
  TABLE_NAMES,
  type Columns,
  type TableName,
} from './tables.ts';

/** Of DuckDB, for what it holds of the tables; the rest goes to a file until the tables are written. */
const MEMORY_LIMIT = '256MB';
/** DuckDB's own size of a chunk. */
const CHUNK_ROWS = 2048;

/** What a graph has beside its nodes and edges. */
export interface GraphFacts {
  readonly slug: string;
  readonly line: number;
  readonly prompt: string;
  readonly file: string;
  readonly tokens: readonly string[];
  readonly metadata: readonly MetadataValue[];
}

/** Writes the tables of a study into a folder. Dispose it with `using`. */
export class StudyWriter implements Disposable {
  readonly counts = { graphs: 0, nodes: 0, edges: 0, features: 0 };
  readonly #database: Database;
  readonly #folder: string;
  readonly #graphs: TableWriter;
  readonly #nodes: TableWriter;
  readonly #edges: TableWriter;

  private constructor(database: Database, folder: string, tables: readonly TableWriter[]) {
    this.#database = database;
    this.#folder = folder;
    [this.#graphs, this.#nodes, this.#edges] = tables as [TableWriter, TableWriter, TableWriter];
  }

  /** `scratch` is a folder for what is removed afterwards. One thread: rows, and with them the bytes of the files, then have the order in which they were added. */
  static async open(
    folder: string,
    scratch: string,
    metadata: readonly MetadataColumn[],
  ): Promise<StudyWriter> {
    const database = await Database.open(path.join(scratch, 'draft.duckdb'), {
      threads: '1',
      memory_limit: MEMORY_LIMIT,
      temp_directory: scratch,
    });
    try {
      const own = Object.fromEntries(metadata.map(({ column, type }) => [column, type]));
      const tables: [TableName, Columns][] = [
        ['graphs', { ...GRAPH_COLUMNS, ...own }],
        ['nodes', NODE_COLUMNS],
        ['edges', EDGE_COLUMNS],
      ];
      const writers = [];
      for (const [name, columns] of tables) writers.push(await TableWriter.create(database, name, columns));
      return new StudyWriter(database, folder, writers);
    } catch (error) {
      database[Symbol.dispose]();
      throw error;
    }
  }

  /** Graphs are numbered in the order in which they come. */
  add(facts: GraphFacts, { nodes, edges, scores, nodeThreshold, edgeThreshold }: GraphRows): void {
    const graph = this.counts.graphs++;
    this.counts.nodes += nodes.length;
    this.counts.edges += edges.length;
    const n_pos = facts.tokens.length;
    const answer = nodes.find(({ kind }) => kind === 'logit');
    this.#graphs.add([
      ...[graph, facts.slug, facts.line, facts.prompt, facts.file, facts.tokens, n_pos],
      ...[answer?.token ?? null, answer?.probability ?? null],
      ...[scores.replacement, scores.completeness],
      ...[nodes.length, nodes.filter(({ kind }) => kind === 'feature').length, edges.length],
      ...[nodeThreshold, edgeThreshold],
      ...facts.metadata,
    ]);
    nodes.forEach((node, i) => {
      const { id, kind, layer, position, feature, token, token_id, activation, probability, influence } =
        node;
      this.#nodes.add([
        ...[graph, i, id, kind, layer, position, position - n_pos, feature],
        ...[token, token_id, activation, probability, influence],
      ]);
    });
    for (const { source, target, weight, influence } of edges) {
      this.#edges.add([graph, source, target, weight, influence]);
    }
  }

  /** Writes the files. */
  async finish(): Promise<void> {
    for (const table of [this.#graphs, this.#nodes, this.#edges]) table.close();
    await createTable(this.#database, 'features', FEATURE_COLUMNS);
    await this.#database.run(
      `INSERT INTO features
       SELECT layer, feature, count(DISTINCT graph), count(*), sum(influence::DOUBLE) / ${this.counts.graphs},
         max(activation), arg_max(token, activation)
       FROM nodes WHERE kind = 'feature' GROUP BY layer, feature ORDER BY layer, feature`,
    );
    const [found] = (
      await this.#database.connection.runAndReadAll('SELECT count(*) FROM features')
    ).getRowsJS();
    this.counts.features = Number(found![0]);
    for (const table of TABLE_NAMES) {
      const file = tableFile(this.#folder, table);
      await this.#database.run(`COPY ${table} TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd)`);
    }
  }

  [Symbol.dispose](): void {
    this.#database[Symbol.dispose]();
  }
}

export async function createTable(database: Database, name: string, columns: Columns): Promise<void> {
  const definitions = Object.entries(columns).map(([column, type]) => `${quoted(column)} ${type}`);
  await database.run(`CREATE TABLE ${quoted(name)} (${definitions.join(', ')})`);
}

export type Cell = number | bigint | boolean | string | null | readonly string[];

/** Collects rows and appends them in chunks, which is several times quicker than value by value. */
export class TableWriter {
  readonly #duckdb: DuckDB;
  readonly #appender: DuckDBAppender;
  readonly #types: readonly DuckDBType[];
  #columns: DuckDBValue[][];

  private constructor(duckdb: DuckDB, appender: DuckDBAppender) {
    this.#duckdb = duckdb;
    this.#appender = appender;
    this.#types = Array.from({ length: appender.columnCount }, (_, i) => appender.columnType(i));
    this.#columns = this.#types.map(() => []);
  }

  static async create(database: Database, name: string, columns: Columns): Promise<TableWriter> {
    await createTable(database, name, columns);
    return new TableWriter(await loadDuckDB(), await database.connection.createAppender(name));
  }

  add(cells: readonly Cell[]): void {
    for (const [i, cell] of cells.entries()) {
      this.#columns[i]!.push(isList(cell) ? this.#duckdb.listValue(cell) : cell);
    }
    if (this.#columns[0]!.length === CHUNK_ROWS) this.#flush();
  }

  close(): void {
    this.#flush();
    this.#appender.closeSync();
  }

  #flush(): void {
    const rows = this.#columns[0]!.length;
    if (rows === 0) return;
    const chunk = this.#duckdb.DuckDBDataChunk.create(this.#types, rows);
    chunk.setColumns(this.#columns);
    this.#appender.appendDataChunk(chunk);
    this.#columns = this.#columns.map(() => []);
  }
}

function isList(cell: Cell): cell is readonly string[] {
  return typeof cell === 'object' && cell !== null;
}
