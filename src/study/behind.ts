/** Study: the graphs behind a row of `common` or `contrast`: those of some groups that have a feature or a link, with its values. */
import { inGroups } from './groups.ts';
import type { Study } from './open.ts';
import { LINK_ENDS } from './sample.ts';
import { literal, quoted } from './tables.ts';

/** Ends of a link are features (`1/392`), `token` or `answer`. */
export type Sought =
  { readonly layer: number; readonly feature: number } | { readonly source: string; readonly target: string };

export interface GraphBehind {
  readonly graph: number;
  readonly slug: string;
  readonly file: string;
  readonly prompt: string;
  readonly answer: string | null;
  readonly group: string;
  /** Summed over positions, as `contrast` compares it. */
  readonly influence: number;
  /** Of the most influential node; null for a link. */
  readonly activation: number | null;
  /** Of the most influential link; null for a feature. */
  readonly weight: number | null;
  /** The token at that node, or at the target of that link. */
  readonly token: string | null;
  /** That node, or the source and the target of that link, as graphs name them. */
  readonly nodes: readonly string[];
}

/** The most influential first. @param column its name in `graphs`; groups are its values as text */
export async function graphsBehind(
  { database }: Study,
  column: string,
  groups: readonly string[],
  sought: Sought,
): Promise<GraphBehind[]> {
  const found = 'feature' in sought ? featureSql(sought) : linkSql(sought);
  const rows = await database.rows(
    `WITH wanted AS (SELECT * FROM graphs WHERE ${inGroups(column, groups)}), ${found}
     SELECT g.graph, g.slug, g.file, g.prompt, g.answer, CAST(g.${quoted(column)} AS VARCHAR),
       f.influence, f.activation, f.weight, f.token, f.source, f.target
     FROM wanted g JOIN found f USING (graph) ORDER BY f.influence DESC, g.graph`,
  );
  return rows.map(
    ([graph, slug, file, prompt, answer, group, influence, activation, weight, token, source, target]) =>
      ({
        ...{ graph, slug, file, prompt, answer, group, influence, activation, weight, token },
        nodes: [source, target].filter((id) => id !== null) as string[],
      }) as GraphBehind,
  );
}

function featureSql({ layer, feature }: { readonly layer: number; readonly feature: number }): string {
  return `found AS (
    SELECT graph, sum(influence::DOUBLE) AS influence, arg_max(activation, influence) AS activation, NULL::FLOAT AS weight,
      arg_max(token, influence) AS token, arg_max(id, influence) AS source, NULL::VARCHAR AS target
    FROM nodes SEMI JOIN wanted USING (graph) WHERE kind = 'feature' AND layer = ${layer} AND feature = ${feature} GROUP BY graph)`;
}

function linkSql({ source, target }: { readonly source: string; readonly target: string }): string {
  return `ends AS (
      SELECT graph, node, id, token, ${LINK_ENDS} AS name FROM nodes SEMI JOIN wanted USING (graph) WHERE kind <> 'error'),
    found AS (
      SELECT e.graph, sum(e.influence::DOUBLE) AS influence, NULL::FLOAT AS activation, arg_max(e.weight, e.influence) AS weight,
        arg_max(t.token, e.influence) AS token, arg_max(s.id, e.influence) AS source, arg_max(t.id, e.influence) AS target
      FROM edges e JOIN ends s ON s.graph = e.graph AND s.node = e.source JOIN ends t ON t.graph = e.graph AND t.node = e.target
      WHERE s.name = ${literal(source)} AND t.name = ${literal(target)} GROUP BY e.graph)`;
}
