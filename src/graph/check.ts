/** Graph, reading: checks that the arrays of a file are consistent. */

import { firstNonFinite } from '../formats/dtype.ts';
import { BadFileError } from '../errors.ts';
import { FEATURE_FIELDS, type Graph } from './graph.ts';

/**
 * Throws `BadFileError` unless indices are in range and in order, numbers are finite, probabilities and influences are not
 * negative, and every edge goes from a lower layer to a higher one (so that the graph has no cycle).
 */
export function checkGraph(file: string, graph: Graph): void {
  checkActiveFeatures(file, graph);
  checkAscending(file, 'selected_features', graph.selected_features, graph.activation_values.length);
  checkNotNegative(file, 'input_tokens', graph.input_tokens);
  checkNotNegative(file, 'logit_token_ids', graph.logit_token_ids);
  for (const name of ['edges', 'activation_values', 'logit_probabilities', 'node_influence'] as const) {
    const place = firstNonFinite(graph[name]);
    if (place >= 0) throw bad(file, name, `entry ${place} is ${graph[name][place]!}`);
  }
  checkNotNegative(file, 'logit_probabilities', graph.logit_probabilities);
  checkNotNegative(file, 'node_influence', graph.node_influence);
  checkDirections(file, graph);
}

function checkActiveFeatures(file: string, { active_features, layout }: Graph): void {
  const { n_layers, n_pos } = layout;
  const at = (row: number, field: number): number => active_features[row * FEATURE_FIELDS + field]!;
  for (let row = 0; row < active_features.length / FEATURE_FIELDS; row++) {
    const [layer, position, feature] = [at(row, 0), at(row, 1), at(row, 2)];
    const found = `row ${row} is (layer ${layer}, position ${position}, feature ${feature})`;
    if (layer < 0 || layer >= n_layers || position < 0 || position >= n_pos || feature < 0) {
      throw bad(file, 'active_features', `${found}, but there are ${n_layers} layers and ${n_pos} positions`);
    }
    if (row === 0) continue;
    const step = layer - at(row - 1, 0) || position - at(row - 1, 1) || feature - at(row - 1, 2);
    if (step <= 0) {
      throw bad(file, 'active_features', `${found}, but rows differ and are sorted by these three`);
    }
  }
}

function checkAscending(file: string, name: string, indices: Int32Array, count: number): void {
  indices.forEach((index, i) => {
    if (index < 0 || index >= count) throw bad(file, name, `entry ${i} is ${index}, but there are ${count}`);
    if (i > 0 && index <= indices[i - 1]!) {
      throw bad(file, name, `entry ${i} is ${index} after ${indices[i - 1]!}: entries ascend`);
    }
  });
}

function checkNotNegative(file: string, name: string, values: Int32Array | Float32Array): void {
  const place = values.findIndex((value) => value < 0);
  if (place >= 0) throw bad(file, name, `entry ${place} is ${values[place]!}, which is negative`);
}

/** Features of one layer are never connected, and logits have no outgoing edges. */
function checkDirections(file: string, graph: Graph): void {
  const { layout, edges, selected_features, active_features } = graph;
  const layerOf = (node: number): number => active_features[selected_features[node]! * FEATURE_FIELDS]!;
  let ownLayerStart = 0;
  for (let row = 0; row < layout.n_rows; row++) {
    if (row < layout.n_features && layerOf(row) !== layerOf(ownLayerStart)) ownLayerStart = row;
    const start = row * layout.n_nodes;
    const fault = (column: number): BadFileError =>
      bad(
        file,
        'edges',
        `row ${row} has an edge from column ${column}, which is not below its target: the graph has a cycle`,
      );
    if (row < layout.n_features) {
      for (let column = ownLayerStart; column < layout.n_features; column++) {
        if (edges[start + column] !== 0) throw fault(column);
      }
    }
    for (let column = layout.logits.start; column < layout.n_nodes; column++) {
      if (edges[start + column] !== 0) throw fault(column);
    }
  }
}

function bad(file: string, tensor: string, fault: string): BadFileError {
  return new BadFileError({
    code: 'graph_values',
    message: `${file}: tensor ${tensor}: ${fault}.`,
    hint: 'The file is damaged, or neither `tracer attribute` nor circuit-tracer wrote it. Attribute the prompt again.',
  });
}
