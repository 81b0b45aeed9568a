/** A process of its own with native products: what comes of mapped files that change while they are in use, as JSON. */
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { openDevice } from '../../dist/backend/select.js';
import { weightSource } from '../../dist/backend/weight-source.js';
import { openSafetensors } from '../../dist/formats/safetensors.js';
import { writeSafetensors } from '../../dist/formats/safetensors-writer.js';

const folder = process.argv[2];
const [rows, columns] = [512, 1024];
const backend = await openDevice('cpu', 'float32');
const x = tf.ones([1, columns]);

async function written(name, value) {
  const path = join(folder, `${name}.safetensors`);
  const data = new Float32Array(rows * columns).fill(value);
  await writeSafetensors(path, [{ name: 'w', dtype: 'F32', shape: [rows, columns], data }]);
  return path;
}

const load = (file) => backend.loadWeight(weightSource(file, file.tensors.get('w')));

async function lastProduct(weight) {
  const held = await weight.acquire();
  return (await held.matMul(x, { transpose: true }).data())[rows - 1];
}

const failure = async (work) => {
  try {
    await work();
    return null;
  } catch (error) {
    return { code: error.code, message: error.message };
  }
};

const inUse = await written('in-use', 1);
const weight = await load(await openSafetensors(inUse));
const held = await weight.acquire();
const before = (await held.matMul(x, { transpose: true }).data())[rows - 1];
truncateSync(inUse, 4096);
const shortened = await failure(async () => held.matMul(x, { transpose: true }));
// Products of other files go on as soon as this one is closed.
held[Symbol.dispose]();
weight[Symbol.dispose]();
const after = (await tf.matMul(x, tf.ones([columns, 1])).data())[0];

const unread = await written('unread', 1);
const openedBefore = await openSafetensors(unread);
truncateSync(unread, 4096);
const shortenedBefore = await failure(() => load(openedBefore));

// The second file gets the descriptor of the first, whose pages are still in use.
const first = await openSafetensors(await written('first', 2));
const source = weightSource(first, first.tensors.get('w'));
const firstWeight = await load(first);
first[Symbol.dispose]();
const second = await openSafetensors(await written('second', 3));
const isReused =
  weightSource(second, second.tensors.get('w')).location.descriptor === source.location.descriptor;
const values = [await lastProduct(await load(second)), await lastProduct(firstWeight)];

process.stdout.write(JSON.stringify({ before, shortened, after, shortenedBefore, isReused, values }));
