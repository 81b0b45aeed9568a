import { describe, expect, it } from '@jest/globals';
import type { DiffResult, PathsResult, ScoresResult } from '../../src/engine/graph/graph.ts';
import type { NodeResult } from '../../src/graph/nodes.ts';
import type { FeatureTotal } from '../../src/graph/totals.ts';
import { diffView, pathsView, scoresView, topView } from '../../src/report/graph-view.ts';
import { lineOf, plain } from './shown.ts';

const none = { layer: null, feature: null, token_id: null, activation: null, probability: null };
const feature: NodeResult = {
  ...none,
  id: '3_7_1',
  kind: 'feature',
  layer: 3,
  position: 1,
  feature: 7,
  token: ' Dallas',
  activation: 2,
  influence: 0.25,
};
const token: NodeResult = {
  ...none,
  id: 'E_5_1',
  kind: 'token',
  position: 1,
  token: '\x1b[2J',
  influence: 0.5,
};
const logit: NodeResult = {
  ...none,
  id: '6_9_1',
  kind: 'logit',
  position: 1,
  token: ' Austin',
  influence: 0,
};

describe('the views of graph', () => {
  it('list features with the tokens they are on, spaces visible', () => {
    const top = [{ ...feature, cumulative_share: 0.425 }];
    const text = topView({ file: 'a', prompt: 'x\ny', top }, plain);
    expect(lineOf(text, '3  ')).toEqual(['3', '1', '·Dallas', '7', '2', '0.25', '42.5 %']);
    expect(lineOf(text, 'prompt')).toEqual(['prompt', 'x\\ny']);
  });

  it('write a path a node a line, and never what a terminal obeys', () => {
    const paths: PathsResult['paths'] = [
      {
        strength: 0.12,
        nodes: [token, feature, logit],
        steps: [
          { weight: -1.5, share: 0.3 },
          { weight: 2, share: 0.4 },
        ],
      },
    ];
    const text = pathsView({ file: 'a', from: [], to: [], paths }, plain);
    expect(lineOf(text, '1  ')).toEqual(['1', '0.12', '\\x1b[2J']);
    expect(text).toContain('→ 3:1:7 on ·Dallas (-1.5)');
    expect(text).toContain('→ ·Austin (2)');
    expect(pathsView({ file: 'a', from: [], to: [], paths: [] }, plain)).toBe(
      'There is no path between them.',
    );
  });

  it('put the scores of pinned features under those of their graph', () => {
    const graphs: ScoresResult['graphs'] = [
      {
        file: 'a.safetensors',
        n_features: 1200,
        scores: { replacement: 0.5, completeness: 0.75 },
        pinned: { n_nodes: 3, n_features: 2, scores: { replacement: 0.25, completeness: 0.5 } },
      },
    ];
    const text = scoresView({ graphs }, plain);
    expect(lineOf(text, 'a.safetensors')).toEqual(['a.safetensors', '1,200', '0.5', '0.75']);
    expect(lineOf(text, 'pinned only')).toEqual(['pinned only', '2', '0.25', '0.5']);
  });

  it('say how many differences there are when not all are listed', () => {
    const total = (n: number): FeatureTotal => ({
      layer: n,
      feature: 1,
      influence: 1 / (n + 1),
      activation: 1,
      positions: [1, 2],
      tokens: [' a', 'b'],
    });
    const result: DiffResult = {
      before: 'a',
      after: 'b',
      n_common: 4,
      n_appeared: 30,
      n_vanished: 1,
      n_changed: 0,
      appeared: Array.from({ length: 30 }, (_, n) => total(n)),
      vanished: [total(0)],
      changed: [],
    };
    const text = diffView(result, plain);
    expect(text).toContain('Appeared (20 of 30)');
    expect(text).toMatch(/Vanished\n/);
    expect(text).not.toContain('Changed most');
    expect(lineOf(text, '19  ')).toEqual(['19', '1', '1', '0.05', '·a b']);
    expect(diffView(result, plain, 5)).toContain('Appeared (5 of 30)');
    expect(diffView(result, plain, 40)).toMatch(/Appeared\n/);
  });
});
