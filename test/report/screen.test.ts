import { describe, expect, it } from '@jest/globals';
import { screenFor, type Environment } from '../../src/report/screen.ts';

const terminal = { isTTY: true, columns: 120 };
const pipe = {};

function isColored(stream: { isTTY?: boolean }, environment: Environment, color = true): boolean {
  return screenFor(stream, environment, { color }).paint.red('x') !== 'x';
}

describe('colours', () => {
  it('are for terminals only, unless they are forced', () => {
    expect(isColored(terminal, {})).toBe(true);
    expect(isColored(pipe, {})).toBe(false);
    expect(isColored(pipe, { FORCE_COLOR: '1' })).toBe(true);
    expect(isColored(pipe, { CI: 'true', GITHUB_ACTIONS: 'true' })).toBe(false);
  });

  it('are off with NO_COLOR, TERM=dumb, FORCE_COLOR=0 and --no-color', () => {
    expect(isColored(terminal, { NO_COLOR: '1' })).toBe(false);
    expect(isColored(terminal, { NO_COLOR: '' })).toBe(true);
    expect(isColored(terminal, { TERM: 'dumb' })).toBe(false);
    expect(isColored(terminal, { FORCE_COLOR: '0' })).toBe(false);
    expect(isColored(terminal, { FORCE_COLOR: '3' }, false)).toBe(false);
  });
});

describe('the cursor', () => {
  it('is moved on a terminal that somebody watches', () => {
    expect(screenFor(terminal, {}).interactive).toBe(true);
    expect(screenFor(terminal, { CI: 'true' }).interactive).toBe(false);
    expect(screenFor(terminal, { TERM: 'dumb' }).interactive).toBe(false);
    expect(screenFor(pipe, { FORCE_COLOR: '1' }).interactive).toBe(false);
    expect(screenFor({ isTTY: true, columns: 0 }, {}).interactive).toBe(false);
  });
});

describe('the width', () => {
  it('is that of the terminal, and 80 where it is unknown', () => {
    expect(screenFor(terminal, {}).columns).toBe(120);
    expect(screenFor(pipe, {}).columns).toBe(80);
    expect(screenFor({ isTTY: true, columns: 0 }, {}).columns).toBe(80);
  });
});
