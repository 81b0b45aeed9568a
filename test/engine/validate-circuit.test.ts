/** A circuit of cities of one state of the embedded model, tried in the model on prompts that it was not found in. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { attributePrompts } from '../../src/engine/attribute/prompts.ts';
import { interveneIn } from '../../src/engine/intervene/intervene.ts';
import { openSession } from '../../src/engine/session.ts';
import { circuit } from '../../src/engine/study/circuit.ts';
import { collect } from '../../src/engine/study/collect.ts';
import { query } from '../../src/engine/study/query.ts';
import { validateCircuit } from '../../src/engine/validate/circuit.ts';
import type { ValidateCircuitResult } from '../../src/engine/validate/types.ts';
import { failure } from '../study/made-graphs.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-validate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const inFolder = (name: string): string => path.join(folder, name);
const [list, study, file] = [inFolder('list.jsonl'), inFolder('study'), inFolder('texas.safetensors')];
const table = inFolder('study/validated.parquet');

const MODEL = { model: 'embedded', device: 'wasm' } as const;
const STATES = {
  Texas: ['Dallas', 'Houston', 'Lubbock', 'Amarillo', 'Laredo'],
  California: ['Oakland', 'Fresno', 'Anaheim', 'Berkeley', 'Bakersfield'],
};
const WORDINGS = ['The capital of the state containing', 'Fact: the capital of the state containing'];
const N_TEXAS = 10;

function lines(): { slug: string; prompt: string; state: string }[] {
  return Object.entries(STATES).flatMap(([state, cities]) =>
    cities.flatMap((city) =>
      WORDINGS.map((wording, i) => ({ slug: `${city}-${i}`, prompt: `${wording} ${city} is`, state })),
    ),
  );
}

const write = (to: string, rows: readonly object[]): void =>
  writeFileSync(to, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

let result: ValidateCircuitResult;

beforeAll(async () => {
  write(list, lines());
  await attributePrompts({ ...MODEL, prompts: list, output: inFolder('graphs'), store: 'nodes' });
  await collect({ folders: [inFolder('graphs')], output: study });
  await circuit({ study, by: 'state', group: 'Texas', holdout: 0.5, output: file });
  result = await validateCircuit({ file, study, output: table, device: 'wasm' });
});

describe('a circuit in the model', () => {
  it('is tried on all prompts of its group that it was not found in, and no others', async () => {
    expect([result.n_found_in, result.n_prompts, result.failed]).toEqual([5, 5, []]);
    const texas = lines().filter(({ state }) => state === 'Texas');
    for (const { slug, prompt, answer } of result.prompts) {
      expect(texas).toContainEqual({ slug, prompt, state: 'Texas' });
      expect(answer).toBe(' Austin');
    }
    // From a list, the same prompts, those that were used left out by their text whatever they are called.
    write(
      inFolder('again.jsonl'),
      texas.map((one, i) => ({ ...one, slug: `other-${i}` })),
    );
    const again = await validateCircuit({ file, prompts: inFolder('again.jsonl'), device: 'wasm' });
    expect(again.prompts.map(({ prompt }) => prompt)).toEqual(result.prompts.map(({ prompt }) => prompt));
    expect(again.recovered).toEqual(result.recovered);
    expect([again.predicted, result.predicted!.rank_correlation]).toEqual([null, expect.any(Number)]);
  });

  it('keeps and takes away more of the answer than as many random features', () => {
    const { recovered, lost, means } = result;
    for (const { estimate, random } of [recovered, lost]) {
      expect(estimate!.interval[0]).toBeLessThanOrEqual(estimate!.value);
      expect(estimate!.interval[1]).toBeGreaterThanOrEqual(estimate!.value);
      expect(estimate!.interval[0]).toBeGreaterThan(random!);
    }
    const { all, circuit: own, none, without } = means;
    expect((own.logit - none.logit) / (all.logit - none.logit)).toBeCloseTo(recovered.estimate!.value, 8);
    expect((all.logit - without.logit) / (all.logit - none.logit)).toBeCloseTo(lost.estimate!.value, 8);
    expect(all.is_first).toBe(1);
    expect(result.predicted!.mean).toBeLessThan(0);
    expect(result.predicted!.actual_mean).toBeCloseTo(without.logit - all.logit, 8);
  });

  it('has the numbers that interventions have', async () => {
    using session = await openSession(MODEL);
    const consensus = await query({ study, sql: `SELECT prompt FROM graphs WHERE meta_state = 'Texas'` });
    expect(consensus.rows).toHaveLength(N_TEXAS);
    const { features } = await circuit({ study, by: 'state', group: 'Texas', holdout: 0.5, top: 1000 });
    for (const one of result.prompts) {
      const changed = await interveneIn(session, {
        input: { prompt: one.prompt },
        interventions: features.map(({ layer, feature, place }) => ({
          ...{ layer, feature, pos: place, change: { kind: 'scale', factor: 0 } as const },
        })),
        ...{ top: 1, features: 0 },
      });
      const austin = changed.changes.find(({ text }) => text === ' Austin')!;
      expect(one.without.probability).toBeCloseTo(austin.probability_after, 5);
      expect(one.all.probability).toBeCloseTo(austin.probability_before, 5);
    }
  });

  it('gives a table that is joined to the study, and the same numbers for the same seed', async () => {
    const sql = `SELECT slug, meta_state, logit_all, logit_circuit, first_without, n_circuit, predicted
                 FROM validated JOIN graphs USING (slug) ORDER BY graph`;
    const { rows } = await query({ study, sql });
    expect(rows).toEqual(
      result.prompts.map(({ slug, all, circuit: own, without, n_circuit, predicted }) => [
        ...[slug, 'Texas', all.logit, own.logit, without.is_first, n_circuit, predicted],
      ]),
    );
    const first = readFileSync(table);
    const again = await validateCircuit({ file, study, output: table, device: 'wasm' });
    expect({ ...again, timings_ms: 0, peak_rss_bytes: 0 }).toEqual({
      ...result,
      timings_ms: 0,
      peak_rss_bytes: 0,
    });
    expect(readFileSync(table).equals(first)).toBe(true);
    const other = await validateCircuit({ file, study, seed: 2, device: 'wasm' });
    expect(other.recovered.estimate!.value).toBe(result.recovered.estimate!.value);
    expect(other.recovered.random).not.toBe(result.recovered.random);
  });

  it('reports lines that cannot be used, and runs the others', async () => {
    const rows = [
      ...lines().slice(-3),
      { slug: 'empty', prompt: '' },
      { slug: 'long', prompt: ' is'.repeat(90) },
    ];
    write(inFolder('some.jsonl'), [...rows, { slug: 'no prompt' }]);
    const some = await validateCircuit({ file, prompts: inFolder('some.jsonl'), device: 'wasm' });
    expect(some.prompts.map(({ slug }) => slug)).toEqual(rows.slice(0, 3).map(({ slug }) => slug));
    expect(some.failed.map(({ line, error }) => [line, error.code])).toEqual([
      [6, 'bad_field'],
      [4, 'empty_prompt'],
      [5, 'prompt_too_long'],
    ]);
  });

  it('is refused with a list of which no line can be used', async () => {
    write(inFolder('none.jsonl'), [
      { slug: 'a', prompt: '' },
      { slug: 'b', prompt: ' is'.repeat(90) },
    ]);
    const none = validateCircuit({ file, prompts: inFolder('none.jsonl'), device: 'wasm' });
    await expect(none).rejects.toMatchObject({ code: 'no_prompt_left', exitCode: 2 });
  });

  it('is refused with a study of another model', async () => {
    const other = inFolder('other');
    const description = path.join(other, 'study.json');
    await collect({ folders: [inFolder('graphs')], output: other });
    writeFileSync(description, readFileSync(description, 'utf8').replaceAll('"embedded"', '"gemma-2-2b"'));
    expect(await failure(validateCircuit({ file, study: other }))).toEqual([2, 'different_sets']);
  });
});
