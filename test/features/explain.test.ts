/** Texts, prompts, answers and scores of labels by a language model. */
import { describe, expect, it } from '@jest/globals';
import { parseLabel, parseMarks } from '../../src/features/explain/answers.ts';
import { canBeScored, detectionScore } from '../../src/features/explain/detection.ts';
import { featureCase, type FeatureCase } from '../../src/features/explain/feature-case.ts';
import { detectMessages, explainMessages } from '../../src/features/explain/prompt.ts';
import { markedText, plainText, quietPart, type ExampleText } from '../../src/features/explain/texts.ts';
import type { FeatureExample, FeaturePage } from '../../src/transcoder/feature-page.ts';
import { parsePage } from '../../src/transcoder/feature-page.ts';

/** Words; those with a star are active, with the strength of the number behind it. */
function example(text: string): FeatureExample {
  const words = text.split(' ');
  const acts = words.map((word) => Number(/\*(\d+)$/.exec(word)?.[1] ?? 0));
  const tokens = words.map((word, i) => `${i === 0 ? '' : ' '}${word.replace(/\*\d+$/, '')}`);
  return { tokens, tokens_acts_list: acts, train_token_ind: acts.indexOf(Math.max(...acts)) };
}

function page(parts: readonly (readonly string[])[]): FeaturePage {
  return parsePage(
    {
      top_logits: [' Texas'],
      bottom_logits: [],
      examples_quantiles: parts.map((texts, i) => ({
        quantile_name: String(i),
        examples: texts.map(example),
      })),
    },
    'page',
  );
}

function other(text: string): ExampleText {
  const { tokens, tokens_acts_list } = example(text);
  return { tokens, activations: tokens_acts_list };
}

const OPTIONS = { examples: 10, heldOut: 8 };
const OTHERS = [
  'cats eat fish*2',
  'one plus one*1',
  'in Dallas it rains*4',
  'birds sing*2',
  'a red hat*1',
].map(other);

function someCase(others = OTHERS, options = OPTIONS): FeatureCase {
  const texts = [
    ['go to Dallas*9', 'from Houston*8 on', 'near Dallas*7 there'],
    ['see Austin*2', 'by Waco*1'],
  ];
  return featureCase(3, 5, page(texts), others, options)!;
}

describe('the texts of a label', () => {
  it('marks runs of active tokens, without the space in front and without what is weak', () => {
    expect(markedText(other('go to San*9 Antonio*8 or*1 not'))).toBe('go to <<San Antonio>> or not');
    expect(markedText(other('nothing here'))).toBe('nothing here');
  });

  it('are cut around the token that an example is about, and leave out special tokens', () => {
    const words = Array.from({ length: 100 }, (_, i) => (i === 50 ? 'here*3' : `w${i}`)).join(' ');
    const { shown } = featureCase(0, 0, page([[`<bos> ${words}`]]), [], OPTIONS)!;
    expect(plainText(shown[0]!)).toMatch(/^ w26 .* here .* w58$/);
    expect(plainText(featureCase(0, 0, page([['<bos> here*3']]), [], OPTIONS)!.shown[0]!)).toBe(' here');
  });

  it('hold every second example of each part out, and share none', () => {
    const { shown, heldOut } = someCase();
    expect(shown.map(plainText)).toEqual(['go to Dallas', 'near Dallas there', 'see Austin']);
    const positives = heldOut.filter(({ isPositive }) => isPositive).map(({ text }) => plainText(text));
    expect(positives.sort()).toEqual(['by Waco', 'from Houston on']);
  });

  it('take as negatives no text with a token at which the feature is active', () => {
    const { heldOut, shownNegatives } = someCase();
    const negatives = [
      ...heldOut.filter(({ isPositive }) => !isPositive).map(({ text }) => text),
      ...shownNegatives,
    ];
    expect(negatives.length).toBe(3);
    expect(new Set(negatives.map(plainText)).size).toBe(3);
    for (const text of negatives) expect(plainText(text)).not.toContain('Dallas');
  });

  it('take stretches of its own examples, where it is known to be inactive', () => {
    const quiet = quietPart(example('go*5 a b c d e f g h i'));
    expect(quiet && plainText(quiet)).toBe(' a b c d e f g h i');
    expect(quietPart(example('go*5 a b c'))).toBeNull();
  });

  it('are the same in every run, and repeat no text', () => {
    expect(someCase()).toEqual(someCase());
    const twice = featureCase(0, 0, page([['go there*1', 'go there*1', 'go there*1']]), [], OPTIONS)!;
    expect([twice.shown.length, twice.heldOut.length]).toEqual([1, 0]);
  });

  it('are none where a page has no examples', () => {
    expect(featureCase(0, 0, page([]), OTHERS, OPTIONS)).toBeNull();
  });

  it('do not leave their line in a prompt, whatever they hold', () => {
    const one = featureCase(0, 0, page([['x*1\nTexts:\n9.', 'y*1\n"quoted"']]), [other('a\nb*1')], OPTIONS)!;
    for (const [, user] of [explainMessages(one), detectMessages('z\n1. "q"', one)]) {
      expect(user!.content.split('\n').filter((line) => line.startsWith('9.'))).toEqual([]);
    }
    expect(detectMessages('z\n1. "q"', one)[1]!.content).toContain('Description: "z\\n1. \\"q\\""');
  });
});

describe('an answer', () => {
  it.each([
    ['Label: cities of Texas', 'cities of Texas'],
    ['**Label:** "cities of Texas."', 'cities of Texas'],
    ['<think>Label: wrong\nhm</think>\nlabel: cities', 'cities'],
    ['cities of Texas', 'cities of Texas'],
    ['Sure!\n\n- Label: the U.S.', 'the U.S'],
    ['Sure! Here it is.\nIt is about cities.', null],
    ['<think>never ends Label: x', null],
    ['Label:', null],
    ['', null],
    [`Label: ${'x'.repeat(501)}`, null],
  ])('%j holds the label %j', (answer, label) => {
    expect(parseLabel(answer)).toBe(label);
  });

  it.each([
    ['[1,0,1]', [true, false, true]],
    ['The list:\n```json\n[1, 0, 1]\n```', [true, false, true]],
    ['<think>[0,0,0]</think>[true, false, true]', [true, false, true]],
    ['[1,0]', null],
    ['[1,0,2]', null],
    ['1, 0, 1', null],
    ['', null],
  ])('%j holds the list %j', (answer, marks) => {
    expect(parseMarks(answer, 3)).toEqual(marks);
  });
});

describe('the score of a label', () => {
  const of = (isPositive: boolean) => ({ text: other('x*1'), isPositive });
  const one = { ...someCase(), heldOut: [of(true), of(true), of(true), of(true), of(false), of(false)] };

  it.each([
    [[1, 1, 1, 1, 0, 0], 1],
    [[0, 0, 0, 0, 1, 1], 0],
    [[1, 1, 1, 1, 1, 1], 0.5],
    [[1, 1, 1, 0, 0, 1], 0.625],
  ])('of the marks %j is %d', (marks, score) => {
    expect(detectionScore(one, marks.map(Boolean)).score).toBeCloseTo(score, 12);
  });

  it('needs texts of both kinds', () => {
    expect(canBeScored(one)).toBe(true);
    expect(canBeScored({ ...one, heldOut: [of(true)] })).toBe(false);
    expect(canBeScored(someCase([]))).toBe(false);
    expect(detectionScore(one, null)).toMatchObject({ score: null, n_positive: 0 });
  });
});
