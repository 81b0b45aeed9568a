/** Comparison of tensors with the golden data: names the tensor and its worst element. */
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { readable, widen } from '../../src/formats/dtype.ts';
import type { Tensor } from '../../src/backend/backend.ts';

/** Numbers of a tensor and its shape. */
export interface Expected {
  readonly values: Float32Array;
  readonly shape: readonly number[];
}

/** Throws unless both are equal within `tolerance` (largest absolute difference; infinities have to be equal). */
export function expectValues(
  name: string,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): void {
  if (found.length !== expected.length) {
    throw new Error(`${name}: ${found.length} values, expected ${expected.length}`);
  }
  let worst = 0;
  let at = -1;
  for (let i = 0; i < expected.length; i++) {
    const difference = found[i] === expected[i] ? 0 : Math.abs(found[i]! - expected[i]!);
    // Not `difference > worst`: a NaN has to be the worst.
    if (!(difference <= worst)) {
      worst = difference;
      at = i;
      if (Number.isNaN(difference)) break;
    }
  }
  if (!(worst <= tolerance)) {
    throw new Error(
      `${name}: element ${at} is ${found[at]}, expected ${expected[at]} (off by ${worst}, tolerance ${tolerance})`,
    );
  }
}

/** As `expectValues`, for a tensor, whose shape has to be equal too. */
export async function expectTensor(
  name: string,
  found: Tensor,
  expected: Expected,
  tolerance: number,
): Promise<void> {
  if (found.shape.join() !== expected.shape.join()) {
    throw new Error(`${name}: shape [${found.shape.join()}], expected [${expected.shape.join()}]`);
  }
  expectValues(name, await found.data(), expected.values, tolerance);
}

/** All tensors of a safetensors file as float32. */
export async function readTensors(path: string): Promise<Map<string, Expected>> {
  using file = await openSafetensors(path);
  const result = new Map<string, Expected>();
  for (const [name, info] of file.tensors) {
    result.set(name, { values: widen(await file.read(name), readable(path, info).dtype), shape: info.shape });
  }
  return result;
}
