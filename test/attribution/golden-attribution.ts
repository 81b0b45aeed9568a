/** What attribution has to find of a golden graph. */
import { expect } from '@jest/globals';
import type { Attribution } from '../../src/attribution/attribute.ts';
import type { Graph } from '../../src/graph/graph.ts';
import type { Tolerances } from '../support/golden.ts';
import { expectValues } from '../support/tensors.ts';

export function expectGraph(result: Attribution, graph: Graph, tolerance: Tolerances): void {
  expect([...result.features.indices]).toEqual([...graph.active_features]);
  expectValues('activations', result.features.values, graph.activation_values, tolerance.transcoder);
  expect(result.targets.ids).toEqual([...graph.logit_token_ids]);
  expectValues(
    'logit probabilities',
    result.targets.probabilities,
    graph.logit_probabilities,
    tolerance.probabilities_influence_scores,
  );
  expect([...result.selected]).toEqual([...graph.selected_features]);
  expectValues('edges', result.edges, graph.edges, tolerance.adjacency);
}
