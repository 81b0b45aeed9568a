import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { goldenPath } from '../support/golden.ts';
import { tracer } from './shared.ts';
import { envelope, type Finished } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-notes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const BOS_TWICE = /the prompt begins with <bos>, and another one is put in front/;
const TEMPLATE = /template is not followed: it makes <bos> \$A <eos> of a text/;

/** tiny-a with `<eos>` behind every text, as `add_eos_token` saves it. */
const withEos = path.join(folder, 'with-eos');
cpSync(goldenPath('tiny-a', 'model'), withEos, { recursive: true });
const file = path.join(withEos, 'tokenizer.json');
const tokenizer = JSON.parse(readFileSync(file, 'utf8')) as {
  post_processor: { single: object[]; special_tokens: Record<string, object> };
};
tokenizer.post_processor.single.push({ SpecialToken: { id: '<eos>', type_id: 0 } });
tokenizer.post_processor.special_tokens['<eos>'] = { id: '<eos>', ids: [1], tokens: ['<eos>'] };
writeFileSync(file, JSON.stringify(tokenizer));

async function on(model: string, ...args: string[]): Promise<Finished & { data: Record<string, unknown> }> {
  const set = goldenPath('tiny-a', 'transcoders', 'plt-jumprelu');
  const subject = ['--model', model, '--transcoders', set, '--device', 'wasm', '--json'];
  const finished = await tracer([...args, ...subject]);
  expect({ exitCode: finished.exitCode, error: envelope(finished).error }).toEqual({ exitCode: 0 });
  return { ...finished, data: envelope(finished).data! };
}

const plain = goldenPath('tiny-a', 'model');
const batch = path.join(folder, 'cases.jsonl');
writeFileSync(batch, ['{"prompt":"Hi"}', '{"tokens":[2,2,269]}', '{"prompt":"<bos>Hi"}'].join('\n'));

const PROMPT_COMMANDS: [string, string[]][] = [
  ['run', ['run']],
  ['generate', ['generate', '--max-new-tokens', '2']],
  ['intervene', ['intervene', '--set', '0:1:1=5']],
  ['intervene --sweep', ['intervene', '--sweep', '0:1:1=0..5/2']],
];

describe.each(PROMPT_COMMANDS)('tracer %s', (_, [command, ...flags]) => {
  it('notes a typed BOS in front of which another one is put, and computes as before', async () => {
    const { data, stderr } = await on(plain, command!, '<bos>Hello', ...flags);
    expect(stderr).toMatch(BOS_TWICE);
    expect(data['notes']).toEqual([expect.stringMatching(BOS_TWICE)]);
    const tokens = (data['tokens'] as { id: number }[]).map(({ id }) => id);
    expect(tokens.slice(0, 3)).toEqual([2, 2, 269]);
    const ids = tokens.slice(0, command === 'generate' ? -2 : undefined).join(',');
    const given = await on(plain, command!, '--tokens', ids, ...flags);
    expect(given.stderr).not.toMatch(BOS_TWICE);
    const { notes: __, timings_ms: ___, ...same } = data;
    expect(given.data['notes']).toBeUndefined();
    expect(given.data['top']).toEqual(same['top']);
    expect(given.data['tokens']).toEqual(same['tokens']);
  });

  it('notes a template that is not followed, and puts BOS in front as always', async () => {
    const { data, stderr } = await on(withEos, command!, 'Hello', ...flags);
    expect(stderr).toMatch(TEMPLATE);
    expect(data['notes']).toEqual([expect.stringMatching(TEMPLATE)]);
    const usual = await on(plain, command!, 'Hello', ...flags);
    expect(usual.data['notes']).toBeUndefined();
    expect(usual.stderr).not.toMatch(/template/);
    expect(data['tokens']).toEqual(usual.data['tokens']);
    expect(data['top']).toEqual(usual.data['top']);
  });
});

describe('tracer intervene --batch', () => {
  it('notes the line of a typed BOS, and the template once', async () => {
    const { data } = await on(withEos, 'intervene', '--batch', batch);
    expect(data['notes']).toEqual([
      expect.stringMatching(/^line 3: the prompt begins with <bos>/),
      expect.stringMatching(TEMPLATE),
    ]);
  });
});

describe('tracer attribute', () => {
  it('uses no template and puts no BOS in front of another one, so that there is nothing to note', async () => {
    const { data, stderr } = await on(withEos, 'attribute', '<bos>Hello', '--max-feature-nodes', '5');
    expect(stderr).not.toMatch(/template|begins with/);
    expect(data).toMatchObject({ prompt: '<bos>Hello' });
    expect(data['notes']).toBeUndefined();
  });
});

describe('a tokenizer with rules of another implementation', () => {
  it('is read, and a note names the rules', async () => {
    const model = path.join(folder, 'lowercase');
    cpSync(plain, model, { recursive: true });
    const changed = JSON.parse(readFileSync(path.join(model, 'tokenizer.json'), 'utf8')) as object;
    const normalizer = { type: 'Lowercase' };
    writeFileSync(path.join(model, 'tokenizer.json'), JSON.stringify({ ...changed, normalizer }));
    const FOLLOWED = '@huggingface/tokenizers follows these rules of the tokenizer: normalizer Lowercase';
    const { data, stderr } = await on(model, 'run', 'HELLO');
    expect(stderr).toContain(FOLLOWED);
    const same = await on(model, 'run', 'hello');
    expect(data['tokens']).toEqual(same.data['tokens']);
    expect((await on(plain, 'run', 'hello')).stderr).not.toContain('@huggingface');
  });
});
