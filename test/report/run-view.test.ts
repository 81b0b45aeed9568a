import { describe, expect, it } from '@jest/globals';
import stringWidth from 'string-width';
import type { RunResult } from '../../src/engine/run/types.ts';
import { runView } from '../../src/report/run-view.ts';
import { colored, lineOf, plain, subject } from './shown.ts';

const runResult: RunResult = {
  ...subject,
  backend: 'tensorflow',
  device: 'cpu',
  dtype: 'float32',
  tokens: [
    { position: 0, id: 2, text: '<bos>' },
    { position: 1, id: 4521, text: ' Hello' },
    { position: 2, id: 99, text: '\x1b[2J' },
  ],
  output: { shape: [1, 3, 256000], dtype: 'float32' },
  top: [
    { token_id: 1, text: ' world', logit: 18.2149, probability: 0.5 },
    { token_id: 2, text: '\n', logit: 3, probability: 0.00001 },
  ],
  features: [
    { layer: 3, position: 1, feature: 104, activation: 30.9 },
    { layer: 0, position: 1, feature: 7, activation: 2 },
    { layer: 1, position: 2, feature: 9, activation: 1 },
  ],
  files: [{ path: 'a.safetensors', bytes: 2048 }],
  timings_ms: { load: 120, forward: 12.3 },
  repeats_ms: [3, 1, 2],
  peak_rss_bytes: 2 ** 30,
};

describe('the view of run', () => {
  const text = runView(runResult, plain);

  it('shows tokens visibly, the shape and the dtype', () => {
    expect(lineOf(text, 'tokens')).toEqual(['tokens', '<bos> ·Hello \\x1b[2J']);
    expect(lineOf(text, 'output')).toEqual(['output', '[1, 3, 256000] float32']);
    expect(lineOf(text, 'backend')).toEqual(['backend', 'tensorflow on cpu, float32']);
  });

  it('ranks the next tokens with a bar in proportion', () => {
    expect(lineOf(text, '1  ')).toEqual(['1', '·world', '1', '50.0 %', '█'.repeat(12), '18.21']);
    expect(lineOf(text, '2  ')).toEqual(['2', '\\n', '2', '< 0.01 %', '3']);
  });

  it('names the position of a group of features once', () => {
    const lines = text.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines).toContainEqual(['1', '·Hello', '3', '104', '30.9']);
    expect(lines).toContainEqual(['0', '7', '2']);
    expect(lines).toContainEqual(['2', '\\x1b[2J', '1', '9', '1']);
  });

  it('says what was written, how long it took and how much memory it needed', () => {
    expect(lineOf(text, 'written')).toEqual(['written', 'a.safetensors (2.00 KiB)']);
    expect(lineOf(text, 'time')).toEqual(['time', 'load 120 ms, forward 12.3 ms']);
    expect(lineOf(text, 'later passes')).toEqual([
      'later passes',
      'median 2.00 ms, 1.00 ms to 3.00 ms, 3 passes',
    ]);
    expect(lineOf(text, 'peak memory')).toEqual(['peak memory', '1.00 GiB']);
  });

  it('has no features unless they were asked for', () => {
    const { features: _, ...without } = runResult;
    expect(runView(without, plain)).not.toContain('Strongest features');
    expect(runView({ ...runResult, features: [] }, plain)).toContain('No feature is active.');
  });

  it('has colours on a terminal only, and fits it', () => {
    expect(text).not.toContain('\x1b');
    expect(runView(runResult, colored)).toContain('\x1b[36m█');
    const narrow = runView(runResult, { ...plain, columns: 50 });
    for (const line of narrow.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(50);
  });
});
