import { describe, expect, it } from '@jest/globals';
import { difference } from '../../src/trainer/checkpoint.ts';

describe('What tells two trainings apart', () => {
  it('is said of recipes by the fields that differ', () => {
    const found = JSON.stringify({ k: 8, seed: 0, layers: [1] });
    const expected = JSON.stringify({ k: 8, seed: 3, layers: [1, 2] });
    expect(difference('recipe', found, expected)).toBe(
      'seed is 0, expected 3; layers is [1], expected [1,2]',
    );
    expect(difference('rows', '{}', '{"field":"t"}')).toBe('field is not given, expected "t"');
  });

  it('is said of other values as they are', () => {
    expect(difference('held_out', 'of the corpus', 'a.txt')).toBe(
      'held_out is of the corpus, expected a.txt',
    );
  });
});
