import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { batchIn, readBatch } from '../../src/engine/intervene/batch.ts';
import { sweepIn } from '../../src/engine/intervene/sweep.ts';
import { interveneIn } from '../../src/engine/intervene/intervene.ts';
import type { Session } from '../../src/engine/session.ts';
import type { Intervention } from '../../src/intervention/intervention.ts';
import { parseIntervention, parseSweep } from '../../src/intervention/text-form.ts';
import { prompts } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';
import { goldenSession, listener } from './golden-session.ts';

const PROMPT = prompts('tiny-a').p2.text;
/** Active in the prompt at position 8, with this activation. */
const ACTIVE = '0:8:104';

function given(...texts: string[]): Intervention[] {
  return texts.map((text) => parseIntervention('--set', text));
}

let session: Session;
beforeAll(async () => {
  session = await goldenSession('tiny-a', 'plt-jumprelu');
});
afterAll(() => session[Symbol.dispose]());

const request = { input: { prompt: PROMPT }, features: 5 };

describe('intervene', () => {
  it('reports the value before and the value asked for, relative ones from the original pass', async () => {
    const { interventions } = await interveneIn(session, {
      ...request,
      interventions: given(`${ACTIVE}=*-2`, '1:5:22=+5', '3:1..3:9=4', '0:0:104=*3'),
    });
    const [atStart, scaled, added, ...set] = interventions;
    expect(atStart).toMatchObject({ layer: 0, position: 0, before: 0, after: 0 });
    expect(scaled!.before).toBeGreaterThan(0);
    expect(scaled!.after).toBeCloseTo(-2 * scaled!.before, 4);
    expect(added!.after).toBeCloseTo(added!.before + 5, 4);
    expect(set.map(({ position, after }) => [position, after])).toEqual([
      [1, 4],
      [2, 4],
    ]);
  });

  it('does the same for a factor as for the value that it stands for', async () => {
    for (const freezeAttention of [true, false]) {
      const choice = { ...request, freezeAttention };
      const scaled = await interveneIn(session, {
        ...choice,
        interventions: given(`${ACTIVE}=*-2`, '1:5:22=+5', '2:4:2=*3'),
      });
      const values = scaled.interventions.map(({ layer, position, feature, after }): Intervention => {
        return { layer, pos: position, feature, change: { kind: 'set', value: after } };
      });
      const set = await interveneIn(session, { ...choice, interventions: values });
      expect(set.max_abs_logit_change).toBeCloseTo(scaled.max_abs_logit_change, 3);
      expect(set.kl_divergence).toBeCloseTo(scaled.kl_divergence, 4);
    }
  });

  it('changes nothing without interventions, whatever is frozen', async () => {
    const constrainedLayers = { from: 0, to: 4 };
    const result = await interveneIn(session, { ...request, constrainedLayers });
    expect(result).toMatchObject({
      max_abs_logit_change: 0,
      kl_divergence: 0,
      features: [],
      interventions: [],
    });
    expect(result.top).toEqual(result.baseline.top);
  });

  it('compares the tokens that were likely with those that are', async () => {
    const result = await interveneIn(session, { ...request, top: 2, interventions: given(`${ACTIVE}=40`) });
    const compared = new Map(result.changes.map((change) => [change.token_id, change]));
    for (const { token_id, logit, probability } of result.baseline.top) {
      expect(compared.get(token_id)).toMatchObject({ logit_before: logit, probability_before: probability });
    }
    for (const { token_id, logit, probability } of result.top) {
      expect(compared.get(token_id)).toMatchObject({ logit_after: logit, probability_after: probability });
    }
    expect(result.kl_divergence).toBeGreaterThan(0);
    const sizes = result.features.map(({ before, after }) => Math.abs(after - before));
    expect(sizes).toHaveLength(5);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
  });

  it('warns about a feature that is named twice, and about what does nothing', async () => {
    const twice = listener();
    await interveneIn(session, { ...request, ...twice, interventions: given(`${ACTIVE}=1`, '0:2..:104=2') });
    expect(twice.warnings).toEqual([`${ACTIVE} is named more than once: the last one counts`]);
    const idle = listener();
    await interveneIn(session, { ...request, ...idle, interventions: given('0:0:104=*2') });
    expect(idle.warnings).toEqual([
      'nothing is changed: 0:0:104 stays as it is, position 0 counts as inactive',
    ]);
    const outside = listener();
    await interveneIn(session, {
      ...request,
      ...outside,
      constrainedLayers: { from: 2, to: 4 },
      interventions: given(`${ACTIVE}=1`, '3:1:9=4'),
    });
    expect(outside.warnings).toEqual([
      'features of layer 0 write into no constrained layer: changing them does nothing',
    ]);
  });

  it('leaves out what is no feature in a supernode, and says so', async () => {
    const { warnings, onProgress } = listener();
    const { interventions } = await interveneIn(session, {
      ...request,
      onProgress,
      supernodes: [{ name: 'hot', ids: ['0_104_8', 'E_5_1', '5_315_10'], factor: 0 }],
    });
    expect(interventions).toHaveLength(1);
    expect(interventions[0]).toMatchObject({ layer: 0, position: 8, feature: 104, after: 0 });
    expect(warnings).toEqual(["supernode 'hot': ids that are not features are ignored: E_5_1, 5_315_10"]);
  });

  it.each([['4:1:2=3'], ['0:11:2=3'], ['0:1:128=3']])('writes nothing for %s', async (text) => {
    using folder = scratchFolder();
    const output = path.join(folder.path, 'out.safetensors');
    await expect(
      interveneIn(session, { ...request, output, interventions: given(text) }),
    ).rejects.toMatchObject({ exitCode: 2 });
    expect(existsSync(output)).toBe(false);
  });

  it('fails with what came instead when an expectation does not come true', async () => {
    const [best] = (await interveneIn(session, request)).top;
    const met = { expect: [best!.text], expectProbability: best!.probability - 0.01 };
    await expect(interveneIn(session, { ...request, ...met })).resolves.toBeDefined();
    await expect(interveneIn(session, { ...request, expectNot: [best!.text] })).rejects.toMatchObject({
      exitCode: 6,
      message: expect.stringContaining(JSON.stringify(best!.text)),
    });
    await expect(
      interveneIn(session, { ...request, expectProbability: best!.probability + 0.01 }),
    ).rejects.toMatchObject({ exitCode: 6 });
  });
});

describe('a sweep', () => {
  it('has the effect of each value by itself, and writes it as a table', async () => {
    using folder = scratchFolder();
    const csv = path.join(folder.path, 'sweep.csv');
    const others = given('1:5:22=0');
    const result = await sweepIn(session, {
      input: request.input,
      interventions: others,
      sweep: parseSweep('--sweep', `${ACTIVE}=-10..30/3`),
      csv,
    });
    expect(result.points.map(({ value }) => value)).toEqual([-10, 10, 30]);
    for (const point of result.points) {
      const single = await interveneIn(session, {
        ...request,
        interventions: [...others, ...given(`${ACTIVE}=${point.value}`)],
      });
      expect(point.kl_divergence).toBeCloseTo(single.kl_divergence, 5);
      expect(point.top.map(({ token_id }) => token_id)).toEqual(single.top.map(({ token_id }) => token_id));
      const before = result.baseline.top[0]!;
      const after = single.changes.find(({ token_id }) => token_id === before.token_id)!;
      expect(point.baseline_token.logit_change).toBeCloseTo(after.logit_after - after.logit_before, 4);
    }
    const lines = readFileSync(csv, 'utf8').split('\r\n');
    expect(lines[0]).toBe(
      'value,top_token_id,top_text,top_probability,kl_divergence,baseline_token_logit,baseline_token_logit_change,baseline_token_probability',
    );
    expect(lines.slice(1).map((line) => line.split(',')[0])).toEqual(['-10', '10', '30', '']);
  });
});

describe('a batch', () => {
  async function cases(...lines: (object | string)[]) {
    using folder = scratchFolder();
    const file = path.join(folder.path, 'cases.jsonl');
    const texts = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
    writeFileSync(file, texts.join('\n'));
    return await readBatch(file);
  }

  it('runs all cases and tells which expectations did not come true', async () => {
    const plain = await interveneIn(session, request);
    const changed = await interveneIn(session, { ...request, interventions: given(`${ACTIVE}=30.8848`) });
    const [before, after] = [plain.top[0]!, changed.top[0]!];
    expect(after.token_id).not.toBe(before.token_id);
    const set = [{ layer: 0, pos: 8, feature: 104, value: 30.8848 }];
    const result = await batchIn(session, {
      cases: await cases(
        { name: 'wrong', prompt: PROMPT, interventions: set, expect: before.text },
        '',
        { prompt: PROMPT, expect: [before.text, after.text], expect_prob: 0.01 },
        {
          tokens: prompts('tiny-a').p2.token_ids,
          interventions: [`${ACTIVE}=30.8848`],
          expect_not: before.text,
        },
        { prompt: PROMPT, interventions: set, free_attention: true },
      ),
    });
    expect(result).toMatchObject({ n_cases: 4, n_failed: 1 });
    expect(result.cases.map(({ line, name, passed }) => [line, name, passed])).toEqual([
      [1, 'wrong', false],
      [3, null, true],
      [4, null, true],
      [5, null, true],
    ]);
    expect(result.cases[0]!.failure).toContain(`expected ${JSON.stringify(before.text)}`);
    expect(result.cases[3]!.kl_divergence).not.toBeCloseTo(result.cases[0]!.kl_divergence, 3);
  });

  it('is refused as a whole, with the line, when a case does not fit', async () => {
    const good = { prompt: PROMPT };
    for (const bad of [
      { prompt: PROMPT, interventions: ['9:1:1=1'] },
      { prompt: PROMPT, interventions: ['0:40:1=1'] },
      { prompt: '' },
      { prompt: PROMPT, expect: 'two tokens at least' },
    ]) {
      const both = await cases(good, bad);
      await expect(batchIn(session, { cases: both })).rejects.toMatchObject({
        exitCode: 2,
        message: expect.stringMatching(/^line 2: /),
      });
    }
  });

  it('shows how a line is written where a field is wrong', async () => {
    await expect(cases({ prompt: 'a', remove_heads: '2.1' })).rejects.toMatchObject({
      message: expect.stringContaining('remove_heads'),
      hint: expect.stringContaining('"remove_heads":["5.3:8"]'),
    });
  });

  it.each([
    ['no JSON', '{"prompt":'],
    ['an unknown field', { prompt: 'a', expects: 'b' }],
    ['no prompt', { interventions: [] }],
    ['a prompt and tokens', { prompt: 'a', tokens: [2] }],
    ['a probability above 1', { prompt: 'a', expect_prob: 2 }],
    ['an intervention without a value', { prompt: 'a', interventions: ['0:1:2'] }],
    ['rows to renormalize without a head', { prompt: 'a', renormalize: true }],
  ])('with a line of %s is a usage error that names it', async (_, line) => {
    await expect(cases({ prompt: 'a' }, line)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('line 2'),
    });
  });

  it('without lines is refused', async () => {
    await expect(cases('', '  ')).rejects.toMatchObject({ exitCode: 2, code: 'empty_batch' });
  });
});
