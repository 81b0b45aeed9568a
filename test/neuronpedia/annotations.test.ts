/** Pins, supernodes and labels to the site's form and back. */
import { describe, expect, it } from '@jest/globals';
import { emptyAnnotations, type Annotations } from '../../src/graph/annotations.ts';
import type { ViewerNode } from '../../src/graph/neuronpedia.ts';
import { ownAnnotations, siteAnnotations } from '../../src/neuronpedia/annotations.ts';

function node(node_id: string, layer: string, feature: number, ctx_idx: number): ViewerNode {
  return { node_id, layer, feature, ctx_idx } as ViewerNode;
}

/** `2_7_4` is feature 7 of layer 2; the field `feature` holds the two numbers paired. */
const nodes = [
  node('2_7_4', '2', 52, 4),
  node('3_8_4', '3', 74, 4),
  node('E_26_4', 'E', 4, 4),
  node('27_99_4', '27', 99, 4),
];
const annotations: Annotations = {
  ...emptyAnnotations(),
  pinnedIds: ['2_7_4', '3_8_4', 'E_26_4', '9_9_9'],
  supernodes: [
    ['Texas', '2_7_4', '9_9_9'],
    ['gone', '9_9_9', '8_8_8'],
  ],
  clerps: { '2_7_4': 'the state', '27_99_4': 'Austin', '7_7_7': 'nothing' },
};

describe('annotations on their way to the site', () => {
  it('keep what the graph holds and tell what it does not', () => {
    const { held, missing } = siteAnnotations(annotations, { nodes });
    expect(held.pinnedIds).toEqual(['2_7_4', '3_8_4', 'E_26_4']);
    expect(held.supernodes).toEqual([['Texas', '2_7_4']]);
    expect([...missing].sort()).toEqual(['7_7_7', '8_8_8', '9_9_9']);
  });

  it('have labels under the key of the page and under the id', () => {
    expect(siteAnnotations(annotations, { nodes }).held.clerps).toEqual([
      ['2_52_4', 'the state'],
      ['2_7_4', 'the state'],
      ['27_99_4', 'Austin'],
    ]);
  });

  it('have no label under an id that is the key of another node', () => {
    const other = node('2_3_4', '2', 7, 4); // its key is 2_7_4
    const { clerps } = siteAnnotations(annotations, { nodes: [...nodes, other] }).held;
    expect(clerps).toEqual([
      ['2_52_4', 'the state'],
      ['27_99_4', 'Austin'],
    ]);
  });

  it('come back as they were', () => {
    const { held } = siteAnnotations(annotations, { nodes });
    expect(ownAnnotations('the subgraph', held, { nodes })).toEqual({
      held: {
        ...emptyAnnotations(),
        pinnedIds: held.pinnedIds,
        supernodes: held.supernodes,
        clerps: { '2_7_4': 'the state', '27_99_4': 'Austin' },
      },
      missing: [],
    });
  });
});

describe('annotations from the site', () => {
  it('are refused when there are more or longer ones than a file holds', () => {
    const site = { pinnedIds: ['2_7_4'], supernodes: [['x'.repeat(3000), '2_7_4']], clerps: [] };
    expect(() => ownAnnotations('the link', site, { nodes })).toThrow('the link: more or longer');
  });

  it('may be anything that is a list of texts', () => {
    const site = {
      pinnedIds: ['', '2_7_4', '2_7_4'],
      supernodes: [[], ['empty']],
      clerps: [[], ['2_52_4'], ['2_52_4', '']],
    };
    expect(ownAnnotations('the link', site, { nodes })).toEqual({
      held: { ...emptyAnnotations(), pinnedIds: ['2_7_4'] },
      missing: [''],
    });
  });
});
