/** `tracer push` against the loopback Hub: what goes there can be used from there. */
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
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
