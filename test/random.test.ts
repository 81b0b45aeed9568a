import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Random } from '../src/random.ts';

/** Draws that existing seeds stand for: sampled texts, verified edges and the bytes of the embedded model depend on them. */
const DRAWS = [
  [
    0,
    [0.26642920868471265, 0.0003297457005828619, 0.2232720274478197],
    [0.6470193864487389, 0.26111228284938237],
  ],
  [
    1,
    [0.6270739405881613, 0.002735721180215478, 0.5274470399599522],
    [0.24743032585893687, 0.21153830578373312],
  ],
  [
    2 ** 32 - 1,
    [0.8964226141106337, 0.189478256739676, 0.7156526781618595],
    [0.8735137889281543, 0.6566853256511256],
  ],
] as const;

describe('a random source', () => {
  it.each(DRAWS)('of seed %d makes the draws that it always made', (seed, plain, precise) => {
    const random = new Random(seed);
    expect(plain.map(() => random.next())).toEqual(plain);
    const other = new Random(seed);
    expect(precise.map(() => other.nextPrecise())).toEqual(precise);
  });

  it('makes the choices that it always made', () => {
    const random = new Random(7);
    expect([random.next(), random.next(), random.next()]).toEqual([
      0.011704753153026104, 0.06195825757458806, 0.97690763277933,
    ]);
    expect([random.below(1000), random.normal(), random.pick([...'abcdef'])]).toEqual([
      699,
      -1.006366324094015,
      'c',
    ]);
    expect(random.shuffled([1, 2, 3, 4, 5, 6])).toEqual([6, 4, 1, 5, 3, 2]);
    expect(random.weighted(['x', 'y'], (item) => (item === 'x' ? 1 : 3))).toBe('y');
    expect(random.state).toBe(2335519096);
  });

  it('goes on from its state alone', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.nat(20), (seed, n) => {
        const random = new Random(seed);
        for (let i = 0; i < n; i++) random.nextPrecise();
        const resumed = new Random(random.state);
        expect([resumed.next(), resumed.nextPrecise()]).toEqual([random.next(), random.nextPrecise()]);
      }),
    );
  });

  it('lies between 0 and 1 and does not repeat', () => {
    const random = new Random(0);
    const numbers = Array.from({ length: 10_000 }, () => random.nextPrecise());
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});
