import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { groupIds, groupKeys, groupPinned, ungroup } from '../../src/picture/groups.ts';
import { labelsFrom } from '../../src/picture/labels.ts';
import { makePicture } from '../../src/picture/picture.ts';
import { formatPositions, parsePositions, placeSubgraph } from '../../src/picture/place-subgraph.ts';
import { supernodeView } from '../../src/picture/subgraph.ts';
import { arbitraryViewer, feature, smallViewer, viewer } from './graphs.ts';

const picture = makePicture(smallViewer());
const labelOf = labelsFrom(picture, {}, {});
const view = (pinned: string[], supernodes: string[][] = []) =>
  supernodeView(picture, pinned, supernodes, labelOf);

describe('the subgraph of pinned nodes', () => {
  it('has a box for each pinned node or group, and none for what is not in the graph', () => {
    const { nodes } = view(['0_5_1', '0_6_1', '1_7_1', 'gone'], [['both', '0_5_1', '0_6_1', '3_40_1']]);
    expect(nodes.map(({ key, name }) => [key, name])).toEqual([
      ['1_7_1', '1/7'],
      ['supernode-0', 'both'],
    ]);
    expect(nodes[1]!.members).toHaveLength(2); // the logit is a member, but not pinned
  });

  it('sums the weights between the members of groups', () => {
    const { nodes, links } = view(['0_5_1', '0_6_1', '3_40_1'], [['both', '0_5_1', '0_6_1']]);
    expect(links).toEqual([{ source: 1, target: 0, weight: -2, share: (-4 + 2) / 10 }]);
    expect(nodes[0]!.key).toBe('3_40_1');
  });

  it('gives single boxes the links of the graph, with their share of all inputs', () => {
    fc.assert(
      fc.property(arbitraryViewer(), (random) => {
        const whole = makePicture(random);
        const ids = whole.nodes.map(({ id }) => id);
        const { links } = supernodeView(whole, ids, [], labelsFrom(whole, {}, {}));
        expect(links).toHaveLength(whole.linkCount);
        const sums = new Map<number, number>();
        for (const { target, share } of links) sums.set(target, (sums.get(target) ?? 0) + Math.abs(share));
        for (const sum of sums.values()) expect(sum).toBeCloseTo(1, 5);
      }),
      { numRuns: 30 },
    );
  });

  it('shares what a group gets from outside among its sources, however the group is wired inside', () => {
    // A → B lies inside the group of both; what comes from outside is 3 of the tokens for A, 1 of the error for B.
    const { nodes, links } = view(
      ['0_5_1', '1_7_1', 'E_2_0', 'E_9_1', '0_error_1'],
      [['group', '0_5_1', '1_7_1']],
    );
    const group = nodes.findIndex(({ supernode }) => supernode === 0);
    const into = links.filter(({ target }) => target === group);
    const shares = into.map(({ share }) => Math.abs(share));
    expect(shares.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 10);
    // B gets a quarter of its input from outside, A all of it: 0.8 and 0.2 of the group.
    const error = into.find(({ source }) => nodes[source]!.key === '0_error_1')!;
    expect(error.share).toBeCloseTo(0.2, 10);
  });
});

describe('grouping', () => {
  it('makes one group of two boxes, named like the one that was dropped on', () => {
    expect(groupIds([], '0_6_1', '0_5_1', labelOf, picture)).toEqual([
      ['capital <b>&amp;', '0_5_1', '0_6_1'],
    ]);
  });

  it('adds to a group, and keeps its name also when the group is what is dropped', () => {
    const groups = [['ours', 'a', 'b']];
    expect(groupIds(groups, 'c', 'supernode-0', labelOf, picture)).toEqual([['ours', 'a', 'b', 'c']]);
    expect(groupIds(groups, 'supernode-0', 'c', labelOf, picture)).toEqual([['ours', 'c', 'a', 'b']]);
    expect(
      groupKeys([...groups, ['theirs', 'd', 'e']], ['supernode-0', 'supernode-1'], labelOf, picture),
    ).toEqual([['ours', 'a', 'b', 'd', 'e']]);
  });

  it('takes nodes out of the groups they were in, and dissolves a group of one', () => {
    expect(groupPinned([['old', 'a', 'b', 'c']], ['a', 'd'], 'new')).toEqual([
      ['old', 'b', 'c'],
      ['new', 'a', 'd'],
    ]);
    expect(groupPinned([['old', 'a', 'b']], ['a', 'd'], 'new')).toEqual([['new', 'a', 'd']]);
    expect(groupPinned([['old', 'a', 'b']], ['a', 'a'], 'new')).toEqual([['old', 'a', 'b']]);
  });

  it('can be taken back', () => {
    const groups = [
      ['x', 'a', 'b'],
      ['y', 'c', 'd', 'e'],
    ];
    expect(ungroup(groups, 0)).toEqual([groups[1]]);
  });

  it('never has a node in two groups, whatever is grouped in whatever order', () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    fc.assert(
      fc.property(fc.array(fc.array(id, { maxLength: 4 }), { maxLength: 8 }), (steps) => {
        const groups = steps.reduce<string[][]>((old, ids, i) => groupPinned(old, ids, `g${i}`), []);
        const members = groups.flatMap(([, ...ids]) => ids);
        expect(new Set(members).size).toBe(members.length);
        expect(groups.every(({ length }) => length > 2)).toBe(true);
      }),
    );
  });
});

describe('positions of boxes', () => {
  const fraction = fc.double({ min: 0, max: 1, noNaN: true });

  it('come back as they were written, to a ten-thousandth of the panel', () => {
    const id = fc.stringMatching(/^[\w:]{1,12}$/);
    fc.assert(
      fc.property(fc.dictionary(id, fc.record({ x: fraction, y: fraction })), (places) => {
        const read = parsePositions(formatPositions(new Map(Object.entries(places))));
        expect([...read.keys()].sort()).toEqual(Object.keys(places).sort());
        for (const [key, { x, y }] of read) {
          expect(Math.abs(x - places[key]!.x)).toBeLessThanOrEqual(1e-4);
          expect(Math.abs(y - places[key]!.y)).toBeLessThanOrEqual(1e-4);
        }
      }),
    );
  });

  it.each(['100 200 300 400', 'a:1', ':1,2', 'a:x,y', 'a:1.2.3,4', ''])(
    'ignore %j, which is none',
    (text) => {
      expect(parsePositions(text).size).toBe(0);
    },
  );

  it('leave no two boxes on top of each other as long as there is room, and all inside', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(5), fc.nat(9)), { minLength: 1, maxLength: 16 }),
        fc.array(fc.record({ x: fraction, y: fraction }), { maxLength: 2 }),
        (cells, moved) => {
          const tokens = Array.from({ length: 10 }, (_, i) => `t${i}`);
          const nodes = cells.map(([layer, position], i) => feature(layer, i, position));
          const many = makePicture(viewer(tokens, nodes, []));
          const ids = nodes.map(({ node_id }) => node_id);
          const subgraph = supernodeView(many, ids, [], labelsFrom(many, {}, {}));
          const saved = new Map(moved.slice(0, ids.length).map((place, i) => [ids[i]!, place]));
          const places = placeSubgraph(many, subgraph, formatPositions(saved), { width: 0.16, height: 0.1 });
          for (const [i, { x, y }] of places.entries()) {
            if (i < saved.size) continue;
            expect(x >= 0.08 && x <= 0.92 && y >= 0.05 && y <= 0.95).toBe(true);
            for (const [j, other] of places.entries()) {
              if (i === j) continue;
              const apart = Math.abs(other.x - x) >= 0.16 - 1e-9 || Math.abs(other.y - y) >= 0.1 - 1e-9;
              expect(apart).toBe(true);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('put a group where its first member was', () => {
    const subgraph = view(['0_5_1', '0_6_1'], [['both', '0_6_1', '0_5_1']]);
    expect(placeSubgraph(picture, subgraph, '0_5_1:0.1,0.2;0_6_1:0.7,0.8')).toEqual([{ x: 0.7, y: 0.8 }]);
  });
});
