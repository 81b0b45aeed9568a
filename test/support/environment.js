import { TestEnvironment } from 'jest-environment-node';

/**
 * Node's environment with the typed-array constructors of the outer realm. The TensorFlow addon is loaded once a
 * worker and returns arrays of that realm; without this they would not be `instanceof` the test's own Float32Array.
 */
export default class SharedRealmEnvironment extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    Object.assign(this.global, {
      ArrayBuffer,
      SharedArrayBuffer,
      DataView,
      Uint8Array,
      Int8Array,
      Uint16Array,
      Int16Array,
      Uint32Array,
      Int32Array,
      Float32Array,
      Float64Array,
      BigInt64Array,
      BigUint64Array,
    });
  }
}
