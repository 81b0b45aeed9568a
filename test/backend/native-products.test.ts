import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TEST_DEVICES } from '../support/backends.ts';

const run = promisify(execFile);
const CHILD = fileURLToPath(new URL('../support/products-child.mjs', import.meta.url));
const MAPPED_CHILD = fileURLToPath(new URL('../support/mapped-files-child.mjs', import.meta.url));
/** Of the rounding errors of TensorFlow's own float32 products, which depend on the order of summation. */
const LARGEST_RATIO = 1.5;
/** Half a unit in the last place for each of 300 additions: no float32 sum may be worse. */
const LARGEST_ERROR = 300 * 2 ** -24;

interface Found {
  readonly worst: number;
  /** Numbers of packed types that are not exactly what they mean. */
  readonly nWrong: number;
  readonly hash: string;
}

/** Of an earlier test, where it was computed before. */
const known = new Map<string, Promise<Found>>();

async function products(kernel: string): Promise<Found> {
  const found = known.get(kernel) ?? computed(kernel);
  known.set(kernel, found);
  return await found;
}

async function computed(kernel: string, threads = ''): Promise<Found> {
  const env = { ...process.env, NODE_OPTIONS: '', TRACER_KERNEL: kernel, TRACER_THREADS: threads };
  const { stdout } = await run(process.execPath, [CHILD], { env });
  return JSON.parse(stdout) as Found;
}

const describeNative = TEST_DEVICES.includes('cpu') ? describe : describe.skip;

describeNative('products on stored weights', () => {
  let own: Found;
  beforeAll(async () => {
    own = await products('tensorflow');
    expect(own.worst).toBeLessThan(LARGEST_ERROR);
  });

  it.each(['plain', 'avx2', 'avx512', 'amx'])("are as exact as TensorFlow's with %s", async (kernel) => {
    const { worst } = await products(kernel);
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(LARGEST_RATIO * own.worst);
  });

  it.each(['tensorflow', 'plain', 'avx2', 'avx512'])('unpack exactly with %s', async (kernel) => {
    expect((await products(kernel)).nWrong).toBe(0);
  });

  it('are the same numbers whatever the number of threads, and from run to run', async () => {
    const [one, two, again] = [
      await computed('native', '1'),
      await computed('native', '2'),
      await computed('native', '2'),
    ];
    expect(two.hash).toBe(one.hash);
    expect(again.hash).toBe(one.hash);
  });

  it('refuse a kernel that does not exist', async () => {
    await expect(products('sse')).rejects.toThrow(
      /TRACER_KERNEL is 'sse', expected one of native, tensorflow, card, plain/,
    );
  });
});

describeNative('a mapped file', () => {
  let folder: string;
  let found: Record<string, unknown>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tracer-mapped-'));
    const env = { ...process.env, NODE_OPTIONS: '', TRACER_KERNEL: 'native' };
    const { stdout } = await run(process.execPath, [MAPPED_CHILD, folder], { env });
    found = JSON.parse(stdout) as Record<string, unknown>;
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('that becomes shorter is an error that names it, and the process goes on', () => {
    const message = `${join(folder, 'in-use.safetensors')} became shorter while it was in use`;
    expect(found).toMatchObject({
      before: 1024,
      shortened: { code: 'file_truncated', message },
      after: 1024,
    });
  });

  it('that became shorter before it is mapped is one too', () => {
    expect(found['shortenedBefore']).toMatchObject({
      code: 'file_truncated',
      message: expect.stringContaining(join(folder, 'unread.safetensors')),
    });
  });

  it('keeps its pages when another file is opened with its descriptor', () => {
    expect(found).toMatchObject({ isReused: true, values: [3 * 1024, 2 * 1024] });
  });
});
