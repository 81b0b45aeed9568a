/** Study: the influence of features and links in each of some graphs, summed over positions, so that prompts can be compared. */
import type { Study } from './open.ts';

/** A feature, or a link between features, tokens and answers, and the graphs that have it. */
export interface Measured {
  /** `1/392`, or `1/392 → answer`; the same in all graphs. */
  readonly name: string;
  /** Indices of the graphs in the sample, ascending. */
  readonly at: readonly number[];
  /** Influence in these; in the others it is zero. */
  readonly values: readonly number[];
}

export interface MeasuredFeature extends Measured {
  readonly layer: number;
  readonly feature: number;
}

/** Ends are features (`1/392`), `token` or `answer`: prompts have other words, so words do not tell them apart. */
export interface MeasuredLink extends Measured {
  readonly source: string;
  readonly target: string;
}

export interface Sample {
  readonly n_graphs: number;
  readonly features: readonly MeasuredFeature[];
  readonly links: readonly MeasuredLink[];
}

/** SQL of a node of `nodes` as the end of a link. */
export const LINK_ENDS =
  "CASE kind WHEN 'feature' THEN concat(layer, '/', feature) WHEN 'logit' THEN 'answer' ELSE 'token' END";

/** @param graphs numbers in the study. Links of errors are left out: they stand for what the features do not explain. */
export async function readSample(study: Study, graphs: readonly number[]): Promise<Sample> {
  await chooseGraphs(study, graphs);
  const place = new Map(graphs.map((graph, i) => [graph, i]));
  const features = await rowsOf(
    study,
    `SELECT graph, layer, feature, sum(influence::DOUBLE) FROM nodes SEMI JOIN chosen USING (graph)
     WHERE kind = 'feature' GROUP BY ALL ORDER BY layer, feature, graph`,
  );
  const links = await rowsOf(
    study,
    `WITH ends AS (
       SELECT graph, node, ${LINK_ENDS} AS name
       FROM nodes SEMI JOIN chosen USING (graph) WHERE kind <> 'error')
     SELECT e.graph, s.name, t.name, sum(e.influence::DOUBLE) FROM edges e
     JOIN ends s ON s.graph = e.graph AND s.node = e.source JOIN ends t ON t.graph = e.graph AND t.node = e.target
     GROUP BY ALL ORDER BY 2, 3, 1`,
  );
  return {
    n_graphs: graphs.length,
    features: collected(features, place, (layer, feature) => ({
      ...{ name: `${layer}/${feature}`, layer: layer as number, feature: feature as number },
    })),
    links: collected(links, place, (source, target) => ({
      ...{ name: `${source} → ${target}`, source: source as string, target: target as string },
    })),
  };
}

/** The table `chosen`, which lives in memory as long as the study is open. */
export async function chooseGraphs({ database }: Study, graphs: readonly number[]): Promise<void> {
  await database.run(
    `CREATE OR REPLACE TEMP TABLE chosen AS SELECT unnest([${graphs.join(', ')}]::INTEGER[]) AS graph`,
  );
}

type Row = readonly [graph: number, first: number | string, second: number | string, value: number];

async function rowsOf({ database }: Study, sql: string): Promise<Row[]> {
  return (await database.rows(sql)) as unknown as Row[];
}

/** Rows of one name follow one another. */
function collected<T extends { readonly name: string }>(
  rows: readonly Row[],
  place: ReadonlyMap<number, number>,
  describe: (first: number | string, second: number | string) => T,
): (T & Measured)[] {
  const found: (T & { readonly at: number[]; readonly values: number[] })[] = [];
  let last: readonly [number | string, number | string] | undefined;
  for (const [graph, first, second, value] of rows) {
    if (last?.[0] !== first || last[1] !== second) {
      found.push({ ...describe(first, second), at: [], values: [] });
      last = [first, second];
    }
    const { at, values } = found.at(-1)!;
    at.push(place.get(graph)!);
    values.push(value);
  }
  return found;
}
