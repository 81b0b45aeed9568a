/** Mcp, tool `validate`: features of a graph are switched off in the model, one by one, and compared with what the graph predicts. */
import * as v from 'valibot';
import { targetNode, validateIn } from '../../engine/validate/validate.ts';
import { strictJsonObject } from '../../formats/json-object.ts';
import { readGraph } from '../../graph/files.ts';
import { defineTool, described, listLength, text } from '../tool.ts';
import { graphArgument, labelled } from './shared.ts';

export const validate = defineTool({
  name: 'validate',
  title: 'Test a graph in the model',
  description:
    'Switches the most influential features of a graph off in the model, one by one, and compares the change of an explained token with what the graph predicts.',
  input: strictJsonObject({
    graph: graphArgument,
    top: listLength(5, 'Features to switch off'),
    target: v.optional(described(text, 'An explained token of the graph, spaces count (default: the first)')),
  }),
  work: async (args, workspace, call) => {
    const file = await workspace.graphFile(args.graph);
    const graph = await readGraph(file);
    const target = targetNode(graph, args.target);
    return await workspace.withModel(call, async (session) => {
      const result = await validateIn(session, graph, target, { ...call, file, top: args.top });
      const features = result.features.map(({ layer, position, feature, token, predicted, actual }) => ({
        layer,
        position,
        feature,
        token,
        predicted,
        actual,
      }));
      return {
        short: {
          target: result.target,
          rank_correlation: result.rank_correlation,
          largest_error: result.largest_error,
          features: await labelled(session, features),
        },
        full: result,
      };
    });
  },
});
