import { describe, expect, it } from '@jest/globals';
import { labelWords, wordLikeness } from '../../src/suggest/label-words.ts';

describe('words of labels', () => {
  it('make labels alike by their rare words', () => {
    const [texas, beforeTexas, numbers] = labelWords([
      'Texas and its cities',
      'what comes before Texas and its cities',
      'what comes before numbers',
    ]);
    expect(wordLikeness(texas!, beforeTexas!)!).toBeGreaterThan(0.7);
    expect(wordLikeness(beforeTexas!, numbers!)!).toBeLessThan(wordLikeness(texas!, beforeTexas!)!);
  });

  it('take apart what a mixed label says', () => {
    expect(labelWords(['mixed: "is"; what comes before capitals; '])[0]!.parts).toEqual([
      '"is"',
      'what comes before capitals',
    ]);
  });

  it('know a sign in quotes as a word', () => {
    const [equals, space, plus] = labelWords(['the word "="', 'the word ""', 'the word "="']);
    expect(wordLikeness(equals!, plus!)).toBeCloseTo(1, 9);
    expect(wordLikeness(equals!, space!)!).toBeLessThan(0.2);
  });

  it('say nothing of features without labels', () => {
    const [none, some] = labelWords([undefined, 'numbers', 'words']);
    expect(wordLikeness(none!, some!)).toBeNull();
  });
});
