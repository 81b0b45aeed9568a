/** A child program: opens one device, multiplies once, and prints the result as JSON. Started by `probing.ts`. */
import * as tf from '@tensorflow/tfjs-core';
import { TracerError } from '../errors.ts';
import type { Backend, Device, WeightSource } from './backend.ts';
import type { ProbeResult } from './probing.ts';
import { openDevice } from './select.ts';

const [, , device, folder] = process.argv;
process.stdout.write(JSON.stringify(await probe(device as Device, folder)));

async function probe(name: Device, libraryFolder: string | undefined): Promise<ProbeResult> {
  try {
    const backend = await openDevice(name, 'float32', { nativeFolder: libraryFolder });
    const wrong = await wrongElements(backend);
    if (wrong > 0)
      return { ok: false, reason: `${wrong} elements of small products are wrong`, hint: undefined };
    const { version, kernel } = backend;
    if (name !== 'webgpu') return { ok: true, version, kernel };
    const { listAdapters, measureProducts } = await import('./webgpu/adapters.ts');
    const product_gflops = (await measureProducts(backend)) / 1e9;
    return { ok: true, version, kernel, graphics: { adapters: await listAdapters(), product_gflops } };
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    return { ok: false, reason: error.message, hint: error.hint };
  }
}

/** TensorFlow's product and that with a stored weight, of whole numbers so small that every order of summation is exact. */
async function wrongElements(backend: Backend): Promise<number> {
  const [rows, inner, columns] = [33, 70, 45];
  const a = Float32Array.from({ length: rows * inner }, (_, i) => ((i * 7) % 17) - 8);
  const b = Float32Array.from({ length: inner * columns }, (_, i) => ((i * 5) % 13) - 6);
  const exact = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      for (let k = 0; k < inner; k += 1) {
        exact[row * columns + column]! += a[row * inner + k]! * b[k * columns + column]!;
      }
    }
  }
  const wrong = async (product: tf.Tensor): Promise<number> => {
    const values = await product.data();
    product.dispose();
    return exact.filter((value, i) => values[i] !== value).length;
  };
  const x = tf.tensor2d(a, [rows, inner]);
  const own = await wrong(tf.tidy(() => tf.matMul(x, tf.tensor2d(b, [inner, columns]))));
  const weight = await backend.loadWeight(inBfloat16(b, [inner, columns]));
  const held = await weight.acquire();
  return own + (await wrong(held.matMul(x)));
}

/** Numbers that bfloat16 holds exactly. */
function inBfloat16(values: Float32Array, shape: readonly [number, number]): WeightSource {
  const words = new Uint32Array(values.buffer);
  const bytes = new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
  const isRead = () => Promise.reject(new Error('the bytes are in memory'));
  return { name: 'probe', shape, dtype: 'bfloat16', bytes, readInto: isRead, readRows: isRead };
}
