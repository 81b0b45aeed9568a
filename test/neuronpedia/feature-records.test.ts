/** Rows of Neuronpedia, as its database, its API and strangers write them. */
import { describe, expect, it } from '@jest/globals';
import {
  activationRow,
  distinctExplanations,
  explanationRow,
  featureRow,
  wholeFeature,
  type Checked,
} from '../../src/neuronpedia/feature-records.ts';
import { activationsNote } from '../../src/neuronpedia/notes.ts';
import { parseSourceTemplate, sourceOfLayer } from '../../src/neuronpedia/source-name.ts';
import {
  activationRowsOf,
  explanationRowOf,
  featureRowOf,
  wholeFeatureOf,
} from '../support/neuronpedia-exports.ts';

function rowOf<T>(checked: Checked<T>): T {
  if ('row' in checked) return checked.row;
  throw new Error(checked.fault);
}

const faultOf = (checked: Checked<unknown>): string => ('fault' in checked ? checked.fault : 'none');

describe('a row of a feature', () => {
  it('is reduced to what pages show, with spaces for the signs of SentencePiece', () => {
    expect(rowOf(featureRow(featureRowOf(3, 5)))).toEqual({
      index: 5,
      max_activation: 13,
      density: 0.0125,
      heights: [40, 20, 10, 5],
      centres: [1, 3, 5, 7].map((share) => (share / 8) * 13),
      promotes: [' Texas', ' Austin'],
      suppresses: [' no'],
      is_vector: false,
    });
  });

  it('may lack all but its index', () => {
    expect(rowOf(featureRow({ index: 7, maxActApprox: null, pos_str: null }))).toMatchObject({
      index: 7,
      max_activation: null,
      density: 0,
      promotes: [],
    });
  });

  it.each([
    ['no object', [1], 'Object'],
    ['null', null, 'Object'],
    ['a negative index', { index: -1 }, 'index'],
    ['an index that is a word', { index: 'x' }, 'index'],
    ['a huge index', { index: '99999999999' }, 'index'],
    ['a density above 1', { index: 1, frac_nonzero: 2 }, 'frac_nonzero'],
    [
      'texts in place of numbers',
      { index: 1, freq_hist_data_bar_heights: ['1'] },
      'freq_hist_data_bar_heights',
    ],
    ['numbers in place of texts', { index: 1, pos_str: [1] }, 'pos_str'],
  ])('with %s is a fault that names the field', (_, value, field) => {
    expect(faultOf(featureRow(value))).toContain(field);
  });
});

describe('a row of an activation', () => {
  it('has the place of its strongest token, which is looked for where it is not told', () => {
    const [row] = activationRowsOf(0, 2);
    expect(rowOf(activationRow(row))).toEqual({
      index: 2,
      tokens: ['<bos>', ' word0', ' of', ' text2'],
      values: [0, 10, 0.125, 0],
      position: 1,
    });
    for (const maxValueTokenIndex of [null, 99, -1, 0.5]) {
      expect(rowOf(activationRow({ ...row, maxValueTokenIndex })).position).toBe(1);
    }
  });

  it.each([
    ['fewer values than tokens', { index: 1, tokens: ['a', 'b'], values: [1] }, 'as many values'],
    ['no tokens', { index: 1, tokens: [], values: [] }, 'as many values'],
    ['a value that is no number', { index: 1, tokens: ['a'], values: [null] }, 'values'],
    ['no values', { index: 1, tokens: ['a'] }, 'values'],
    [
      'too many tokens',
      { index: 1, tokens: Array(5000).fill('a'), values: Array(5000).fill(1) },
      'at most 4096',
    ],
  ])('with %s is a fault', (_, value, why) => {
    expect(faultOf(activationRow(value))).toContain(why);
  });
});

describe('a row of an explanation', () => {
  it('is one line without control characters, with its method, model and author', () => {
    const row = {
      ...explanationRowOf(1, 4),
      description: '  words\u0007 of\r\n\u2028Texas\u001b[31m ',
      triggeredByUser: { id: 'u', name: 'somebody' },
      scores: [{ value: 0.75, explanationScoreTypeName: 'recall_alt' }],
    };
    expect(rowOf(explanationRow(row))).toEqual({
      index: 4,
      id: 'exp-1-4',
      text: 'words of Texas [31m',
      type: 'oai_token-act-pair',
      model: 'gpt-4o-mini',
      author: 'somebody',
      score: { value: 0.75, type: 'recall_alt' },
    });
    const long = rowOf(explanationRow({ index: 1, description: 'x'.repeat(9000) })).text;
    expect(long).toHaveLength(500);
    expect(long.endsWith('…')).toBe(true);
  });

  it('counts once for each text, and not without one', () => {
    const rows = ['a', '', 'a', 'b'].map((description) => rowOf(explanationRow({ index: 1, description })));
    expect(distinctExplanations(rows).map(({ text }) => text)).toEqual(['a', 'b']);
  });

  it('without an index is a fault', () => {
    expect(faultOf(explanationRow({ description: 'x' }))).toContain('index');
  });
});

describe('an answer about a feature', () => {
  it('has its activations and explanations, and the width of the dictionary where it is told', () => {
    const whole = rowOf(wholeFeature(wholeFeatureOf(2, 9)));
    expect(whole.activations).toHaveLength(20);
    expect(whole.explanations.map(({ index, text }) => [index, text])).toEqual([[9, 'words of text 9']]);
    expect(whole.width).toBeNull();
    const told = { ...wholeFeatureOf(2, 9), source: { saelensConfig: { d_sae: 16384 } } };
    expect(rowOf(wholeFeature(told)).width).toBe(16384);
    expect(rowOf(wholeFeature({ ...wholeFeatureOf(2, 9), source: 'x' })).width).toBeNull();
  });

  it('is refused where a part of it is of another form, which is named', () => {
    const whole = wholeFeatureOf(2, 9, 2) as { activations: object[] };
    whole.activations[1] = { index: 9, tokens: 'x' };
    expect(faultOf(wholeFeature(whole))).toContain('activations.1: tokens');
    expect(faultOf(wholeFeature({ error: 'x' }))).toContain('index');
  });
});

describe('the name of sources', () => {
  it('has the layer in it', () => {
    const template = parseSourceTemplate('gemma-2-2b/{layer}-gemmascope-transcoder-16k', '--source');
    expect(sourceOfLayer(template, 12)).toBe('12-gemmascope-transcoder-16k');
  });

  it.each(['gemma', 'gemma/0-x', 'a/b/{layer}-x', '../{layer}-x', 'a/{layer}?x', 'a/{layer}/..', ''])(
    'is not %j, and the flag is named',
    (text) => {
      expect(() => parseSourceTemplate(text, '--source')).toThrow(/--source: expected MODEL\/SOURCE/);
    },
  );

  it('of the transcoders of Gemma Scope on gemma-2-2b has a note, and no other', () => {
    for (const layer of ['{layer}', ...Array.from({ length: 26 }, (_, i) => String(i))]) {
      expect(activationsNote(`gemma-2-2b/${layer}-gemmascope-transcoder-16k`)).toContain(
        'unnormalised residual',
      );
    }
    for (const other of [
      'gemma-2-2b/3-gemmascope-res-16k',
      'gemma-2-2b/3-clt-hp',
      'gemma-3-4b-it/3-gemmascope-transcoder-16k',
      '',
    ]) {
      expect(activationsNote(other)).toBeNull();
    }
  });
});
