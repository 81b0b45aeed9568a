/** Mcp, tool `graph_report`: a page about a graph for people, with boxes switched off in the model that is held. */
import path from 'node:path';
import * as v from 'valibot';
import { reportIn } from '../../engine/report/report.ts';
import { REPORT_FORMATS } from '../../engine/report/types.ts';
import { strictJsonObject } from '../../formats/json-object.ts';
import { FEWEST_BOXES, SUGGEST_DEFAULTS } from '../../suggest/limits.ts';
import { defineTool, described, listLength } from '../tool.ts';
import { graphArgument } from './shared.ts';

/** Of the page, and of what is written beside it. */
const ENDINGS = { html: ['.html'], markdown: ['.md', '.svg'] } as const;

export const graphReport = defineTool({
  name: 'graph_report',
  title: 'Write a page about a graph',
  description:
    'Writes a page about a graph for people: the suggested circuit as a figure, its supernodes with labels and examples, the change of the answer without each of them (predicted by the graph and measured in the model), scores, provenance.',
  writes: true,
  input: strictJsonObject({
    graph: graphArgument,
    format: v.optional(described(v.picklist(REPORT_FORMATS), 'Format of the page (default html)'), 'html'),
    max_boxes: listLength(SUGGEST_DEFAULTS.maxBoxes, 'Boxes at most', FEWEST_BOXES),
  }),
  work: async ({ graph, format, max_boxes }, workspace, call) => {
    const file = await workspace.graphFile(graph);
    const { name } = path.parse(file);
    return await workspace.withModel(call, async (session) => {
      const page = await workspace.freeName(`${name}.report`, ENDINGS[format]);
      const result = await reportIn(session, {
        ...{ ...call, file, format, maxBoxes: max_boxes, circuit: 'suggested' },
        cacheDir: workspace.common.cacheDir,
        output: path.join(workspace.folder, page + ENDINGS[format][0]),
      });
      const { circuit, effects, scores, targets, files } = result;
      return {
        short: {
          files: files.map((written) => written.path),
          measured: effects.measured,
          without: effects.rows.map(({ box, changes, says }) => ({
            box: box === null ? null : circuit.boxes[box]!.name,
            changes: changes.map(({ predicted, measured }, i) => ({
              target: targets[effects.targets[i]!]!.token,
              predicted,
              measured,
            })),
            says,
          })),
          scores,
        },
        full: result,
      };
    });
  },
});
