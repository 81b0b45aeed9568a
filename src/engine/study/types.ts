/** Engine, studies: types of the requests and the results. */
import type { PruneOptions } from '../../graph/prune.ts';
import type { MetadataColumn } from '../../study/metadata-columns.ts';
import type { QueryTable } from '../../study/query.ts';
import type { CommonOptions } from '../request.ts';
import type { SavedFileResult } from '../result.ts';

type Watched = Pick<CommonOptions, 'signal' | 'onProgress'>;

export interface CollectRequest extends PruneOptions, Watched {
  /** Folders that `attribute --prompts` wrote to. */
  readonly folders: readonly string[];
  /** Folder of the study; one that is there is replaced. */
  readonly output: string;
  /** Leaves out graphs that are missing or damaged, instead of stopping at them. */
  readonly skipDamaged?: boolean | undefined;
}

export interface SkippedGraph {
  readonly slug: string;
  readonly message: string;
}

export interface CollectResult {
  readonly study: string;
  readonly n_graphs: number;
  readonly n_nodes: number;
  readonly n_edges: number;
  readonly n_features: number;
  readonly skipped: readonly SkippedGraph[];
  /** Columns of the list of prompts, by their names in the table `graphs`. */
  readonly metadata: readonly Pick<MetadataColumn, 'name' | 'column' | 'type'>[];
  readonly files: readonly SavedFileResult[];
  readonly peak_rss_bytes: number;
}

export interface QueryRequest extends Watched {
  readonly study: string;
  readonly sql: string;
}

export interface QueryResult extends QueryTable {
  readonly study: string;
  readonly n_rows: number;
}
