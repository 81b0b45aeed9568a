import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GOLDEN_FILES, type GoldenCase, type GoldenFile } from '../intervention/golden.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { goldenPath, IS_FULL, prompts, tolerances } from '../support/golden.ts';
import { expectValues, readTensors } from '../support/tensors.ts';
import { tracer } from './shared.ts';
import { envelope, finish, start } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-intervene-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => path.join(folder, name);

const PROMPT = 'The capital of Texas is';

/** The rooms' own tests compare all sets and cases; here it is files and flags. */
const FILES = GOLDEN_FILES.filter(({ fixture, set }) =>
  fixture.startsWith('families/') ? IS_FULL : set === (fixture === 'tiny-a' ? 'plt-jumprelu' : 'clt'),
);

/** Cases that together use every flag. */
const CASES = ['multi-free-attention', 'constrained-part', 'direct-effects', 'first-position'];

const isFamily = ({ fixture }: GoldenFile): boolean => fixture.startsWith('families/');

function caseFlags({ fixture, set }: GoldenFile, golden: GoldenCase, output: string): string[] {
  const list = at('interventions.json');
  writeFileSync(list, JSON.stringify(golden.interventions));
  const range = golden.constrained_layers;
  return [
    ...['--model', goldenPath(fixture, 'model'), '--transcoders', goldenPath(fixture, 'transcoders', set)],
    ...['--interventions', list, '--output', output, '--json', '--quiet'],
    ...(golden.freeze_attention ? [] : ['--free-attention']),
    ...(range ? ['--constrained-layers', range.join(':')] : []),
    ...(golden.apply_activation_function ? [] : ['--pre-activations']),
  ];
}

describe.each(TEST_DEVICES)('on %s', (device) => {
  it.each(FILES)('tracer intervene writes what the reference does ($fixture $set)', async (file) => {
    const { fixture, set, prompt } = file;
    const expected = await readTensors(
      goldenPath(fixture, 'expected', 'interventions', `${set}.safetensors`),
    );
    const tolerance = tolerances(fixture).interventions_and_generation;
    for (const golden of file.cases.filter(({ id }) => isFamily(file) || CASES.includes(id))) {
      const output = at(`${device}-${path.basename(fixture)}-${set}-${golden.id}.safetensors`);
      const finished = await tracer([
        'intervene',
        prompts(fixture)[prompt].text,
        ...caseFlags(file, golden, output),
        ...['--device', device],
      ]);
      expect(finished.stderr).toBe('');
      const { data } = envelope(finished);
      expect((data!['top'] as { token_id: number }[])[0]!.token_id).toBe(golden.top_token);
      expectValues(
        'max_abs_logit_change',
        [data!['max_abs_logit_change'] as number],
        [golden.max_abs_logit_change],
        tolerance,
      );
      const written = await readTensors(output);
      const names = golden.apply_activation_function
        ? ['logits', 'activation_indices', 'activation_values']
        : ['logits', 'pre_activations'];
      expect([...written.keys()].sort()).toEqual([...names].sort());
      for (const name of names) {
        const wanted = expected.get(`${golden.id}/${name}`)!;
        expect(written.get(name)!.shape).toEqual(wanted.shape);
        expectValues(`${golden.id} ${name}`, written.get(name)!.values, wanted.values, tolerance);
      }
    }
  });

  it.each(FILES)('tracer generate writes what the reference does ($fixture $set)', async (file) => {
    const { fixture, set } = file;
    const expected = await readTensors(
      goldenPath(fixture, 'expected', 'interventions', `${set}.safetensors`),
    );
    const golden = file.continuations.find(
      ({ id }) => id === (isFamily(file) ? 'generate' : 'generate-free-attention'),
    )!;
    const output = at(`${device}-${path.basename(fixture)}-${set}-generate.safetensors`);
    const finished = await tracer([
      'generate',
      golden.prompt_text,
      ...caseFlags(file, { ...golden, max_abs_logit_change: 0, top_token: 0 }, output),
      ...['--max-new-tokens', String(golden.max_new_tokens), '--no-stop-at-eos', '--device', device],
    ]);
    const { data } = envelope(finished);
    expect(data!['text']).toBe(golden.text);
    expect((data!['tokens'] as { id: number }[]).map(({ id }) => id)).toEqual(golden.token_ids);
    const written = await readTensors(output);
    expect([...written.get('tokens')!.values]).toEqual(golden.token_ids);
    for (const name of ['logits', 'activation_indices', 'activation_values']) {
      const wanted = expected.get(`${golden.id}/${name}`)!;
      expect(written.get(name)!.shape).toEqual(wanted.shape);
      expectValues(
        name,
        written.get(name)!.values,
        wanted.values,
        tolerances(fixture).interventions_and_generation,
      );
    }
  });
});

const WASM = ['--device', 'wasm'];
const TINY = ['--model', goldenPath('tiny-a', 'model'), '--transcoders', goldenPath('tiny-a', 'transcoders', 'plt-jumprelu')]; // prettier-ignore

/** On a model whose features are known here by their numbers. */
function onFixture(...args: string[]) {
  return tracer([...args, ...TINY, ...WASM]);
}

describe('tracer intervene', () => {
  it('shows the next token before and after, with the short form of interventions', async () => {
    const { exitCode, stdout, stderr } = await onFixture(
      'intervene',
      PROMPT,
      ...['--set', '2:-1:35=*-2', '--ablate', '0:3:49', '--quiet'],
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const title of ['Changed', 'Next token', 'Features that changed most', 'divergence'])
      expect(stdout).toContain(title);
  });

  it('lets the last of --set and --ablate count, in the order typed, and warns', async () => {
    const values = async (...flags: string[]): Promise<unknown> => {
      const finished = await onFixture('intervene', PROMPT, ...flags, '--json');
      expect(finished.stderr).toContain('warning: 0:3:49 is named more than once: the last one counts');
      return envelope(finished).data!['interventions'];
    };
    const ablated = await values('--set', '0:3:49=5', '--ablate', '0:3:49');
    expect(ablated).toEqual([expect.objectContaining({ layer: 0, position: 3, feature: 49, after: 0 })]);
    const set = await values('--ablate', '0:3:49', '--set', '0:3:49=5');
    expect(set).toEqual([expect.objectContaining({ after: 5 })]);
  });

  it.each([
    ['a layer out of range', ['--set', '4:1:2=3'], 'Give a layer from 0 to 3.'],
    ['a feature out of range', ['--set', '0:1:128=3'], 'Give a feature from 0 to 127.'],
    ['a position of another prompt', ['--set', '0:6:2=3'], 'Give a position from 0 to 5'],
    ['a range of another prompt', ['--set', '0:2..9:2=3'], 'Give a position from 0 to 5'],
    ['no number', ['--set', '0:1:2=NaN'], '20:10:15589=30.9'],
    ['constrained layers out of range', ['--set', '0:1:2=3', '--constrained-layers', '0:5'], '0:4 are all'],
    ['a scale without a group', ['--scale', '2'], 'Add --supernode FILE'],
    ['two ways to ask', ['--sweep', '0:1:2=0..1/2', '--expect', ' is'], 'Leave out one of them.'],
    ['a batch with a prompt', ['--batch', 'cases.jsonl'], 'The lines of the file say it'],
    ['a table without a sweep', ['--csv', 'x.csv'], 'Add --sweep'],
  ])('refuses %s with exit code 2 and writes nothing', async (_, flags, hint) => {
    const output = at('refused.safetensors');
    const typed =
      flags.includes('--sweep') || flags.includes('--batch') ? flags : [...flags, '--output', output];
    const finished = await onFixture('intervene', PROMPT, ...typed, '--json');
    expect(finished.exitCode).toBe(2);
    expect(envelope(finished).error!.hint).toContain(hint);
    expect(existsSync(output)).toBe(false);
  });

  it('holds a change to an expectation, with exit code 6', async () => {
    const flags = ['intervene', PROMPT, '--set', '2:-1:35=*-2', '--json', '--quiet'];
    const best = (envelope(await onFixture(...flags)).data!['top'] as { text: string }[])[0]!.text;
    expect((await onFixture(...flags, '--expect', best)).exitCode).toBe(0);
    const failed = await onFixture(...flags, '--expect', best, '--expect-prob', '0.999');
    expect(failed.exitCode).toBe(6);
    expect(envelope(failed).error!.message).toContain('after the intervention the most likely next token is');
  });

  it('scales the groups of a viewer', async () => {
    const groups = at('groups.json');
    writeFileSync(
      groups,
      JSON.stringify({
        qParams: {
          supernodes: [
            ['is', '2_35_5', '0_34_5'],
            ['of', '0_49_3'],
          ],
        },
      }),
    );
    const finished = await onFixture(
      'intervene',
      PROMPT,
      ...['--supernode', groups, '--scale', 'is=-1', '--scale', '0', '--json', '--quiet'],
    );
    const changed = envelope(finished).data!['interventions'] as {
      feature: number;
      before: number;
      after: number;
    }[];
    const after = new Map(changed.map((one) => [one.feature, one.after / one.before]));
    expect([after.get(35), after.get(34), after.get(49)]).toEqual([-1, -1, 0]);
  });

  it('sweeps a range in one load', async () => {
    const csv = at('sweep.csv');
    const flags = ['intervene', PROMPT, '--sweep', '2:-1:35=-4..4/5', '--quiet'];
    const { stdout } = await onFixture(...flags, '--csv', csv);
    expect(stdout).toContain('divergence');
    expect(readFileSync(csv, 'utf8').split('\r\n')).toHaveLength(1 + 5 + 1);
    const { data } = envelope(await onFixture(...flags, '--json'));
    expect((data!['points'] as { value: number }[]).map(({ value }) => value)).toEqual([-4, -2, 0, 2, 4]);
  });

  it('runs a batch to its end and exits with 6 when an expectation fails', async () => {
    const file = at('cases.jsonl');
    const line = (more: object): string =>
      JSON.stringify({ prompt: PROMPT, interventions: ['2:-1:35=*-2'], ...more });
    writeFileSync(file, `${line({ expect: ' is', name: 'a' })}\n${line({ expect_not: ' is' })}\n`);
    const finished = await onFixture('intervene', '--batch', file, '--json', '--quiet');
    expect(finished.exitCode).toBe(6);
    expect(envelope(finished).data).toMatchObject({ n_cases: 2, n_failed: 1 });
    const { exitCode, stdout } = await onFixture('intervene', '--batch', file, '--quiet');
    expect(exitCode).toBe(6);
    expect(stdout).toContain('1 of 2 cases did not come true.');
    writeFileSync(file, line({ expect_not: ' is' }));
    expect((await onFixture('intervene', '--batch', file, '--quiet')).exitCode).toBe(0);
  });
});

describe('tracer generate', () => {
  it('streams the text, and the text alone where nobody watches', async () => {
    const flags = ['generate', PROMPT, '--max-new-tokens', '4', '--quiet'];
    const { data } = envelope(await onFixture(...flags, '--json'));
    const { stdout, exitCode } = await onFixture(...flags);
    expect({ stdout, exitCode }).toEqual({ stdout: `${data!['text'] as string}\n`, exitCode: 0 });
    expect(data!['text']).toBe(PROMPT + (data!['continuation'] as string));
  });

  it('draws the same tokens for the seed that it names', async () => {
    const flags = ['generate', PROMPT, '--max-new-tokens', '8', '--temperature', '1.5', '--json', '--quiet'];
    const first = envelope(await onFixture(...flags)).data!;
    const again = envelope(await onFixture(...flags, '--seed', String(first['seed']))).data!;
    expect(again['text']).toBe(first['text']);
    expect(again['tokens']).toHaveLength((first['n_prompt_tokens'] as number) + 8);
  });

  it.each([
    ['--temperature', '-1'],
    ['--temperature', 'warm'],
    ['--top-k', '0'],
    ['--top-p', '2'],
    ['--max-new-tokens', '0'],
    ['--max-new-tokens', '100000'],
    ['--set', '0:6:2=3'],
    ['--set', '0:30..:2=3'],
  ])('refuses %s %s with exit code 2', async (flag, value) => {
    const finished = await onFixture('generate', PROMPT, flag, value, '--json');
    expect(finished.exitCode).toBe(2);
    expect(envelope(finished).error!.message).not.toBe('');
  });

  it('stops at Ctrl-C', async () => {
    const child = start([
      'generate',
      PROMPT,
      '--max-new-tokens',
      '200',
      ...TINY,
      ...WASM,
      '--no-stop-at-eos',
      '--output',
      at('x.st'),
    ]);
    child.stdin?.end();
    child.stdout?.once('data', () => child.kill('SIGINT'));
    const { exitCode } = await finish(child);
    expect(exitCode).toBe(130);
    expect(existsSync(at('x.st'))).toBe(false);
  });
});

describe('tracer graph validate', () => {
  it('takes the model from the graph and compares prediction and model', async () => {
    const graph = at('graph.safetensors');
    expect((await tracer(['attribute', PROMPT, '--output', graph, '--quiet', ...WASM])).exitCode).toBe(0);
    const { data } = envelope(
      await tracer(['graph', 'validate', graph, '--top', '3', '--json', '--quiet', ...WASM]),
    );
    expect(data).toMatchObject({ model: 'embedded', transcoders: 'embedded', direct: false });
    expect(data!['features']).toHaveLength(3);
    const { stdout, exitCode } = await tracer(['graph', 'validate', graph, '--direct', '--quiet', ...WASM]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/rank correlation +1 \(Spearman, predicted and actual\)/);
    expect(
      (await tracer(['graph', 'validate', graph, '--target', 'nowhere', '--quiet', ...WASM])).exitCode,
    ).toBe(2);
  });
});
