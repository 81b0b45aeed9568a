import { describe, expect, it } from '@jest/globals';
import { failureView } from '../../src/report/failure-view.ts';
import { plain } from './shown.ts';

describe('an error', () => {
  it('is its message and the next step, without anything that a terminal obeys', () => {
    expect(failureView({ message: 'bad \x1b[2J name', hint: 'do this' }, plain)).toBe(
      'error: bad \\x1b[2J name\nhint: do this',
    );
    expect(failureView({ message: 'm', stack: 'Error: m\n  at x' }, plain)).toBe(
      'error: m\nError: m\n  at x',
    );
  });
});
