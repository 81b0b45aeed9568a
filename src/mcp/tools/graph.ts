/** Mcp, tools that read a graph file, without the model. */
import * as v from 'valibot';
import { pathsOfFile, topOfFile } from '../../engine/graph/graph.ts';
import { suggestForFile } from '../../engine/graph/suggest.ts';
import { strictJsonObject } from '../../formats/json-object.ts';
import { readGraph } from '../../graph/files.ts';
import { FEWEST_BOXES, SUGGEST_DEFAULTS } from '../../suggest/limits.ts';
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

/** Of a suggested circuit: an agent reads all of them. */
const LISTED_LINKS = 15;

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

export const graphSuggest = defineTool({
  name: 'graph_suggest',
  title: 'Suggest a circuit',
  description:
    'The circuit of a graph that is worth talking about: features grouped into a few named boxes, with the links between them, and scores beside those of the whole pruned graph.',
  input: strictJsonObject({
    graph: graphArgument,
    max_boxes: listLength(SUGGEST_DEFAULTS.maxBoxes, 'Boxes at most', FEWEST_BOXES),
  }),
  work: async ({ graph, max_boxes }, workspace) => {
    const file = await workspace.graphFile(graph);
    const { cacheDir } = workspace.common;
    const result = await suggestForFile(file, { maxBoxes: max_boxes, cacheDir });
    const { boxes, links, scores, n_features, left_out } = result;
    const name = (box: number): string => boxes[box]!.name;
    const strongest = links.slice(0, LISTED_LINKS).map((link) => ({
      ...link,
      source: name(link.source),
      target: name(link.target),
    }));
    return {
      short: { boxes, links: strongest, n_links: links.length, scores, n_features, left_out },
      full: result,
    };
  },
});
