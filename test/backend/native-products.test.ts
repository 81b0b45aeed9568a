import { beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { weightSource } from '../../src/backend/weight-source.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { writeSafetensors } from '../../src/formats/safetensors-writer.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';

const run = promisify(execFile);
const CHILD = fileURLToPath(new URL('../support/products-child.mjs', import.meta.url));
/** Of the rounding errors of TensorFlow's own float32 products, which depend on the order of summation. */
const LARGEST_RATIO = 1.5;
/** Half a unit in the last place for each of 300 additions: no float32 sum may be worse. */
const LARGEST_ERROR = 300 * 2 ** -24;

interface Found {
  readonly worst: number;
  readonly hash: string;
}

async function products(kernel: string, threads = ''): Promise<Found> {
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

  it('are the same numbers whatever the number of threads, and from run to run', async () => {
    const [one, two, again] = [await products('', '1'), await products('', '2'), await products('', '2')];
    expect(two.hash).toBe(one.hash);
    expect(again.hash).toBe(one.hash);
  });

  it('refuse a kernel that does not exist', async () => {
    await expect(products('sse')).rejects.toThrow(
      /TRACER_KERNEL is 'sse', expected one of tensorflow, plain/,
    );
  });
});

describeNative('a mapped file', () => {
  it('that becomes shorter is an error that names it, and the process goes on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tracer-mapped-'));
    const path = join(folder, 'w.safetensors');
    try {
      const [rows, columns] = [512, 1024];
      const values = new Float32Array(rows * columns).fill(1);
      await writeSafetensors(path, [{ name: 'w', dtype: 'F32', shape: [rows, columns], data: values }]);
      const backend = await openBackend('cpu');
      using file = await openSafetensors(path);
      using weight = await backend.loadWeight(weightSource(file, 'w'));
      using held = await weight.acquire();
      const x = tf.ones<tf.Rank.R2>([1, columns]);
      const whole = held.matMul(x, { transpose: true });
      expect((await whole.data())[rows - 1]).toBe(columns);
      truncateSync(path, 4096);
      expect(() => held.matMul(x, { transpose: true })).toThrow(`${path} became shorter while it was in use`);
      const other = tf.matMul(x, tf.ones<tf.Rank.R2>([columns, 1]));
      expect((await other.data())[0]).toBe(columns);
      tf.dispose([x, whole, other]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
