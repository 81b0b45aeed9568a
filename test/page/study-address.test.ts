/** The view of a study in the address, and what comes back from it. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readStudyView, writeStudyView, type StudyView } from '../../page/src/store/study-address.ts';

const VIEW: StudyView = { name: 'capitals', question: null, list: 'features', row: null };

describe('the address of a study', () => {
  it('has the groups and the row', () => {
    const view: StudyView = {
      ...{ name: 'capitals', question: { by: 'state', a: 'Texas', b: 'New York' }, list: 'links' },
      row: { kind: 'link', source: '1/392', target: 'answer' },
    };
    expect(Object.fromEntries(new URLSearchParams(writeStudyView(view, 'slug=dallas')))).toEqual({
      ...{ slug: 'dallas', study: 'capitals', study_by: 'state', study_a: 'Texas', study_b: 'New York' },
      ...{ study_list: 'links', study_row: '1/392>answer' },
    });
  });

  it('brings every view back', () => {
    const count = fc.nat(100_000);
    const end = fc.tuple(count, count).map(([layer, feature]) => `${layer}/${feature}`);
    const view = fc.record<StudyView>({
      name: fc.string({ minLength: 1 }),
      question: fc.option(fc.record({ by: fc.string(), a: fc.string(), b: fc.string() })),
      list: fc.constantFrom('features', 'links'),
      row: fc.option(
        fc.oneof(
          fc.record({ kind: fc.constant('feature' as const), layer: count, feature: count }),
          fc.record({
            kind: fc.constant('link' as const),
            source: fc.oneof(end, fc.constant('token')),
            target: fc.oneof(end, fc.constant('answer')),
          }),
        ),
      ),
    });
    fc.assert(fc.property(view, (given) => expect(readStudyView(writeStudyView(given, ''))).toEqual(given)));
  });

  it('without a study is that of what was there before', () => {
    expect(writeStudyView(null, writeStudyView(VIEW, 'slug=dallas'))).toBe('slug=dallas');
    expect(readStudyView('slug=dallas')).toBeNull();
  });

  it.each([
    'study_row=1',
    'study_row=answer>token',
    'study_list=x',
    'study_by=group&study_a=even',
    'study_row=1/2>x',
  ])('opens without a part that makes no sense: %s', (part) => {
    expect(readStudyView(`study=capitals&${part}`)).toEqual(VIEW);
  });
});
