/** Sets as other libraries write them through the command line: what they give, and what is refused. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  goldenPath,
  IS_FULL,
  LAYOUT_FIXTURES,
  prompts,
  readGoldenJson,
  tolerances,
} from '../support/golden.ts';
import { expectValues, readTensors } from '../support/tensors.ts';
import { tracer } from './shared.ts';
import { envelope } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-layouts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MODEL = ['--model', goldenPath('tiny-a', 'model'), '--json', '--quiet'];
const REFUSED = path.join(import.meta.dirname, '../fixtures/golden/layouts/refuse');

async function data<T>(args: readonly string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await tracer(args);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${stdout}${stderr}`);
  return (JSON.parse(stdout) as { data: T }).data;
}

describe.each(LAYOUT_FIXTURES)('%s', (fixture) => {
  const subject = [...MODEL, '--transcoders', goldenPath(fixture, 'transcoders', 'set')];
  const tolerance = tolerances(fixture).transcoder;

  it.each(['cpu', 'wasm'])('run saves the features of the library, on %s', async (device) => {
    const golden = await readTensors(goldenPath(fixture, 'expected', 'transcoder-set.safetensors'));
    for (const name of IS_FULL ? (['p1', 'p2', 'p3'] as const) : (['p2'] as const)) {
      const file = path.join(folder, `${path.basename(fixture)}-${device}-${name}.safetensors`);
      const { text } = prompts(fixture)[name];
      await data(['run', text, '--save-features', file, '--device', device, ...subject]);
      const found = await readTensors(file);
      const expected = (key: string) => golden.get(`${name}/${key}_first_kept`)!.values;
      expect([...found.get('indices')!.values]).toEqual([...expected('indices')]);
      expectValues(`${name}/values`, found.get('values')!.values, expected('values'), tolerance);
    }
  });

  it('is described, inspected, traced and changed', async () => {
    const loaded = await data<{ layers: { layer: number }[] }>(['load', '--dry-run', ...subject]);
    expect(loaded.layers.map(({ layer }) => layer)).toEqual([0, 1, 2, 3]);
    const { transcoder_details } = await data<{ transcoder_details: object }>(['inspect', ...subject]);
    expect(transcoder_details).toMatchObject({ n_transcoders: 4, model_kind: 'transcoder_set' });
    const traced = await data<{ verification: { ok: boolean } }>([
      ...['attribute', prompts(fixture).p1.text, '--verify', '10', '--max-feature-nodes', '40'],
      ...['--output', path.join(folder, `${path.basename(fixture)}.safetensors`), '--device', 'wasm'],
      ...subject,
    ]);
    expect(traced.verification).toMatchObject({ ok: true });
  });
});

interface RefusalCase {
  readonly exit: number;
  readonly message_matches: string | null;
}

describe.each(['run', 'attribute'] as const)('%s', (verb) => {
  const { cases } = readGoldenJson<{ cases: Record<string, RefusalCase> }>('layouts/refuse', 'cases.json');
  const output = (name: string): string[] =>
    verb === 'attribute' ? ['--output', path.join(folder, `${name}.safetensors`)] : [];

  // test/transcoder refuses all of them: in `npm test` the command line is asked about a few.
  const entries = Object.entries(cases);
  const few = entries.filter(([name]) => name.startsWith('good-') || name.endsWith('-missing-layer'));
  it.each(IS_FULL ? entries : few)('%s', async (name, { exit, message_matches }) => {
    const set = path.join(REFUSED, name);
    const finished = await tracer([
      ...[verb, 'The cat', '--transcoders', set, '--device', 'wasm'],
      ...output(name),
      ...MODEL,
    ]);
    expect({ name, exitCode: finished.exitCode }).toEqual({ name, exitCode: exit });
    if (message_matches === null) return;
    const { message = '', hint = '' } = envelope(finished).error ?? {};
    expect(`${message} ${hint}`.replaceAll(set, '')).toMatch(new RegExp(message_matches, 'i'));
  });
});
