/** The wheels that `tracer setup` fetches: exact files, as the Python package index lists them. */
import type { NativeDevice } from './folder.ts';
import { TENSORFLOW_VERSION } from './folder.ts';

export interface Wheel {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Size of the wheel. */
  readonly bytes: number;
  /** Size of what is taken out of it. */
  readonly unpackedBytes: number;
}

const CPU_WHEELS: readonly Wheel[] = [
  {
    name: 'tensorflow-cpu',
    version: TENSORFLOW_VERSION,
    sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
    bytes: 273_829_956,
    unpackedBytes: 853_600_000,
  },
];

export function wheelsFor(device: NativeDevice): readonly Wheel[] {
  return device === 'cpu' ? CPU_WHEELS : [];
}
