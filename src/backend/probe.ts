/** A child program: opens one device, multiplies once, and prints the result as JSON. Started by `probing.ts`. */
import * as tf from '@tensorflow/tfjs-core';
import { TracerError } from '../errors.ts';
import type { Device } from './backend.ts';
import type { ProbeResult } from './probing.ts';
import { openDevice } from './select.ts';

const [, , device, folder] = process.argv;
process.stdout.write(JSON.stringify(await probe(device as Device, folder)));

async function probe(name: Device, libraryFolder: string | undefined): Promise<ProbeResult> {
  try {
    const backend = await openDevice(name, 'float32', undefined, libraryFolder);
    const wrong = await wrongElements();
    if (wrong > 0)
      return { ok: false, reason: `${wrong} elements of a small product are wrong`, hint: undefined };
    return { ok: true, version: backend.version };
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    return { ok: false, reason: error.message, hint: error.hint };
  }
}

/** Whole numbers so small that every order of summation is exact in float32. */
async function wrongElements(): Promise<number> {
  const [rows, inner, columns] = [33, 70, 45];
  const a = Float32Array.from({ length: rows * inner }, (_, i) => ((i * 7) % 17) - 8);
  const b = Float32Array.from({ length: inner * columns }, (_, i) => ((i * 5) % 13) - 6);
  const product = tf.tidy(() => tf.matMul(tf.tensor2d(a, [rows, inner]), tf.tensor2d(b, [inner, columns])));
  const values = await product.data();
  product.dispose();
  let wrong = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      let exact = 0;
      for (let k = 0; k < inner; k += 1) exact += a[row * inner + k]! * b[k * columns + column]!;
      if (values[row * columns + column] !== exact) wrong += 1;
    }
  }
  return wrong;
}
