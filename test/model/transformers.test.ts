/** Logits of small random checkpoints against transformers: families and configurations that have no golden data. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { folder } from '../support/golden.ts';

const ROOT = path.join(import.meta.dirname, '../fixtures/transformers');
const CASES = readdirSync(ROOT, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);
/** Of logits of about 1 to 10, float32 on both sides. */
const TOLERANCE = 2e-5;

describe.each(TEST_DEVICES)('logits on %s', (device) => {
  it.each(CASES)('of %s are those of transformers', async (name) => {
    const { tokens, logits } = JSON.parse(readFileSync(path.join(ROOT, name, 'expected.json'), 'utf8')) as {
      tokens: number[];
      logits: number[][];
    };
    const backend = await openBackend(device);
    using checkpoint = await openCheckpoint(folder(path.join(ROOT, name)));
    using model = await loadTransformer(backend, checkpoint);
    using result = await model.forward(tokens);
    const found = await result.logits.data();
    const expected = logits.flat();
    expect(found).toHaveLength(expected.length);
    const scale = Math.max(...expected.map(Math.abs));
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - found[i]!)));
    expect(worst / scale).toBeLessThan(TOLERANCE);
  });
});
