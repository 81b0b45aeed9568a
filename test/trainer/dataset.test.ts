/** The files of a dataset are fetched when they are read: a training needs no more of them than its tokens do. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { finish, start, type Finished } from '../cli/start.ts';
import { HubFixture } from '../hub/setup.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { goldenPath } from '../support/golden.ts';

const DATASET = 'datasets/owner/texts';
const WORDS = ['to', 'the', 'of', 'and', 'in', 'is', 'that', 'for'];

/** About 1,300 tokens. */
function text(file: number): string {
  return Array.from({ length: 100 }, (_, i) => {
    const words = Array.from({ length: 8 + (i % 9) }, (_, j) => WORDS[(i * i + file + 3 * j) % WORDS.length]);
    return `${JSON.stringify({ text: words.join(' ') })}\n`;
  }).join('');
}
const FILES = Object.fromEntries([0, 1, 2, 3].map((file) => [`data/part-${file}.jsonl`, text(file)]));

/** A Hub with the dataset, and what trains from it. */
async function startHub() {
  const hub = await HubFixture.start();
  hub.server.commit(DATASET, { ...FILES, 'README.md': '# texts', 'data/empty.jsonl': '' });
  const train = async (output: string, ...more: readonly string[]): Promise<Finished> => {
    const given = {
      '--model': goldenPath('tiny-a', 'model'),
      '--output': join(hub.root, output),
      '--context': '16',
      '--batch-tokens': '64',
      '--features': '32',
      '--k': '4',
      '--shuffle': '0',
      '--layers': '1',
      '--device': TEST_DEVICES[0]!,
    };
    const env = { ...hub.environment(), HF_HUB_OFFLINE: '' };
    const child = start(['train', ...Object.entries(given).flat(), ...more], { env });
    child.stdin?.end('');
    return await finish(child);
  };
  /** Numbers of the files of which bytes were asked for. */
  const fetched = (): number[] =>
    Object.keys(FILES).flatMap((path, file) =>
      hub.server.requests.some(({ method, path: url }) => method === 'GET' && url.endsWith(path))
        ? [file]
        : [],
    );
  const bytesOf = (output: string): string =>
    readFileSync(join(hub.root, output, 'layer_1.safetensors')).toString('base64');
  return { hub, train, fetched, bytesOf, [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose]() };
}

const CORPUS = ['--corpus', 'hf://datasets/owner/texts/data'];

describe('A dataset of the Hub', () => {
  it('is fetched file by file, as far as it is read', async () => {
    await using use = await startHub();
    const few = await use.train('few', ...CORPUS, '--held-out', writtenHeldOut(use.hub), '--tokens', '600');
    expect([few.exitCode, few.stderr]).toEqual([0, expect.any(String)]);
    expect(use.fetched()).toEqual([0]);
    const all = await use.train('all', ...CORPUS, '--tokens', '4000');
    expect([all.exitCode, use.fetched()]).toEqual([0, [0, 1, 2, 3]]);
  }, 60_000);

  it('gives the layers that its files give', async () => {
    await using use = await startHub();
    mkdirSync(join(use.hub.root, 'local'));
    const files = Object.entries(FILES).map(([path, content]) => {
      const file = join(use.hub.root, 'local', path.replace('data/', ''));
      writeFileSync(file, content);
      return file;
    });
    await use.train('remote', ...CORPUS);
    await use.train('here', '--corpus', ...files);
    expect(use.bytesOf('remote')).toBe(use.bytesOf('here'));
  }, 60_000);

  it('that cannot be fetched any more ends a training with its state kept, to be resumed', async () => {
    await using use = await startHub();
    const options = [...CORPUS, '--held-out', writtenHeldOut(use.hub), '--tokens', '4000'];
    await use.train('whole', ...options);
    await using again = await startHub();
    again.hub.server.inject('part-2.jsonl', { kind: 'status', status: 404 }, 1000);
    const same = [...CORPUS, '--held-out', writtenHeldOut(again.hub), '--tokens', '4000'];
    const stopped = await again.train('stopped', ...same);
    expect([stopped.exitCode === 0, stopped.stderr]).toEqual([
      false,
      expect.stringContaining('--resume continues with it'),
    ]);
    expect(readdirSync(join(again.hub.root, 'stopped'))).not.toContain('config.yaml');
    again.hub.server.recover();
    const resumed = await again.train('stopped', ...same, '--resume');
    expect([resumed.exitCode, resumed.stderr]).toEqual([0, expect.any(String)]);
    expect(again.bytesOf('stopped')).toBe(use.bytesOf('whole'));
    const log = readFileSync(join(again.hub.root, 'stopped/train.jsonl'), 'utf8');
    expect(log).toMatch(/"event":"resume","pass":1,"step":[1-9]/);
  }, 60_000);

  it('without documents is refused by its name', async () => {
    await using use = await startHub();
    const none = await use.train('none', '--corpus', 'hf://datasets/owner/texts/nothing');
    expect([none.exitCode, none.stderr]).toEqual([3, expect.stringContaining('owner/texts')]);
  });
});

/** A file of this machine to evaluate on, so that no file of the dataset is read for it. */
function writtenHeldOut({ root }: HubFixture): string {
  const file = join(root, 'held.jsonl');
  writeFileSync(file, text(9));
  return file;
}
