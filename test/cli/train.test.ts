/** `tracer train` in parts and watched, as it is typed. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { TrainingEvents, TrainingList } from '../../src/viewer/api.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { tracer } from './shared.ts';
import { envelope, finish, FIXTURE, start, type StartOptions } from './start.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracer-cli-train-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const corpus = join(folder, 'corpus.txt');
const WORDS = ['to', 'the', 'of', 'and', 'in', 'is', 'that', 'for'];
const line = (i: number): string =>
  Array.from({ length: 8 + (i % 9) }, (_, j) => WORDS[(i * i + 3 * j) % WORDS.length]).join(' ');
writeFileSync(corpus, Array.from({ length: 80 }, (_, i) => `${line(i)}\n`).join(''));

const DEVICE = ['--device', TEST_DEVICES[0]!];

function words(output: string, ...more: readonly string[]): string[] {
  const recipe = ['--context', '16', '--batch-tokens', '64', '--features', '32', '--k', '4'];
  const files = ['--corpus', corpus, '--output', join(folder, output)];
  return ['train', '--model', join(FIXTURE, 'model'), ...files, ...recipe, ...DEVICE, ...more];
}

const SHORT = ['--tokens', '400', '--layers', '0-1'];
/** Longer than any test waits. */
const ENDLESS = ['--tokens', '50000000', '--epochs', '100000', '--layers', '0'];

async function failure(args: readonly string[], options: StartOptions = {}) {
  const finished = await tracer([...args, '--json'], options);
  return { exitCode: finished.exitCode, ...envelope(finished).error };
}

describe('tracer train --shard', () => {
  it('takes its part from a job array, and merge joins the parts', async () => {
    for (const [i, part] of ['a', 'b'].entries()) {
      const env = { JOB_COMPLETION_INDEX: String(i), JOB_COMPLETIONS: '2' };
      const { data } = envelope(
        await tracer(words(`parts/${part}`, ...SHORT, '--shard', 'auto', '--json'), { env }),
      );
      expect(data).toMatchObject({
        shard: { part: i + 1, of: 2 },
        passes: [[i]],
        recipe: { layers: [i] },
      });
    }
    const [a, b] = ['a', 'b'].map((part) => join(folder, 'parts', part));
    const output = join(folder, 'joined');
    const merge = ['train', 'merge', b!, a!, '--output', output, ...DEVICE];
    const result = envelope(await tracer([...merge, '--json']));
    expect(result.command).toBe('train merge');
    expect(result.data).toMatchObject({
      parts: [
        { folder: a, layers: [0] },
        { folder: b, layers: [1] },
      ],
      missing_layers: [],
      evaluation: { layers: [{ layer: 0 }, { layer: 1 }] },
    });
    // A model of the settings is another one, maybe; that of the parts is asked for.
    const again = await tracer([...merge.with(-3, join(folder, 'again')), '--no-evaluate'], {
      env: { TRACER_MODEL: 'embedded' },
    });
    expect([again.exitCode, again.stdout]).toEqual([
      0,
      expect.stringMatching(/layers 0 +from .*\n.*layers 1/),
    ]);
    expect(await failure(['train', 'merge', a!, '--output', join(folder, 'half')])).toMatchObject({
      exitCode: 4,
      code: 'missing_layers',
    });
    expect(await failure(merge)).toMatchObject({ exitCode: 2, code: 'set_exists' });
    expect(await failure(['train', 'merge', folder, '--output', join(folder, 'half')])).toMatchObject({
      exitCode: 3,
      code: 'no_training',
    });
  }, 120_000);

  it.each([
    [words('x', '--shard', 'auto'), 'no_job_array'],
    [words('x', '--shard', '3/2'), 'out_of_range'],
    [words('x', '--shard', '1/9'), 'out_of_range'],
    [words('x', '--shard', '1/2', '--kind', 'cross-layer'), 'cross_layer_shard'],
    [words('x', '--port', '0'), 'serve_flag'],
    [['train', '--corpus', corpus], 'missing_mandatory_option_value'],
    [['train', '--output', 'x'], 'missing_mandatory_option_value'],
    [['train', 'merge', '--output', 'x'], 'missing_argument'],
    [words('x', '--layers', '9'), 'out_of_range'],
  ])('%j is refused, and leaves no folder', async (args, code) => {
    expect(await failure(args)).toMatchObject({ exitCode: 2, code });
    expect(existsSync(join(folder, 'x'))).toBe(false);
  });
});

/** A training that is watched: its address, as soon as it is printed. */
async function watched(args: readonly string[]) {
  const child = start([...args, '--serve']);
  child.stdin?.end('');
  const finished = finish(child);
  let stderr = '';
  const address = await new Promise<string>((resolve, reject) => {
    child.stderr!.on('data', (text: string) => {
      stderr += text;
      const [, found] = /can be watched at (\S+)\n/.exec(stderr) ?? [];
      if (found !== undefined) resolve(found);
    });
    child.on('close', () => reject(new Error(`it ended: ${stderr}`)));
  });
  return { child, finished, address: new URL(address) };
}

async function stepsOf(address: URL, name: string): Promise<number> {
  const events = (await (
    await fetch(new URL(`api/trainings/${name}`, address.origin))
  ).json()) as TrainingEvents;
  return events.events.filter(({ event }) => event === 'step').length;
}

describe('tracer train --serve', () => {
  it('shows the training while it runs, without a model, and closes at Ctrl-C', async () => {
    const { child, finished, address } = await watched(words('watched', ...ENDLESS));
    const list = (await (await fetch(new URL('api/trainings', address.origin))).json()) as TrainingList;
    expect(list.trainings).toMatchObject([{ name: 'watched', has_ended: false }]);
    expect(address.searchParams.get('training')).toBe('watched');
    const first = await stepsOf(address, 'watched');
    let steps = first;
    while (steps === first) steps = await stepsOf(address, 'watched');
    expect(steps).toBeGreaterThan(first);
    const job = await fetch(new URL('api/jobs', address.origin), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${address.searchParams.get('token')}`,
      },
      body: JSON.stringify({ kind: 'trace', prompt: 'to the' }),
    });
    expect([job.ok, await job.text()]).toEqual([false, expect.stringContaining('shows a training')]);
    child.kill('SIGINT');
    expect((await finished).exitCode).toBe(130);
    await expect(fetch(address)).rejects.toThrow();
  }, 60_000);

  it('ends with the training, whose result is on standard output alone', async () => {
    const { finished } = await watched(words('ended', ...SHORT, '--json'));
    const ended = await finished;
    expect([ended.exitCode, ended.stderr]).toEqual([0, expect.any(String)]);
    expect(envelope(ended).data).toMatchObject({ output: join(folder, 'ended'), recipe: { layers: [0, 1] } });
  }, 60_000);

  it('says that its port is taken, and trains', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const { exitCode, stderr } = await tracer(words('unseen', ...SHORT, '--serve', '--port', String(port)));
    other.close();
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('The training is not shown: port')]);
    const layer = (output: string): Buffer => readFileSync(join(folder, output, 'layer_1.safetensors'));
    expect(layer('unseen').equals(layer('ended'))).toBe(true);
  }, 60_000);
});
