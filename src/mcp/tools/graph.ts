/** Mcp, tools that read a graph file, without the model. */
import * as v from 'valibot';
import { pathsOfFile, topOfFile } from '../../engine/graph/graph.ts';
import { strictJsonObject } from '../../formats/json-object.ts';
import { readGraph } from '../../graph/files.ts';
import { defineTool, described, listLength, text } from '../tool.ts';
import { graphArgument, labelsOfNodes, shortNode } from './shared.ts';

export const graphTop = defineTool({
  name: 'graph_top',
  title: 'Most influential features of a graph',
  description: 'The features of a graph with the most influence on the explained tokens, best first.',
  input: strictJsonObject({ graph: graphArgument, k: listLength(10, 'Features to list') }),
  work: async ({ graph, k }, workspace) => {
    const file = await workspace.graphFile(graph);
    const result = await topOfFile(file, k);
    const labels = await labelsOfNodes(workspace, await readGraph(file), result.top);
    return { short: { prompt: result.prompt, top: result.top.map((node) => shortNode(node, labels)) } };
  },
});

const nodeNames = v.optional(v.array(text), []);

export const graphPaths = defineTool({
  name: 'graph_paths',
  title: 'Strongest paths of a graph',
  description:
    'The strongest paths between nodes of a graph, by default from any token to any explained token. A node is named by its id or by its token.',
  input: strictJsonObject({
    graph: graphArgument,
    from: described(nodeNames, 'Nodes that a path may start at (default: all tokens)'),
    to: described(nodeNames, 'Nodes that a path may end at (default: all explained tokens)'),
    k: listLength(5, 'Paths to list'),
  }),
  work: async ({ graph, from, to, k }, workspace) => {
    const file = await workspace.graphFile(graph);
    const result = await pathsOfFile(file, { from, to }, k);
    const nodes = result.paths.flatMap((path) => path.nodes);
    const labels = await labelsOfNodes(workspace, await readGraph(file), nodes);
    return {
      short: {
        paths: result.paths.map(({ strength, nodes: along, steps }) => ({
          strength,
          nodes: along.map((node) => shortNode(node, labels)),
          weights: steps.map(({ weight }) => weight),
        })),
      },
      full: result,
    };
  },
});
