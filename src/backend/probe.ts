/** A child program: opens one device, multiplies once, and prints what came of it as JSON. Started by `probing.ts`. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { ADDON_FILE } from './install/folder.ts';
import type { ProbeResult } from './probing.ts';

const require = createRequire(import.meta.url);
const [, , , folder = ''] = process.argv;
process.stdout.write(JSON.stringify(await probe()));

async function probe(): Promise<ProbeResult> {
  const binding = require(join(folder, ADDON_FILE)) as { TF_Version: string };
  require('@tensorflow/tfjs-node-gpu/dist/register_all_kernels');
  const { NodeJSKernelBackend } = require('@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend') as {
    NodeJSKernelBackend: new (binding: object, name: string) => tf.KernelBackend;
  };
  tf.registerBackend('tensorflow', () => new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node-gpu'));
  await tf.setBackend('tensorflow');
  const wrong = await wrongElements();
  if (wrong > 0) return { ok: false, reason: `${wrong} elements of a small product are wrong` };
  return { ok: true, version: `TensorFlow ${binding.TF_Version}` };
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
