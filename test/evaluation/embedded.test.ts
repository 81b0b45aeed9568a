import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluate } from '../../src/engine/evaluate/evaluate.ts';
import type { EvaluateResult } from '../../src/engine/evaluate/types.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { readFacts } from '../../training/corpus/facts.ts';
import { prepareWith } from '../../training/corpus/prepare.ts';
import { heldOutRows, type Evaluation } from '../../training/measures/evaluate.ts';

const ROOT = join(import.meta.dirname, '../..');
const EMBEDDED = join(ROOT, 'configs/embedded');
/** Half a minute on an idle machine. */
const EVALUATION_MS = 300_000;

const folder = mkdtempSync(join(tmpdir(), 'tracer-evaluate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Measured by other code, in batches of its own (`training/measures/fidelity.ts`). */
const { fidelity } = JSON.parse(readFileSync(join(EMBEDDED, 'evaluation.json'), 'utf8')) as Evaluation;

describe('evaluate on the embedded set and the sentences of its card', () => {
  let found: EvaluateResult;
  let n_tokens = 0;

  beforeAll(async () => {
    const tokenizer = await loadTokenizer({
      tokenizerJson: join(EMBEDDED, 'model/tokenizer.json'),
      tokenizerConfig: join(EMBEDDED, 'model/tokenizer_config.json'),
      specialTokensMap: join(EMBEDDED, 'model/special_tokens_map.json'),
    });
    const facts = readFacts(join(ROOT, 'training'));
    const rows = heldOutRows(facts, prepareWith(facts, tokenizer)).map((row) => row.slice(1));
    const texts = rows.map((row) => tokenizer.decode(row));
    expect(texts.map((text) => tokenizer.encode(text))).toEqual(rows);
    n_tokens = rows.reduce((sum, row) => sum + row.length, 0);
    const corpus = join(folder, 'held-out.jsonl');
    writeFileSync(corpus, texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
    found = await evaluate({ corpus: [corpus], offline: true });
  }, EVALUATION_MS);

  it('gives the figures of the card', () => {
    expect(found).toMatchObject({ n_tokens, n_predictions: n_tokens, n_documents: fidelity.rows });
    for (const [i, { layer, explained_variance, l0, never_active_share }] of found.layers.entries()) {
      const said = fidelity.layers[i]!;
      expect(layer).toBe(i);
      expect(explained_variance).toBeCloseTo(said.explained_variance, 4);
      expect(l0).toBeCloseTo(said.L0, 3);
      expect(100 * never_active_share).toBeCloseTo(said.dead, 1);
    }
    expect(found.all.ce_clean).toBeCloseTo(fidelity.loss, 4);
    expect(found.all.ce_replaced).toBeCloseTo(fidelity.loss_replaced, 4);
    expect(found.diagnosis).toEqual([]);
    expect(found.warnings).toEqual([]);
  });
});
