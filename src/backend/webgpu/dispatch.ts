/** Backend, WebGPU: how shaders of our own are dispatched by TF.js, between tensors that it knows. */
import * as tf from '@tensorflow/tfjs-core';
import type { Kernels, Program, TensorInfo, Uniform } from './kernels.ts';

/** A program with the values of its uniforms. */
export interface Dispatch {
  readonly program: Program;
  readonly uniforms: readonly Uniform[];
}

/** Runs a shader on operands, into a result that it sets or adds to. */
export function runShader(
  kernels: Kernels,
  { program, uniforms }: Dispatch,
  operands: readonly TensorInfo[],
  result: TensorInfo,
): void {
  kernels.runWebGPUProgram(program, operands.map(inOneRow), result.dtype, uniforms, inOneVector(result));
}

/*
 * TF.js compiles a program anew for each relation of its operands' shapes to that of the result. Ours take their shapes as uniforms: to
 * TF.js operands are always one row and results one vector, between which there is one relation.
 */

function inOneRow({ dataId, dtype, shape }: TensorInfo): TensorInfo {
  return { dataId, dtype, shape: [1, tf.util.sizeFromShape(shape)] };
}

function inOneVector({ dataId, dtype, shape }: TensorInfo): TensorInfo {
  return { dataId, dtype, shape: [tf.util.sizeFromShape(shape)] };
}

/** Most workgroups along one axis: the smallest limit that a device may have (WebGPU specification, section 3.6.2). */
const MOST_GROUPS = 65535;

/** `count` workgroups, on two axes where one is too short. Shaders find theirs by `group()`. */
export function folded(count: number): [number, number] {
  return count <= MOST_GROUPS ? [count, 1] : [MOST_GROUPS, Math.ceil(count / MOST_GROUPS)];
}

export const GROUP = 'fn group() -> u32 { return workgroupId.y * numWorkgroups.x + workgroupId.x; }';

export function integers(...values: readonly number[]): Uniform[] {
  return values.map((value) => ({ type: 'int32', data: [value] }));
}

export function programOf(
  shaderKey: string,
  uniforms: string,
  variableNames: string[],
  outputShape: number[],
  code: string,
): Omit<Program, 'dispatch' | 'workgroupSize'> {
  return {
    shaderKey,
    uniforms,
    variableNames,
    outputShape,
    // Not flat: TF.js calls `main` without an index.
    dispatchLayout: { x: [0], y: [0], z: [] },
    getUserCode: () => code,
  };
}
