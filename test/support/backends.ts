/** The backends of this machine, so that one suite runs on each: wasm always, native TensorFlow where it is set up. */
import { beforeAll, describe } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { isSetUp, tensorflowFolder } from '../../src/backend/install/folder.ts';
import { openDevice } from '../../src/backend/select.ts';

export type TestDevice = 'cpu' | 'wasm';

/** `test/run.mjs` sets TensorFlow up; where that was impossible it said so, and only wasm is tested. */
const hasTensorflow = isSetUp(tensorflowFolder('cpu'));
export const TEST_DEVICES: readonly TestDevice[] = hasTensorflow ? ['cpu', 'wasm'] : ['wasm'];

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
  for (const device of ['cpu', 'wasm'] as const) {
    const isHere = TEST_DEVICES.includes(device);
    const run = isHere ? describe : describe.skip;
    run(
      `${title} (${device}${isHere ? '' : ", skipped: TensorFlow is not set up, see 'tracer setup'"})`,
      () => {
        let backend: Backend | undefined;
        beforeAll(async () => {
          backend = await openBackend(device);
        });
        suite(() => backend!, device);
      },
    );
  }
}
