/** The set that is written is the one that was trained: other commands open it and find the same measures. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attribute } from '../../src/engine/attribute/attribute.ts';
import { train } from '../../src/engine/train/train.ts';
import type { TrainRequest } from '../../src/engine/train/types.ts';
import { Random } from '../../src/random.ts';
import { TRAIN_ACTIVATIONS, TRAIN_KINDS } from '../../src/trainer/recipe.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { goldenPath } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracer-trained-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const WORDS = ['to', 'the', 'of', 'and', 'in', 'is', 'that', 'for', 'it', 'as'];
const corpus = join(folder, 'corpus.txt');
const random = new Random(4);
const sentence = (): string =>
  Array.from({ length: 6 + random.below(30) }, () => random.pick(WORDS)).join(' ');
writeFileSync(corpus, Array.from({ length: 200 }, () => `${sentence()}\n`).join(''));

function request(name: string, more: Partial<TrainRequest>): TrainRequest {
  return {
    model: goldenPath('tiny-a', 'model'),
    device: TEST_DEVICES[0]!,
    offline: true,
    corpus: [corpus],
    output: join(folder, name),
    context: 16,
    batchTokens: 128,
    tokens: 6000,
    features: 64,
    k: 6,
    ...more,
  };
}

const CASES = TRAIN_KINDS.flatMap((kind) =>
  TRAIN_ACTIVATIONS.map((activation) => [kind, activation] as const),
);

describe.each(CASES)('A %s set with %s features', (kind, activation) => {
  it('is measured by evaluate as it was before normalisation was folded in, and traced', async () => {
    const skip = kind === 'per-layer' && activation === 'topk';
    const result = await train(request(`${kind}-${activation}`, { kind, activation, skip }));
    expect(result.held_out.map(({ layer }) => layer)).toEqual(result.recipe.layers);
    for (const [i, own] of result.held_out.entries()) {
      const found = result.evaluation!.layers[i]!;
      expect(found.explained_variance).toBeCloseTo(own.explained_variance!, 3);
      expect(found.l0).toBeCloseTo(own.l0!, 1);
      // Better than the mean.
      expect(own.explained_variance).toBeGreaterThan(0.1);
    }
    const log = readFileSync(join(result.output, 'train.jsonl'), 'utf8').trim().split('\n');
    const events = log.map((line) => (JSON.parse(line) as { event: string }).event);
    expect([events[0], events.at(-1)]).toEqual(['begin', 'end']);
    expect(events.filter((event) => event === 'step')).toHaveLength(result.n_steps);
    const card = readFileSync(join(result.output, 'README.md'), 'utf8');
    expect(card).toContain(`--activation ${activation}`);
    expect(card).toContain(result.evaluation!.layers[0]!.explained_variance!.toFixed(4));
    const graph = await attribute({
      transcoders: result.output,
      device: TEST_DEVICES[0]!,
      offline: true,
      input: { prompt: 'the of and to' },
    });
    expect(graph.n_active_features).toBeGreaterThan(0);
  }, 120_000);
});
