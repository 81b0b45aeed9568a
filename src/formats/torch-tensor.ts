/** Files, step 4 of pickles: what a pickle of PyTorch says about a tensor: its storage, and where in it the numbers lie. */
import {
  described,
  PersistentId,
  PickleName,
  PickleObject,
  PickleTuple,
  type PickleValue,
} from './pickle-values.ts';
import { shown } from './shown.ts';
import type { StridedPlace } from './strided.ts';
import type { ElementType } from './tensor-file.ts';

export const REBUILD_TENSOR = 'torch._utils _rebuild_tensor_v2';

/** The class of a storage says how its numbers are stored. */
export const STORAGES: ReadonlyMap<string, ElementType> = new Map([
  ['torch DoubleStorage', 'F64'],
  ['torch FloatStorage', 'F32'],
  ['torch HalfStorage', 'F16'],
  ['torch BFloat16Storage', 'BF16'],
  ['torch LongStorage', 'I64'],
  ['torch IntStorage', 'I32'],
  ['torch ShortStorage', 'I16'],
  ['torch CharStorage', 'I8'],
  ['torch ByteStorage', 'U8'],
  ['torch BoolStorage', 'BOOL'],
]);

export interface TensorPlace extends StridedPlace {
  /** Name of the member with the storage's numbers. */
  readonly key: string;
  readonly dtype: ElementType;
  /** Numbers in the storage, as the pickle says. */
  readonly storageLength: number;
}

const KEY = /^\d{1,9}$/;
/** A storage, its offset, shape, strides, whether it needs a gradient, its hooks; what follows is not needed for the numbers. */
const FEWEST_ARGUMENTS = 4;

/** Where a tensor lies, or what is wrong with it. Its numbers lie inside the storage, and are no more than the storage has. */
export function tensorPlace(value: PickleValue): TensorPlace | string {
  if (!(value instanceof PickleObject) || value.name !== REBUILD_TENSOR) {
    return `is ${described(value)}; expected a tensor`;
  }
  if (value.args.length < FEWEST_ARGUMENTS) return 'is a tensor without a place';
  const [id, offset, sizes, steps] = value.args as [PickleValue, PickleValue, PickleValue, PickleValue];
  const storage = storageOf(id);
  if (typeof storage === 'string') return storage;
  const [shape, strides] = [counts(sizes), counts(steps)];
  if (!isCount(offset) || !shape || !strides || shape.length !== strides.length) {
    return 'has an offset, shape or strides that are no whole numbers';
  }
  // Compared after every factor, so that no product is rounded.
  let length = shape.includes(0) ? 0 : 1;
  let last = offset;
  for (const [axis, size] of shape.entries()) {
    if (length === 0) break;
    length *= size;
    last += (size - 1) * strides[axis]!;
    if (length > storage.storageLength || last >= storage.storageLength) {
      return `has shape ${shown(shape)} and strides ${shown(strides)} from ${offset} on, which a storage of ${storage.storageLength} numbers does not hold`;
    }
  }
  if (length > 0 && last >= storage.storageLength)
    return `begins at ${offset} of ${storage.storageLength} numbers`;
  return { ...storage, offset, shape, strides };
}

function storageOf(id: PickleValue): Pick<TensorPlace, 'key' | 'dtype' | 'storageLength'> | string {
  if (!(id instanceof PersistentId)) return `has ${described(id)} for a storage`;
  // The location, such as `cuda:0`, is where it was.
  const [kind, type, key, , storageLength] = id.items;
  const dtype = type instanceof PickleName ? STORAGES.get(type.name) : undefined;
  if (kind !== 'storage' || dtype === undefined) return 'lies in no storage of a known type';
  if (typeof key !== 'string' || !KEY.test(key)) return 'lies in a storage without a number';
  if (!isCount(storageLength)) return 'lies in a storage without a length';
  return { key, dtype, storageLength };
}

function counts(value: PickleValue): number[] | undefined {
  return value instanceof PickleTuple && value.items.every(isCount) ? [...value.items] : undefined;
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
