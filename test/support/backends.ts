/**
 * The backends of this machine, so that one suite runs on each: wasm always, native TensorFlow where it is set up, WebGPU where a
 * driver is named (`test/run.mjs` names SwiftShader). `DEVICE=webgpu` runs everything on that device, and on no other.
 */
import { beforeAll, describe } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { isSetUp, tensorflowFolder } from '../../src/backend/install/folder.ts';
import { openDevice } from '../../src/backend/select.ts';

const ALL = ['cpu', 'webgpu', 'wasm'] as const;
export type TestDevice = (typeof ALL)[number];

/** `DEVICE`; undefined for all that are here. */
const only = chosenDevice();

/** `test/run.mjs` sets TensorFlow up; where that was impossible it said so, and only wasm is tested. */
const hasTensorflow = isSetUp(tensorflowFolder('cpu'));
const hasWebgpu = process.env['VK_DRIVER_FILES'] !== undefined;

/** Devices of tests on whole models. A software WebGPU takes minutes for them, so that they run there only when it is chosen. */
export const TEST_DEVICES: readonly TestDevice[] =
  only !== undefined ? [only] : hasTensorflow ? ['cpu', 'wasm'] : ['wasm'];

/** And WebGPU where it is here, for golden data: all of it when it is chosen, else a part (`casesOn`). */
export const GOLDEN_DEVICES: readonly TestDevice[] =
  only === undefined && hasWebgpu ? [...TEST_DEVICES, 'webgpu'] : TEST_DEVICES;

/** The cases that are tried on a device: on a WebGPU that was not chosen the first. */
export function casesOn<T>(device: TestDevice, cases: readonly T[]): readonly T[] {
  return device === 'webgpu' && only === undefined ? cases.slice(0, 1) : cases;
}

/** Opens a backend, and makes it TF.js' current one. */
export function openBackend(device: TestDevice): Promise<Backend> {
  return openDevice(device, 'float32');
}

/**
 * `describe` for each backend; what cannot be tested here is skipped with its reason. `suite` gets a function, because
 * the backend opens only when its tests run.
 */
export function describeEachBackend(
  title: string,
  suite: (backend: () => Backend, device: TestDevice) => void,
) {
  for (const device of ALL) {
    const missing = whatIsMissing(device);
    const run = missing === undefined ? describe : describe.skip;
    run(`${title} (${device}${missing === undefined ? '' : `, skipped: ${missing}`})`, () => {
      let backend: Backend | undefined;
      beforeAll(async () => {
        backend = await openBackend(device);
      });
      suite(() => backend!, device);
    });
  }
}

function whatIsMissing(device: TestDevice): string | undefined {
  if (only !== undefined) return device === only ? undefined : `DEVICE is ${only}`;
  if (device === 'cpu' && !hasTensorflow) return "TensorFlow is not set up, see 'tracer setup'";
  if (device === 'webgpu' && !hasWebgpu) return 'VK_DRIVER_FILES names no Vulkan driver';
  return undefined;
}

function chosenDevice(): TestDevice | undefined {
  const asked = process.env['DEVICE'] || undefined;
  const device = ALL.find((each) => each === asked);
  if (asked !== device) throw new Error(`DEVICE is '${asked}', expected one of ${ALL.join(', ')}`);
  return device;
}
