import { beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readFacts } from '../../training/corpus/facts.ts';
import { judge } from '../../training/measures/targets.ts';
import { evaluate, type Evaluation } from '../../training/measures/evaluate.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'configs/embedded');
const MEGABYTE = 1e6;
const LARGEST = 12 * MEGABYTE;
/** Ten seconds on an idle machine. */
const EVALUATION_MS = 300_000;

const stored = JSON.parse(readFileSync(join(FOLDER, 'evaluation.json'), 'utf8')) as Evaluation;
let found: Evaluation;

beforeAll(async () => {
  found = await evaluate(readFacts(join(ROOT, 'training')), {
    model: join(FOLDER, 'model'),
    transcoders: join(FOLDER, 'transcoders'),
  });
}, EVALUATION_MS);

describe('the embedded model, measured from its files', () => {
  it('answers as it is said to', () => {
    expect(found.answers).toEqual(stored.answers);
    expect(found.continuations).toEqual(stored.continuations);
  });

  it('has transcoders as faithful and as sparse as they are said to be', () => {
    for (const name of ['loss', 'loss_replaced', 'loss_zero', 'recovered'] as const)
      expect({ [name]: found.fidelity[name] }).toEqual({ [name]: expect.closeTo(stored.fidelity[name], 3) });
    for (const [layer, { explained_variance, L0, dead }] of found.fidelity.layers.entries()) {
      const said = stored.fidelity.layers[layer]!;
      expect(explained_variance).toBeCloseTo(said.explained_variance, 3);
      expect(L0).toBeCloseTo(said.L0, 2);
      expect(dead).toBeCloseTo(said.dead, 1);
    }
  });

  it('has a circuit that can be exchanged as it is said to', () => {
    expect(found.swaps).toEqual(stored.swaps);
  });

  it('has graphs with the scores that are said', () => {
    for (const [i, { prompt, answer, replacement, completeness }] of found.graphs.entries()) {
      const said = stored.graphs[i]!;
      expect({ prompt, answer }).toEqual({ prompt: said.prompt, answer: said.answer });
      expect(replacement).toBeCloseTo(said.replacement, 2);
      expect(completeness).toBeCloseTo(said.completeness, 2);
    }
  });

  it('meets what is wanted of it', () => {
    expect(judge(found).filter(({ isMet }) => !isMet)).toEqual([]);
  });

  it('takes at most 12 MB with all that belongs to it', () => {
    const sizes = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).map((file) =>
      statSync(join(FOLDER, file)),
    );
    const bytes = sizes.filter((stats) => stats.isFile()).reduce((sum, { size }) => sum + size, 0);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(LARGEST);
  });
});
