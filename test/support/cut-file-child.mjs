/** A process of its own with native products: a mapped file is cut off while it is in use. Prints what came of it, as JSON. */
import { truncateSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { openDevice } from '../../dist/backend/select.js';
import { weightSource } from '../../dist/backend/weight-source.js';
import { openSafetensors } from '../../dist/formats/safetensors.js';
import { writeSafetensors } from '../../dist/formats/safetensors-writer.js';

const path = process.argv[2];
const [rows, columns] = [512, 1024];
const data = new Float32Array(rows * columns).fill(1);
await writeSafetensors(path, [{ name: 'w', dtype: 'F32', shape: [rows, columns], data }]);
const backend = await openDevice('cpu', 'float32');
const file = await openSafetensors(path);
const weight = await backend.loadWeight(weightSource(file, file.tensors.get('w')));
const held = await weight.acquire();
const x = tf.ones([1, columns]);
const before = (await held.matMul(x, { transpose: true }).data())[rows - 1];
truncateSync(path, 4096);
let message;
try {
  held.matMul(x, { transpose: true });
} catch (error) {
  message = error.message;
}
const after = (await tf.matMul(x, tf.ones([columns, 1])).data())[0];
process.stdout.write(JSON.stringify({ before, message, after }));
