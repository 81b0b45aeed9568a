/** What is refused before a graph is sent. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { TracerError } from '../../src/errors.ts';
import type { ViewerGraph } from '../../src/graph/neuronpedia.ts';
import { parseViewerGraph } from '../../src/graph/read-viewer.ts';
import { checkForUpload } from '../../src/neuronpedia/graph-schema.ts';

const FILE = '../fixtures/golden/tiny-a/expected/graph-files/graph-plt-jumprelu-p2.json';
const graph = parseViewerGraph('graph', readFileSync(path.join(import.meta.dirname, FILE), 'utf8'));

function withNodes(change: (node: ViewerGraph['nodes'][number]) => object | null): ViewerGraph {
  const nodes = graph.nodes.flatMap((node) => {
    const changed = change(node);
    return changed === null ? [] : [{ ...node, ...changed }];
  });
  return { ...graph, nodes };
}

describe('a graph that is to be sent', () => {
  it('passes as the reference writes it', () => {
    expect(() => checkForUpload('graph', graph)).not.toThrow();
  });

  it.each<[string, ViewerGraph, number, string]>([
    ['a name with a dot', { ...graph, metadata: { ...graph.metadata, slug: 'a.b' } }, 2, "'a.b'"],
    ['an empty name', { ...graph, metadata: { ...graph.metadata, slug: '' } }, 2, "''"],
    ['no nodes', { ...graph, nodes: [] }, 4, 'no logits'],
    ['a number that JSON has not', withNodes(() => ({ activation: Infinity })), 4, 'nodes[0].activation'],
    ['a feature that is no whole number', withNodes(() => ({ feature: 1.5 })), 4, 'nodes[0].feature'],
    ['no logits', withNodes(({ feature_type }) => (feature_type === 'logit' ? null : {})), 4, 'no logits'],
    ['a logit without its probability', withNodes(() => ({ clerp: 'Austin' })), 4, '(p=PROBABILITY)'],
    [
      'a single layer',
      withNodes(({ feature_type }) => (feature_type === 'logit' ? {} : { layer: '0' })),
      4,
      'above layer 0',
    ],
  ])('is refused with %s', (_, one, exitCode, words) => {
    expect.assertions(3);
    try {
      checkForUpload('dallas.json', one);
    } catch (error) {
      const { exitCode: found, message, hint } = error as TracerError;
      expect(found).toBe(exitCode);
      expect(message).toContain(words);
      expect(hint).toBeTruthy();
    }
  });
});
