/** `tracer push` against the loopback Hub: what goes there can be used from there. */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { HubFixture } from '../hub/setup.ts';
import { tracer } from './shared.ts';
import { envelope } from './start.ts';

const SET = join(import.meta.dirname, '../../configs/embedded/transcoders');
const TOKEN = 'hf_writer';

async function startHub(): Promise<HubFixture> {
  const hub = await HubFixture.start();
  hub.server.writes.writers.add(TOKEN);
  return hub;
}

const HOOKS = {
  model_kind: 'transcoder_set',
  feature_input_hook: 'mlp.hook_in',
  feature_output_hook: 'mlp.hook_out',
};

/** What `tracer train` leaves of a model in a folder, as far as a push looks at it. Returns the texts. */
function writeTrainedSet(folder: string) {
  const texts = {
    'config.yaml': [
      '# trained at home',
      'model_name: "/home/me/fine-tuned"',
      ...Object.entries(HOOKS).map(([key, value]) => `${key}: ${value}`),
      '',
    ].join('\n'),
    'train.jsonl': [
      JSON.stringify({
        event: 'begin',
        recipe: { k: 8 },
        record: {
          modelName: '/home/me/fine-tuned',
          identity: { model: '../me/fine-tuned 0a1b', held_out: 'of the corpus,/home/me/others.txt' },
          context: 64,
        },
      }),
      '{"event":"step","step":1}',
      '{"event":"end"}',
      '',
    ].join('\n'),
  };
  mkdirSync(folder);
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, 'layer_0.safetensors'), 'not read');
  return texts;
}

describe('tracer push', () => {
  it('sends a set that can then be used by its commit', async () => {
    await using hub = await startHub();
    const env = { ...hub.environment({ token: TOKEN }), HF_HUB_OFFLINE: '' };
    const folder = join(hub.root, 'set');
    cpSync(SET, folder, { recursive: true });
    mkdirSync(join(folder, '.train'));
    writeFileSync(join(folder, '.train/checkpoint.safetensors'), '');
    writeFileSync(join(folder, 'held-out.jsonl'), '{"text":"private"}');
    writeFileSync(join(folder, 'README.md'), '# A set\n');
    const dry = envelope(await tracer(['push', folder, 'me/set', '--dry-run', '--json'], { env })).data!;
    expect(dry).toMatchObject({ repo: 'me/set', branch: 'main', commit: null, url: null, reference: null });
    expect(hub.server.requests.length).toBe(0);
    const sent = envelope(
      await tracer(['push', folder, 'me/set', '--private', '--message', 'First', '--json'], { env }),
    ).data!;
    expect(sent['files']).toEqual(dry['files']);
    const paths = [...hub.server.filesOf('me/set')!.keys()];
    expect(paths.filter((path) => !path.startsWith('features/')).sort()).toEqual(
      ['README.md', ...readdirSync(SET).filter((name) => name !== 'features')].sort(),
    );
    expect(hub.server.writes.made).toEqual([{ name: 'me/set', visibility: 'private' }]);
    expect(hub.server.writes.messages).toEqual(['First']);
    const run = await tracer(
      ['run', 'Hello, world!', '--model', 'embedded', '--transcoders', String(sent['reference']), '--json'],
      { env },
    );
    expect(envelope(run).data!['transcoders']).toBe(sent['reference']);
  });

  it('sends a set of a local model under the name that is given, and no path of this machine', async () => {
    await using hub = await startHub();
    const env = { ...hub.environment({ token: TOKEN }), HF_HUB_OFFLINE: '' };
    const folder = join(hub.root, 'set');
    const own = writeTrainedSet(folder);
    const refused = envelope(await tracer(['push', folder, 'me/set', '--json'], { env }));
    expect(refused.error).toMatchObject({ code: 'local_model' });
    expect(hub.server.requests.length).toBe(0);
    const sent = await tracer(['push', folder, 'me/set', '--model-name', 'me/fine-tuned', '--json'], { env });
    const files = hub.server.filesOf('me/set')!;
    expect(envelope(sent).data!['files']).toEqual(
      [...files].map(([path, bytes]) => ({ path, bytes: bytes.length })),
    );
    expect(files.get('config.yaml')!.toString()).toBe(
      own['config.yaml'].replace('/home/me/fine-tuned', 'me/fine-tuned'),
    );
    const [begin, ...rest] = files.get('train.jsonl')!.toString().split('\n');
    expect(JSON.parse(begin!)).toEqual({
      event: 'begin',
      recipe: { k: 8 },
      record: {
        modelName: 'me/fine-tuned',
        identity: { model: 'me/fine-tuned 0a1b', held_out: 'of the corpus,others.txt' },
        context: 64,
      },
    });
    expect(rest).toEqual(own['train.jsonl'].split('\n').slice(1));
    for (const bytes of files.values()) expect(bytes.includes('/home/me')).toBe(false);
    for (const [name, text] of Object.entries(own))
      expect(readFileSync(join(folder, name), 'utf8')).toBe(text);
  });

  it.each([
    [{ model_name: 'owner/model' }, ['--model-name', '~/model'], 2, 'bad_value'],
    [{ model_name: 'owner/model' }, ['--model-name', ' '], 2, 'bad_value'],
    [{ model_name: 'C:\\models\\mine' }, [], 2, 'local_model'],
    [{ model_name: 'owner/model', transcoders: ['FOLDER/layer_0.safetensors'] }, [], 4, 'local_path'],
    [{ model_name: 'owner/model', transcoders: ['file://FOLDER/layer_0.safetensors'] }, [], 4, 'local_path'],
  ])('refuses a set of %j with %j', async (config, args, exitCode, code) => {
    await using hub = await startHub();
    const folder = join(hub.root, 'set');
    writeTrainedSet(folder);
    // JSON is YAML too.
    const text = JSON.stringify({ ...HOOKS, ...config }).replaceAll('FOLDER', folder);
    writeFileSync(join(folder, 'config.yaml'), text);
    const finished = await tracer(['push', folder, 'me/set', '--dry-run', ...args, '--json'], {
      env: { ...hub.environment(), HF_HUB_OFFLINE: '' },
    });
    expect(finished.exitCode).toBe(exitCode);
    expect(envelope(finished).error).toMatchObject({ code });
  });

  it.each([
    [[import.meta.dirname, 'me/set'], 3, 'no_set_config'],
    [[SET, 'me'], 2, 'bad_reference'],
    [[SET, 'me/set@main'], 2, 'bad_reference'],
    [[SET, 'me/a..b'], 2, 'bad_reference'],
    [['nowhere', 'me/set'], 3, 'folder_not_found'],
    [[SET, 'me/set'], 3, 'no_token'],
    [[SET, 'me/set', '--offline'], 69, 'offline'],
  ])('refuses %j with exit code %d and %s', async (args, exitCode, code) => {
    await using hub = await startHub();
    const finished = await tracer(['push', ...args, '--json'], {
      env: { ...hub.environment(), HF_HUB_OFFLINE: '' },
    });
    expect(finished.exitCode).toBe(exitCode);
    expect(envelope(finished).error).toMatchObject({ code });
    expect(hub.server.requests.length).toBe(0);
  });
});
