/** Backend, WebAssembly: the portable fallback. One thread with SIMD, nothing to install, meant for small models. */
import { createRequire } from 'node:module';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '../backend.ts';
import { hostFinder } from '../host-entries.ts';
import { hostSum } from '../host-sum.ts';
import { genericSparse } from '../sparse.ts';
import { weightsOf } from '../weight.ts';
import { wasmEngine } from './engine.ts';

const PACKAGE = '@tensorflow/tfjs-backend-wasm';

interface WasmPackage {
  setWasmPaths(folder: string): void;
  readonly version_wasm: string;
}

/** Opens the wasm engine from the files of its package; no request is made. Its arithmetic is float32. */
export async function openWasm(): Promise<Backend> {
  const require = createRequire(import.meta.url);
  const wasm = require(PACKAGE) as WasmPackage;
  wasm.setWasmPaths(path.dirname(require.resolve(PACKAGE)) + path.sep);
  await tf.setBackend('wasm');
  return {
    name: 'wasm',
    device: 'wasm',
    hasOwnMemory: false,
    freeDeviceBytes: () => Promise.resolve(undefined),
    version: `TF.js wasm ${wasm.version_wasm}`,
    arithmetic: 'float32',
    kernel: null,
    sparse: genericSparse,
    ...weightsOf(wasmEngine()),
    entryFinder: hostFinder,
    matrixSum: hostSum,
  };
}
