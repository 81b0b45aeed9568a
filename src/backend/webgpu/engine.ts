/** Backend, WebGPU: weights stay as stored in buffers of the device, and are widened in registers by shaders of our own. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend.ts';
import type { Engine } from '../engine.ts';
import { runShader } from './dispatch.ts';
import type { Kernels, TensorInfo } from './kernels.ts';
import { gatherOf, productOf } from './programs.ts';
import { largestPartBytes, Uploader, type DeviceMatrix } from './storage.ts';

/** @param mostBytes of one buffer of a matrix; a matrix that has more is split */
export function webgpuEngine(
  kernels: Kernels,
  mostBytes: number = largestPartBytes(kernels.device),
): Engine<DeviceMatrix> {
  const uploader = new Uploader(kernels, mostBytes);
  const tensor = (info: TensorInfo): Tensor2D => tf.engine().makeTensorFromTensorInfo(info) as Tensor2D;
  return {
    multipliesAsStored: true,
    store: (source) => uploader.store(source),
    product(x, stored, orientation) {
      const [n, inner] = x.shape;
      const width = orientation === 'stored' ? stored.columns : stored.rows;
      const result = kernels.makeTensorInfo([n, width], 'float32');
      for (const part of stored.parts)
        runShader(kernels, productOf(part, orientation, { n, inner, width }), [x, part.words], result);
      return tensor(result);
    },
    gather(stored, indices, axis) {
      const n = indices.length;
      const width = axis === 'rows' ? stored.columns : stored.rows;
      const picked = kernels.makeTensorInfo([n], 'int32', indices);
      const result = kernels.makeTensorInfo([n, width], 'float32');
      // The shader writes bits.
      const bits: TensorInfo = { ...result, dtype: 'int32' };
      for (const part of stored.parts)
        runShader(kernels, gatherOf(part, axis, { n, width }), [picked, part.words], bits);
      kernels.disposeData(picked.dataId);
      return tensor(result);
    },
  };
}
