import { describe, expect, it } from '@jest/globals';
import type { GenerateResult } from '../../src/engine/generate/types.ts';
import type { BatchResult, InterveneResult, SweepResult } from '../../src/engine/intervene/types.ts';
import type { NextTokenResult } from '../../src/engine/result.ts';
import type { ValidateResult } from '../../src/engine/validate/types.ts';
import { batchView } from '../../src/report/batch-view.ts';
import { generateView } from '../../src/report/generate-view.ts';
import { interveneView } from '../../src/report/intervene-view.ts';
import { sweepView } from '../../src/report/sweep-view.ts';
import { validateView } from '../../src/report/validate-view.ts';
import { colored, lineOf, plain, subject } from './shown.ts';

const computed = {
  ...subject,
  backend: 'tensorflow',
  device: 'cpu',
  dtype: 'float32',
  timings_ms: { plan: 2.5, changed: 100 },
  peak_rss_bytes: 2 ** 30,
} as const;

function next(text: string, probability: number): NextTokenResult {
  return { token_id: 315, text, logit: 12, probability };
}

const tokens = [
  { position: 0, id: 2, text: '<bos>' },
  { position: 1, id: 3, text: ' hot\u001b[2J' },
];

const effect = { baseline: { top: [next(' is', 0.8)] }, top: [next(' cold', 0.5)], kl_divergence: 0.5837 };

describe('the view of intervene', () => {
  const result: InterveneResult = {
    ...computed,
    ...effect,
    freeze_attention: true,
    constrained_layers: null,
    tokens,
    interventions: [{ layer: 2, position: 1, feature: 35, before: 6.5, after: -13 }],
    changes: [
      {
        token_id: 541,
        text: ' cold',
        logit_before: 14,
        logit_after: 15.5,
        probability_before: 0.1,
        probability_after: 0.5,
      },
    ],
    max_abs_logit_change: 7.317,
    features: [{ layer: 3, position: 1, feature: 4, before: 3, after: 0 }],
    files: [{ path: 'out.safetensors', bytes: 2048 }],
  };
  const text = interveneView(result, plain);

  it('shows what was asked for, and what it did to tokens and features', () => {
    expect(lineOf(text, '2  ')).toEqual(['2', '1', '·hot\\x1b[2J', '35', '6.5', '-13', '-19.5']);
    expect(lineOf(text, '·cold')).toEqual([
      '·cold',
      '541',
      '10.0 %',
      '50.0 %',
      '+40.0',
      '14',
      '15.5',
      '+1.5',
    ]);
    expect(lineOf(text, '3  ')).toEqual(['3', '1', '·hot\\x1b[2J', '4', '3', '0', '-3']);
    expect(lineOf(text, 'divergence')[1]).toContain('0.5837 nats');
    expect(lineOf(text, 'written')).toEqual(['written', 'out.safetensors (2.00 KiB)']);
  });

  it('says what was held fixed', () => {
    expect(lineOf(text, 'held fixed')[1]).toBe('attention patterns');
    const free = interveneView({ ...result, freeze_attention: false }, plain);
    expect(lineOf(free, 'held fixed')[1]).toBe('nothing');
    const constrained = interveneView({ ...result, constrained_layers: [2, 4] }, plain);
    expect(lineOf(constrained, 'held fixed')[1]).toBe('attention patterns, MLP outputs of layers 2 to 3');
  });

  it('colours changes by their direction, and lists a long range in part', () => {
    const wide = { ...colored, columns: 200 };
    expect(interveneView(result, wide)).toContain('\u001b[32m+1.5');
    const one = result.interventions[0]!;
    const many = interveneView({ ...result, interventions: new Array<typeof one>(25).fill(one) }, plain);
    expect(many).toContain('and 5 more');
    expect(interveneView({ ...result, interventions: [] }, plain)).toContain('no intervention was given');
  });
});

it('the view of a sweep has a line a value, with the sign of its kind', () => {
  const result: SweepResult = {
    ...computed,
    freeze_attention: true,
    constrained_layers: null,
    tokens,
    sweep: { layer: 2, position: '1..', feature: 35, kind: 'scale' },
    baseline: effect.baseline,
    points: [
      {
        value: -2,
        top: effect.top,
        kl_divergence: 0.25,
        baseline_token: { logit: 11, logit_change: -1, probability: 0.3 },
      },
    ],
    files: [],
  };
  const text = sweepView(result, plain);
  expect(lineOf(text, 'feature')).toEqual(['feature', '2:1..:35']);
  expect(lineOf(text, '× -2')).toEqual(['× -2', '·cold', '50.0 %', '30.0 %', '11', '-1', '0.25']);
});

it('the view of a batch tells each case and what came instead', () => {
  const one = { ...effect, name: null, failure: null, passed: true };
  const result: BatchResult = {
    ...computed,
    n_cases: 2,
    n_failed: 1,
    cases: [
      { ...one, line: 1, prompt: '<bos>a\nb' },
      { ...one, line: 4, prompt: 'x', name: 'opposite', passed: false, failure: 'something else came' },
    ],
  };
  const text = batchView(result, plain);
  expect(lineOf(text, 'ok')).toEqual(['ok', '1', '<bos>a\\nb', '·is', '·cold', '50.0 %', '0.5837']);
  expect(lineOf(text, 'failed')).toEqual(['failed', '4', 'opposite', '·is', '·cold', '50.0 %', '0.5837']);
  expect(text).toContain('line 4: something else came');
  expect(text).toContain('1 of 2 cases did not come true.');
  expect(batchView({ ...result, n_failed: 0 }, plain)).toContain('All expectations of 2 cases came true.');
});

it('the view of generate adds nothing to the text away from a terminal', () => {
  const result: GenerateResult = {
    ...computed,
    freeze_attention: true,
    constrained_layers: null,
    tokens,
    n_prompt_tokens: 1,
    text: ' hot',
    continuation: ' hot',
    stopped_at: 'eos',
    stopped_by: '<eos>',
    seed: 7,
    files: [],
    first_token_ms: 40,
    ms_per_token: 8,
  };
  expect(generateView(result, plain)).toBe('');
  const shown = generateView(result, colored);
  expect(shown).toContain(
    '1 token, ended by the end of the text; first token 40.0 ms; each later one 8.00 ms',
  );
  expect(shown).toContain('seed 7');
  expect(
    generateView(
      { ...result, stopped_at: 'length', stopped_by: null, ms_per_token: null, seed: null },
      colored,
    ),
  ).toContain('ended by the limit; first token 40.0 ms\u001b');
  expect(generateView({ ...result, stopped_at: 'stop', stopped_by: 'a\nb' }, colored)).toContain(
    '1 token, ended by the text "a\\nb"; first token',
  );
});

it('the view of graph validate shows prediction beside model, and the edge alone only where it differs', () => {
  const result: ValidateResult = {
    ...computed,
    freeze_attention: true,
    constrained_layers: null,
    file: 'g.safetensors',
    prompt: '<bos> hot',
    target: { token_id: 315, text: ' is' },
    direct: false,
    features: [
      {
        layer: 2,
        position: 1,
        token: ' hot',
        feature: 35,
        activation: 6.5,
        influence: 0.2,
        predicted: 1.5,
        predicted_direct: 1.25,
        actual: -0.5,
        logit_change: -0.4,
        probability_change: -0.1,
      },
    ],
    rank_correlation: null,
    rank_correlation_direct: 0.5,
    largest_error: 2,
  };
  const text = validateView(result, plain);
  expect(lineOf(text, '2  ')).toEqual(['2', '1', '·hot', '35', '6.5', '+1.5', '+1.25', '-0.5']);
  expect(lineOf(text, 'rank correlation')[1]).toBe('- (Spearman, predicted and actual)');
  expect(lineOf(text, 'with edges only')[1]).toBe('0.5');
  const direct = validateView({ ...result, direct: true }, plain);
  expect(lineOf(direct, '2  ')).toEqual(['2', '1', '·hot', '35', '6.5', '+1.5', '-0.5']);
  expect(direct).not.toContain('with edges only');
});
