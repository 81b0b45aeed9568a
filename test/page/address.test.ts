/** The page's state in the address: what Neuronpedia reads, and what comes back from it. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readAddress, writeAddress, type AddressState } from '../../src/picture/address.ts';

const EMPTY: AddressState = {
  slug: 'dallas',
  clickedId: '',
  pinnedIds: [],
  supernodes: [],
  sg_pos: '',
  clerps: {},
  pruningThreshold: null,
  edgeThreshold: null,
};

describe('the address', () => {
  it('has the parameters that Neuronpedia has', () => {
    const query = writeAddress(
      {
        ...EMPTY,
        clickedId: '20_15589_10',
        pinnedIds: ['27_22605_10', 'E_26865_9'],
        supernodes: [['Texas', '20_15589_9', '19_7477_9']],
        clerps: { '23_12237_10': 'say Austin' },
        pruningThreshold: 0.6,
      },
      'densityThreshold=0.99',
    );
    const params = new URLSearchParams(query);
    expect(Object.fromEntries(params)).toEqual({
      densityThreshold: '0.99',
      slug: 'dallas',
      clickedId: '20_15589_10',
      pinnedIds: '27_22605_10,E_26865_9',
      supernodes: '[["Texas","20_15589_9","19_7477_9"]]',
      clerps: '[["23_12237_10","say Austin"]]',
      pruningThreshold: '0.6',
    });
  });

  it('brings every state back', () => {
    const id = fc.stringMatching(/^[0-9E]+_[0-9]+_[0-9]+$/);
    const state = fc.record({
      slug: fc.stringMatching(/^[\w.-]+$/),
      clickedId: id,
      pinnedIds: fc.array(id),
      supernodes: fc.array(fc.tuple(fc.string(), id, id)),
      sg_pos: fc.stringMatching(/^[\w:,;.]*$/),
      clerps: fc.dictionary(id, fc.string()),
      pruningThreshold: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      edgeThreshold: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    });
    fc.assert(
      fc.property(state, (given) => {
        const back = { ...EMPTY, slug: null, ...readAddress(writeAddress(given, 'token=secret')) };
        expect(back).toEqual({ ...given, clerps: { ...given.clerps } });
      }),
    );
  });

  it('does not carry the token on', () => {
    expect(writeAddress(EMPTY, 'token=secret')).not.toContain('secret');
  });

  it.each([
    'supernodes=[["a"',
    'supernodes={}',
    'supernodes=[1,["x",2]]',
    'pruningThreshold=7',
    'clerps=null',
  ])('opens without a part that makes no sense: %s', (part) => {
    const { slug, supernodes = [], pruningThreshold } = readAddress(`slug=dallas&${part}`);
    expect({ slug, supernodes, pruningThreshold }).toEqual({
      slug: 'dallas',
      supernodes: [],
      pruningThreshold: undefined,
    });
  });
});
