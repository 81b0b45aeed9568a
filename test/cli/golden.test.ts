import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TEST_DEVICES } from '../support/backends.ts';
import {
  CLI_FIXTURES,
  FIXTURES,
  goldenPath,
  PROMPTS,
  prompts,
  readGoldenJson,
  setsOf,
  tolerances,
  type Fixture,
} from '../support/golden.ts';
import { expectValues, readTensors } from '../support/tensors.ts';
import { tracer } from './shared.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-golden-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Hooks and logits of a prompt. */
const LEAST_COMPARED = 50;

interface RunData {
  readonly data: {
    readonly tokens: readonly { readonly id: number; readonly text: string }[];
    readonly device: string;
  };
}

/** `tracer run` on a fixture; gives the parsed `--json` document. */
async function runGolden(
  device: string,
  fixture: Fixture,
  setName: string,
  ...args: string[]
): Promise<RunData> {
  const { exitCode, stdout, stderr } = await tracer(
    [
      'run',
      ...args,
      '--model',
      goldenPath(fixture, 'model'),
      '--transcoders',
      goldenPath(fixture, 'transcoders', setName),
    ].concat(['--device', device, '--json', '--quiet']),
  );
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${stdout}${stderr}`);
  return JSON.parse(stdout) as RunData;
}

describe.each(TEST_DEVICES)('tracer run on %s', (device) => {
  describe.each(CLI_FIXTURES(device))('with %s', (fixture) => {
    it.each(['p1', 'p3'] as const)(
      'writes the activations and logits of the reference for %s',
      async (prompt) => {
        const file = path.join(folder, `${device}-${path.basename(fixture)}-${prompt}.safetensors`);
        await runGolden(
          device,
          fixture,
          setsOf(fixture)[0]!,
          prompts(fixture)[prompt].text,
          '--save-activations',
          file,
        );
        const written = await readTensors(file);
        const expected = await readTensors(goldenPath(fixture, 'expected', 'activations.safetensors'));
        let compared = 0;
        for (const [name, golden] of expected) {
          const hook = name.replace('replacement/', '');
          if (!hook.startsWith(`${prompt}/`)) continue;
          const found = written.get(hook.slice(prompt.length + 1));
          expect({ name, shape: found?.shape }).toEqual({ name, shape: golden.shape });
          expectValues(name, found!.values, golden.values, tolerances(fixture).logits_and_hooks);
          compared++;
        }
        expect(compared).toBeGreaterThan(LEAST_COMPARED);
      },
    );

    it.each(setsOf(fixture))('writes the features of the reference for %s', async (setName) => {
      const expected = await readTensors(
        goldenPath(fixture, 'expected', `transcoder-${setName}.safetensors`),
      );
      for (const prompt of PROMPTS.filter((name) => name in prompts(fixture))) {
        const file = path.join(
          folder,
          `${device}-${path.basename(fixture)}-${setName}-${prompt}.safetensors`,
        );
        const ids = prompts(fixture)[prompt].token_ids.join();
        await runGolden(device, fixture, setName, '--tokens', ids, '--save-features', file);
        const written = await readTensors(file);
        expect([...written.get('indices')!.values]).toEqual([
          ...expected.get(`${prompt}/indices_first_kept`)!.values,
        ]);
        expectValues(
          `${prompt}/values`,
          written.get('values')!.values,
          expected.get(`${prompt}/values_first_kept`)!.values,
          tolerances(fixture).transcoder,
        );
      }
    });
  });
});

it.each(FIXTURES)('tracer run splits texts of %s as the reference does', async (fixture) => {
  const all = readGoldenJson<{ text: string; model_input: number[]; pieces: string[] }[]>(
    fixture,
    'expected',
    'tokenization.json',
  );
  const chosen = all.filter(({ text }) => text !== '' && !text.startsWith('-')).filter((_, i) => i % 4 === 0);
  expect(chosen.length).toBeGreaterThan(3);
  for (const { text, model_input } of chosen) {
    const { data } = await runGolden('wasm', fixture, 'plt-jumprelu', text);
    expect(data.tokens.map(({ id }) => id)).toEqual(model_input);
  }
});
