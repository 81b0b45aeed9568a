/** Models of each family through the command line, from the text of a prompt to a verified graph. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FAMILIES, FAMILY_FIXTURES, goldenPath, prompts, type FamilyFixture } from '../support/golden.ts';
import { tracer } from './shared.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-families-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function data<T>(fixture: FamilyFixture, ...args: string[]): Promise<T> {
  const subject = [
    ...['--model', goldenPath(fixture, 'model')],
    ...['--transcoders', goldenPath(fixture, 'transcoders', FAMILY_FIXTURES[fixture][0])],
  ];
  const { exitCode, stdout, stderr } = await tracer([...args, ...subject, '--json', '--quiet']);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${stdout}${stderr}`);
  return (JSON.parse(stdout) as { data: T }).data;
}

describe.each(FAMILIES)('%s', (fixture) => {
  const { text, token_ids } = prompts(fixture).p2;

  it('is traced from a text, and its edges are those that passes of the model measure', async () => {
    const output = path.join(folder, `${path.basename(fixture)}.safetensors`);
    const traced = await data<{ n_tokens: number; verification: { ok: boolean; n_edges: number } }>(
      fixture,
      ...['attribute', text, '--output', output, '--verify', '5', '--device', 'wasm'],
    );
    expect(traced.n_tokens).toBe(token_ids.length);
    expect(traced.verification).toMatchObject({ ok: true, n_edges: 5 });
  });

  it('is loaded, shown, run and continued', async () => {
    const loaded = await data<{ n_layers: number }>(fixture, 'configure', '--device', 'wasm');
    expect(loaded).toBeDefined();
    const hooks = await data<{ hooks: { name: string }[] }>(fixture, 'inspect', '--hooks');
    const names = hooks.hooks.map(({ name }) => name);
    expect(names.includes('hook_pos_embed')).toBe(fixture === 'families/gpt2');
    expect(names.includes('blocks.0.hook_resid_mid')).toBe(fixture !== 'families/gpt-neox');
    const tokens = token_ids.join();
    const run = await data<{ top: { token_id: number }[] }>(
      fixture,
      'run',
      '--tokens',
      tokens,
      '--device',
      'wasm',
    );
    const continued = await data<{ tokens: { id: number }[] }>(
      fixture,
      ...['generate', '--tokens', tokens, '--max-new-tokens', '3', '--no-stop-at-eos', '--device', 'wasm'],
    );
    const ids = continued.tokens.map(({ id }) => id);
    expect(ids).toHaveLength(token_ids.length + 3);
    expect(ids.slice(0, -2)).toEqual([...token_ids, run.top[0]!.token_id]);
  });
});
