import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readGraph } from '../../src/graph/files.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { goldenPath } from '../support/golden.ts';
import { tracer } from './shared.ts';
import { envelope, finish, start } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-stops-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SUBJECT = [
  ...['--model', goldenPath('tiny-a', 'model')],
  ...['--transcoders', goldenPath('tiny-a', 'transcoders', 'plt-jumprelu')],
  ...['--device', TEST_DEVICES[0]!],
];
/** Long, and one row at a time: many seconds of work. */
const LONG = Array.from({ length: 120 }, (_, i) => (i === 0 ? 2 : 300 + ((i * 37) % 200))).join();
const SLOW = ['attribute', '--tokens', LONG, ...SUBJECT, '--batch-size', '1', '--json', '--quiet'];

const POLL_MS = 20;
/** What is not there after this long will not come. */
const PATIENCE_MS = 40_000;
const LARGEST_STOP_MS = 1000;
const TRIES = 3;

async function until(condition: () => boolean): Promise<void> {
  const giveUp = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > giveUp) throw new Error('it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const bytesOf = (file: string): number => (existsSync(file) ? statSync(file).size : 0);

describe('an attribution that is killed', () => {
  it('goes on with --resume where it was, to the same edges bit by bit, and cleans up', async () => {
    const place = path.join(folder, 'killed');
    const output = path.join(place, 'graph.safetensors');
    const rows = `${output}.rows`;
    // Limited, so that features are ranked several times: the choice has to be the same as well.
    const args = ['attribute', '--tokens', LONG, ...SUBJECT, '--batch-size', '2', '--update-interval', '8'];
    const limited = [...args, '--max-feature-nodes', '150', '--json', '--quiet'];
    const child = start([...limited, '--output', output, '--resume']);
    await until(() => bytesOf(rows) > 100_000);
    child.kill('SIGKILL');
    expect((await finish(child)).exitCode).toBeNull();
    // The lock of a killed process is taken over by the next one.
    expect(readdirSync(place)).toEqual(['graph.safetensors.rows', 'graph.safetensors.rows.lock']);
    // The tail of a record that was being written.
    writeFileSync(rows, readFileSync(rows).subarray(0, -50));

    const other = await tracer([...limited, '--output', output, '--resume', '--target-tokens', '5']);
    expect(other.exitCode).toBe(4);
    expect(envelope(other).error).toMatchObject({ code: 'other_rows' });
    expect(envelope(other).error?.message).toContain('targets');

    const resumed = await tracer([...limited, '--output', output, '--resume']);
    expect(resumed.exitCode).toBe(0);
    expect(envelope(resumed).data?.['n_resumed_rows']).toBeGreaterThan(1);
    expect(readdirSync(place)).toEqual(['graph.safetensors']);

    const whole = path.join(folder, 'whole.safetensors');
    expect((await tracer([...limited, '--output', whole])).exitCode).toBe(0);
    const [a, b] = [await readGraph(output), await readGraph(whole)];
    expect([...a.selected_features]).toEqual([...b.selected_features]);
    expect(Buffer.from(a.edges.buffer).equals(Buffer.from(b.edges.buffer))).toBe(true);
  });
});

describe('Ctrl-C during an attribution', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends it within a second and leaves nothing', async (signal, code) => {
    const place = path.join(folder, signal);
    const stopsMs: number[] = [];
    // A machine that is busy with other things shows what a stop takes only once it has a moment.
    while (stopsMs.length < TRIES && Math.min(...stopsMs) >= LARGEST_STOP_MS) {
      const child = start([
        ...SLOW.filter((arg) => arg !== '--quiet'),
        ...['--output', path.join(place, 'g.safetensors'), '--graph-dir', place, '--slug', 'g'],
      ]);
      let seen = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => (seen += text));
      const finished = finish(child);
      await until(() => seen.includes('Tracing'));
      await new Promise((resolve) => setTimeout(resolve, 200));
      const fromMs = performance.now();
      child.kill(signal);
      const { exitCode, stdout } = await finished;
      stopsMs.push(performance.now() - fromMs);
      expect(exitCode).toBe(code);
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'interrupted' } });
    }
    expect(Math.min(...stopsMs)).toBeLessThan(LARGEST_STOP_MS);
    expect(existsSync(place)).toBe(false);
  });

  it('with --resume leaves the rows alone, which the next run goes on with', async () => {
    const place = path.join(folder, 'stopped');
    const rows = path.join(place, 'g.rows');
    const args = [...SLOW, '--max-feature-nodes', '60', '--graph-dir', place, '--slug', 'g', '--resume'];
    const child = start(args);
    await until(() => bytesOf(rows) > 20_000);
    child.kill('SIGINT');
    expect((await finish(child)).exitCode).toBe(130);
    expect(readdirSync(place)).toEqual(['g.rows']);
    const resumed = await tracer(args);
    expect(envelope(resumed).data?.['n_resumed_rows']).toBeGreaterThan(0);
    expect(readdirSync(place).sort()).toEqual(['g.json', 'graph-metadata.json']);
  });
});
