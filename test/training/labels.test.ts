import { describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { readFacts } from '../../training/corpus/facts.ts';
import { describer } from '../../training/descriptions.ts';
import { labelOf } from '../../training/labels.ts';

const facts = readFacts(join(import.meta.dirname, '../../training'));

const rows = [
  ['<bos>', 'Dallas', ' is', ' in', ' Texas', '.'],
  ['<bos>', 'Houston', ' is', ' in', ' Texas', '.'],
  ['<bos>', 'Lubbock', ' is', ' in', ' Texas', '.'],
  ['<bos>', 'Oakland', ' is', ' in', ' California', '.'],
  ['<bos>', 'The', ' dog', ' barks', '.'],
  ['<bos>', ' opposite', ' of', ' hot', ' is', ' cold'],
  ['<bos>', ' opposite', ' of', ' big', ' is', ' small'],
  ['<bos>', ' opposite', ' of', ' up', ' was', ' down', '.', ' The', ' plural'],
];
const describe_ = describer(facts, rows);

function label(places: readonly (readonly [row: number, position: number, value: number])[]) {
  // Often enough that a label is given.
  const events = [...places, ...places, ...places];
  const activity = {
    rows: events.map(([row]) => row),
    positions: events.map(([, position]) => position),
    values: events.map(([, , value]) => value),
  };
  const side = { activity, describe: describe_ };
  return labelOf(side, side);
}

describe('the label of a feature', () => {
  it.each([
    [
      'one word',
      [
        [0, 2, 1],
        [1, 2, 1],
        [3, 2, 1],
      ],
      'the word "is"',
      1,
    ],
    [
      'cities of one state',
      [
        [0, 1, 2],
        [1, 1, 1],
        [2, 1, 1],
      ],
      'cities of Texas',
      1,
    ],
    [
      'a state and its cities',
      [
        [0, 1, 1],
        [0, 4, 1],
        [2, 1, 0.5],
      ],
      'Texas and its cities',
      1,
    ],
    [
      'what comes next',
      [
        [0, 3, 1],
        [1, 3, 1],
        [2, 2, 0.1],
      ],
      'the word "in"',
      0.95,
    ],
    [
      'the place that a sentence is about',
      [
        [0, 2, 1],
        [1, 3, 1],
        [2, 5, 1],
      ],
      'sentences about Texas',
      1,
    ],
    [
      'nothing in particular',
      [
        [0, 1, 1],
        [3, 3, 1],
        [4, 2, 1],
      ],
      'mixed: "Dallas"; "in"; "dog"',
      1,
    ],
    [
      'several things by what covers most of each',
      [
        [0, 1, 2],
        [1, 1, 2],
        [2, 1, 2],
        [3, 2, 4],
        [4, 2, 0.5],
      ],
      'mixed: cities of Texas; "is"',
      0.95,
    ],
    [
      'what comes after a word',
      [
        [5, 3, 1],
        [6, 3, 1],
        [7, 3, 1],
      ],
      'what comes after "of"',
      1,
    ],
    [
      'the topic that a sentence has named',
      [
        [5, 1, 1],
        [6, 2, 1],
        [7, 3, 1],
        [7, 4, 1],
      ],
      'sentences with "opposite"',
      1,
    ],
  ] as const)('says %s', (_, places, text, share) => {
    expect(label(places)).toEqual({ text, share, automatic: true });
  });

  it('is not given to a feature that is hardly ever active', () => {
    const activity = { rows: [0], positions: [1], values: [1] };
    expect(labelOf({ activity, describe: describe_ }, { activity, describe: describe_ })).toBeNull();
  });

  it('is not given to a feature that is hardly ever active where it is checked', () => {
    const activity = { rows: [0, 1, 2, 0, 1], positions: [1, 1, 1, 1, 1], values: [1, 1, 1, 1, 1] };
    const rare = { rows: [0], positions: [1], values: [1] };
    expect(labelOf({ activity, describe: describe_ }, { activity: rare, describe: describe_ })).toBeNull();
  });

  it('is not given when other sentences do not bear it out', () => {
    const chosen = { rows: [0, 1, 2, 0, 1], positions: [1, 1, 1, 1, 1], values: [1, 1, 1, 1, 1] };
    const checked = { rows: [4, 4, 4, 4, 4], positions: [2, 3, 2, 3, 2], values: [1, 1, 1, 1, 1] };
    const found = labelOf(
      { activity: chosen, describe: describe_ },
      { activity: checked, describe: describe_ },
    );
    expect(found!.text).toMatch(/^mixed: /);
  });
});
