import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { tokenChoice, type SamplingOptions } from '../../src/generation/sampling.ts';
import { softmax } from '../../src/model/logits.ts';

const logitRow = fc
  .array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 2, maxLength: 400 })
  .map((values) => Float32Array.from(values));
/** Doubles added in another order. */
const ROUNDING = 1e-9;
const seed = fc.nat({ max: 2 ** 32 - 1 });

function draw(logits: Float32Array, n: number, options: SamplingOptions): number[] {
  const choose = tokenChoice(options);
  return Array.from({ length: n }, () => choose(logits));
}

describe('the choice of a token', () => {
  it('is the most likely one at temperature 0, the first of equals', () => {
    fc.assert(
      fc.property(logitRow, seed, (logits, anySeed) => {
        expect(draw(logits, 1, { temperature: 0, seed: anySeed })).toEqual([
          logits.indexOf(Math.max(...logits)),
        ]);
      }),
    );
  });

  it('is the same for the same seed, and another one for another', () => {
    const logits = new Float32Array(1000);
    const first = draw(logits, 20, { temperature: 1, seed: 7 });
    expect(draw(logits, 20, { temperature: 1, seed: 7 })).toEqual(first);
    expect(draw(logits, 20, { temperature: 1, seed: 8 })).not.toEqual(first);
  });

  it('with top-k is among the k most likely', () => {
    fc.assert(
      fc.property(logitRow, seed, fc.integer({ min: 1, max: 5 }), (logits, anySeed, topK) => {
        const cut = [...logits].sort((a, b) => b - a)[Math.min(topK, logits.length) - 1]!;
        for (const id of draw(logits, 10, { temperature: 1.5, topK, seed: anySeed }))
          expect(logits[id]).toBeGreaterThanOrEqual(cut);
      }),
    );
  });

  it('with top-p is among the most likely that together reach p', () => {
    fc.assert(
      fc.property(logitRow, seed, fc.double({ min: 0.01, max: 1, noNaN: true }), (logits, anySeed, topP) => {
        const probabilities = softmax(logits);
        for (const id of draw(logits, 10, { temperature: 1, topP, seed: anySeed })) {
          // What is likelier than a token that can be drawn does not reach p by itself.
          const likelier = probabilities.filter((p) => p > probabilities[id]!).reduce((sum, p) => sum + p, 0);
          expect(likelier).toBeLessThan(topP + ROUNDING);
        }
      }),
    );
  });

  it('follows the probabilities', () => {
    const probabilities = [0.5, 0.3, 0.2];
    const n = 20_000;
    const ids = draw(Float32Array.from(probabilities, Math.log), n, { temperature: 1, seed: 1 });
    for (const [id, p] of probabilities.entries()) {
      const found = ids.filter((one) => one === id).length;
      const FOUR_DEVIATIONS = 4 * Math.sqrt(n * p * (1 - p));
      expect(Math.abs(found - n * p)).toBeLessThan(FOUR_DEVIATIONS);
    }
  });

  it('is sharper at a low temperature', () => {
    const logits = Float32Array.from([1, 0, 0, 0]);
    const best = (temperature: number): number =>
      draw(logits, 2000, { temperature, seed: 3 }).filter((id) => id === 0).length;
    expect(best(0.2)).toBeGreaterThan(best(1) * 1.5);
    expect(best(1)).toBeGreaterThan(best(5));
  });

  it.each([
    { temperature: -1, seed: 0 },
    { temperature: NaN, seed: 0 },
    { temperature: 1, topK: 0, seed: 0 },
    { temperature: 1, topP: 0, seed: 0 },
    { temperature: 1, topP: 1.1, seed: 0 },
    { temperature: 1, seed: -1 },
    { temperature: 1, seed: 2 ** 32 },
  ])('refuses %p', (options) => {
    expect(() => tokenChoice(options)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});
