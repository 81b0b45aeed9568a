/** GGUF files for tests: written from parts that may be wrong, and copies of real ones with changes. */
import { openGguf } from '../../src/formats/gguf.ts';
import { isList, type GgufScalar } from '../../src/formats/gguf-values.ts';

/** Numbers of the types of values and of tensors. */
const VALUE = { uint32: 4, int32: 5, float32: 6, bool: 7, text: 8, list: 9, float64: 12 } as const;
const TENSOR_TYPES: Readonly<Record<string, number>> = { F32: 0, F16: 1, Q8_0: 8, Q2_K: 10, BF16: 30 };
const ALIGNMENT = 32;

export interface TensorPart {
  readonly name: string;
  readonly type: number;
  /** Rows first. */
  readonly shape: readonly (number | bigint)[];
  readonly data: Uint8Array;
  /** Instead of the place where it is written. */
  readonly offset?: number | bigint;
}

export interface GgufParts {
  readonly magic?: string;
  readonly version?: number;
  readonly nTensors?: bigint;
  readonly nKeys?: bigint;
  readonly values?: Readonly<Record<string, GgufScalar | readonly GgufScalar[]>>;
  /** Bytes behind the given values. */
  readonly rawValues?: Uint8Array;
  readonly tensors?: readonly TensorPart[];
  readonly alignment?: number;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.byteLength), bytes]);
}

function typeOf(value: GgufScalar): number {
  if (typeof value === 'string') return VALUE.text;
  if (typeof value === 'boolean') return VALUE.bool;
  return Number.isInteger(value) ? VALUE.int32 : VALUE.float64;
}

function scalar(value: GgufScalar, type: number): Buffer {
  if (typeof value === 'string') return text(value);
  if (typeof value === 'boolean') return Buffer.of(value ? 1 : 0);
  const bytes = Buffer.alloc(type === VALUE.float64 ? 8 : 4);
  if (type === VALUE.float64) bytes.writeDoubleLE(Number(value));
  else bytes.writeInt32LE(Number(value));
  return bytes;
}

function valueBytes(value: GgufScalar | readonly GgufScalar[]): Buffer {
  if (!Array.isArray(value)) {
    const type = typeOf(value as GgufScalar);
    return Buffer.concat([u32(type), scalar(value as GgufScalar, type)]);
  }
  const list = value as readonly GgufScalar[];
  const types = list.map(typeOf);
  const type = types.includes(VALUE.float64) ? VALUE.float64 : (types[0] ?? VALUE.int32);
  return Buffer.concat([
    u32(VALUE.list),
    u32(type),
    u64(list.length),
    ...list.map((each) => scalar(each, type)),
  ]);
}

export function ggufBytes({
  magic = 'GGUF',
  version = 3,
  values = {},
  rawValues = new Uint8Array(),
  tensors = [],
  nTensors = BigInt(tensors.length),
  nKeys = BigInt(Object.keys(values).length),
  alignment = ALIGNMENT,
}: GgufParts): Uint8Array {
  const padding = (length: number): Buffer => Buffer.alloc((alignment - (length % alignment)) % alignment);
  let offset = 0;
  const entries: Buffer[] = [];
  const data: Uint8Array[] = [];
  for (const tensor of tensors) {
    const dimensions = [...tensor.shape].reverse();
    entries.push(text(tensor.name), u32(dimensions.length), ...dimensions.map(u64));
    entries.push(u32(tensor.type), u64(tensor.offset ?? offset));
    data.push(tensor.data, padding(tensor.data.byteLength));
    offset += tensor.data.byteLength + padding(tensor.data.byteLength).byteLength;
  }
  const header = Buffer.concat([
    Buffer.from(magic, 'latin1'),
    u32(version),
    u64(nTensors),
    u64(nKeys),
    ...Object.entries(values).flatMap(([key, value]) => [text(key), valueBytes(value)]),
    rawValues,
    ...entries,
  ]);
  return new Uint8Array(Buffer.concat([header, padding(header.byteLength), ...data]));
}

/** A copy of a file with other values, fewer values, tensors left out, or tensors of another type with zeros. */
export async function changedGguf(
  file: string,
  change: {
    readonly values?: GgufParts['values'];
    readonly without?: readonly string[];
    readonly only?: (tensor: string) => boolean;
    readonly retype?: Readonly<Record<string, { type: number; shape: readonly number[]; bytes: number }>>;
  },
): Promise<Uint8Array> {
  using source = await openGguf(file);
  const values: Record<string, GgufScalar | readonly GgufScalar[]> = {};
  for (const [key, value] of source.values) values[key] = isList(value) ? value.values() : value;
  for (const key of change.without ?? []) delete values[key];
  const tensors: TensorPart[] = [];
  for (const [name, { dtype, shape }] of source.tensors) {
    if (change.only?.(name) === false) continue;
    const other = change.retype?.[name];
    tensors.push(
      other
        ? { name, type: other.type, shape: other.shape, data: new Uint8Array(other.bytes) }
        : { name, type: TENSOR_TYPES[dtype]!, shape, data: await source.read(name) },
    );
  }
  return ggufBytes({ values: { ...values, ...change.values }, tensors });
}
