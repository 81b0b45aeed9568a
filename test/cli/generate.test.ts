import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { HubFixture } from '../hub/setup.ts';
import { goldenPath } from '../support/golden.ts';
import { tracer } from './shared.ts';
import { envelope, type Envelope, type Finished, type StartOptions } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-generate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Goes on with `or`, `or`, and then ` he` without end. */
const PROMPT = '2,269,283,290,290,293,264,320,381';
const N_PROMPT = 9;
const HE = 483;

let made = 0;

/** tiny-a's model with other ends: of `generation_config.json` (none: no such file) and of `config.json`. */
function modelWith(ofGeneration: unknown, ofConfig: unknown = 1): string {
  const model = path.join(folder, `model-${++made}`);
  cpSync(goldenPath('tiny-a', 'model'), model, { recursive: true });
  const file = path.join(model, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...config, eos_token_id: ofConfig }));
  if (ofGeneration !== undefined) {
    const content = { bos_token_id: 2, eos_token_id: ofGeneration, pad_token_id: 0 };
    writeFileSync(path.join(model, 'generation_config.json'), JSON.stringify(content));
  }
  return model;
}

interface Result extends Finished {
  readonly newTokens: number[];
  readonly data: GenerateData;
  readonly error: Envelope['error'] | undefined;
}

interface GenerateData {
  readonly tokens: { readonly id: number }[];
  readonly continuation: string;
  readonly stopped_at: string;
  readonly stopped_by: string | null;
  readonly notes?: string[];
}

function generate(model: string, ...flags: string[]): Promise<Result> {
  return generateIn({}, model, ...flags);
}

async function generateIn(options: StartOptions, model: string, ...flags: string[]): Promise<Result> {
  const set = goldenPath('tiny-a', 'transcoders', 'plt-jumprelu');
  const subject = ['--model', model, '--transcoders', set, '--device', 'wasm', '--json'];
  const asked = ['--tokens', PROMPT, '--max-new-tokens', '8'];
  const finished = await tracer(['generate', ...asked, ...subject, ...flags], options);
  const { data, error } = envelope(finished) as unknown as { data: GenerateData; error?: Envelope['error'] };
  return { ...finished, data, error, newTokens: data?.tokens.slice(N_PROMPT).map(({ id }) => id) };
}

const UNTIL_HE = [381, 381, HE];
const TO_THE_LIMIT = [381, 381, HE, HE, HE, HE, HE, HE];

describe('a continuation ends', () => {
  it.each<[string, string]>([
    ['a list in generation_config.json', modelWith([1, HE])],
    ['one id in generation_config.json', modelWith(HE)],
    ['a list in config.json', modelWith(undefined, [HE, 1])],
    ['one id in config.json', modelWith(undefined, HE)],
    ['generation_config.json where they differ', modelWith([HE], [1, 290])],
  ])('at a token of %s', async (_, model) => {
    const { newTokens, data } = await generate(model);
    expect(newTokens).toEqual(UNTIL_HE);
    expect(data).toMatchObject({ stopped_at: 'eos', stopped_by: ' he' });
    const without = await generate(model, '--no-stop-at-eos');
    expect(without.newTokens).toEqual(TO_THE_LIMIT);
    expect(without.data).toMatchObject({ stopped_at: 'length', stopped_by: null });
  });

  it('not at a token that only config.json names, where generation_config.json is there', async () => {
    const { newTokens } = await generate(modelWith(1, [1, HE]));
    expect(newTokens).toEqual(TO_THE_LIMIT);
    const { newTokens: none, stderr, data } = await generate(modelWith(null, [1, HE]));
    expect(none).toEqual(TO_THE_LIMIT);
    expect(stderr).toContain('note: no token ends the text');
    expect(data.notes).toEqual(['no token ends the text: the files of the model name no eos_token_id']);
    expect((await generate(modelWith(1))).data.notes).toBeUndefined();
    expect((await generate(modelWith(null), '--no-stop-at-eos')).data.notes).toBeUndefined();
  });

  it('not at an id beyond the vocabulary, as transformers', async () => {
    const { newTokens, stderr, data } = await generate(modelWith([1, 50256]));
    expect(newTokens).toEqual(TO_THE_LIMIT);
    const said = 'no text ends with token 50256: the model has 560, but names it as eos_token_id';
    expect(stderr).toContain(`note: ${said}`);
    expect(data.notes).toEqual([said]);
    expect((await generate(modelWith([HE, 50256]))).data.stopped_at).toBe('eos');
  });

  it.each(['<eos>', -1, [1, [2]], 1.5])(
    'not where a file says %j: that is refused before a weight is read',
    async (id) => {
      const model = modelWith(id);
      const { exitCode, error, stderr } = await generate(model);
      expect(exitCode).toBe(4);
      expect(error).toMatchObject({ code: 'bad_eos_token' });
      expect(error!.message).toContain('generation_config.json: field eos_token_id: expected a token id');
      expect(stderr).not.toContain('Reading');
      expect((await generate(model, '--no-stop-at-eos')).newTokens).toEqual(TO_THE_LIMIT);
    },
  );

  it('not where generation_config.json is a list', async () => {
    const model = modelWith(1);
    writeFileSync(path.join(model, 'generation_config.json'), '[1, 2]');
    const { exitCode, error } = await generate(model);
    expect(exitCode).toBe(4);
    expect(error).toMatchObject({ code: 'bad_field' });
    expect(error!.message).toContain(
      'generation_config.json: the whole document: expected Object, found Array',
    );
  });

  it.each([
    ['of one token', ['--stop', ' he'], UNTIL_HE, 'oror he'],
    ['over two tokens', ['--stop', 'or h'], UNTIL_HE, 'oror he'],
    ['inside a token', ['--stop', 'r'], [381], 'or'],
    [
      'that comes first of several',
      ['--stop', 'he he', '--stop', 'nowhere', '--stop', 'oro'],
      [381, 381],
      'oror',
    ],
    ['with --no-stop-at-eos', ['--no-stop-at-eos', '--stop', ' he he'], [...UNTIL_HE, HE], 'oror he he'],
  ])('with a text %s', async (_, flags, tokens, continuation) => {
    const { newTokens, data } = await generate(modelWith(undefined), ...flags);
    expect(newTokens).toEqual(tokens);
    const texts = flags.filter((flag) => !flag.startsWith('--'));
    expect(data).toMatchObject({ stopped_at: 'stop', continuation });
    expect(texts).toContain(data.stopped_by);
    expect(continuation).toContain(data.stopped_by);
  });

  it('not with a text that is in the prompt, or nowhere', async () => {
    const { newTokens, data } = await generate(modelWith(undefined), '--stop', 'Hello', '--stop', 'xyz');
    expect(newTokens).toEqual(TO_THE_LIMIT);
    expect(data).toMatchObject({ stopped_at: 'length', stopped_by: null });
  });

  it('with no empty text', async () => {
    const { exitCode, error } = await generate(modelWith(undefined), '--stop', '');
    expect({ exitCode, code: error?.code }).toEqual({ exitCode: 2, code: 'empty_stop' });
  });
});

describe('generation_config.json of a repository', () => {
  it.each([
    ['is fetched where it is, and found again without a network', modelWith([1, HE], 1), UNTIL_HE],
    ['may be missing', modelWith(undefined, 1), TO_THE_LIMIT],
  ])('%s', async (_, folderOfModel, tokens) => {
    await using hub = await HubFixture.start();
    const files = readdirSync(folderOfModel).map((name) => [
      name,
      readFileSync(path.join(folderOfModel, name)),
    ]);
    hub.server.commit('golden/tiny-a', Object.fromEntries(files) as Record<string, Buffer>);
    const env = { HF_HUB_OFFLINE: '0', ...hub.environment() };
    expect((await generateIn({ env }, 'golden/tiny-a')).newTokens).toEqual(tokens);
    expect((await generateIn({ env }, 'golden/tiny-a', '--offline')).newTokens).toEqual(tokens);
  });
});
