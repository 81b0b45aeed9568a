/** Files, writing (safetensors): named arrays to one file, one after the other, so that only one has to be in memory. */
import { writeFileAtomic } from './atomic.ts';
import type { AtomicOptions } from './atomic.ts';
import { ELEMENT_BYTES } from './dtype.ts';
import { LENGTH_BYTES, METADATA_KEY } from './safetensors.ts';
import type { ElementType } from './tensor-file.ts';

type Bytes = NodeJS.ArrayBufferView;

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  /** The numbers as they are to be stored: any typed array, or a function that gives it in pieces when the tensor is written. */
  readonly data: Bytes | (() => Iterable<Bytes> | AsyncIterable<Bytes>);
}

/**
 * Writes a safetensors file through `writeFileAtomic`, complete or not at all and with the same errors.
 * Wide types come first, so that each tensor is aligned to its element size; otherwise the order given is kept.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
  options: AtomicOptions = {},
): Promise<void> {
  const ordered = [...tensors].sort((a, b) => ELEMENT_BYTES[b.dtype] - ELEMENT_BYTES[a.dtype]);
  const header = encodeHeader(ordered, metadata);
  await writeFileAtomic(
    path,
    async (writer) => {
      await writer.write(header);
      for (const tensor of ordered) {
        let written = 0;
        for await (const piece of typeof tensor.data === 'function' ? tensor.data() : [tensor.data]) {
          written += piece.byteLength;
          await writer.write(piece);
        }
        if (written !== byteLength(tensor)) {
          throw new Error(
            `${path}: tensor ${tensor.name} has ${byteLength(tensor)} bytes, but ${written} were given`,
          );
        }
      }
    },
    options,
  );
}

function byteLength({ dtype, shape }: TensorToWrite): number {
  return shape.reduce((product, length) => product * length, ELEMENT_BYTES[dtype]);
}

/** Length field and JSON, padded with spaces to a multiple of 8 so that the numbers begin aligned. */
function encodeHeader(tensors: readonly TensorToWrite[], metadata: Readonly<Record<string, string>>): Buffer {
  const entries = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) entries.set(METADATA_KEY, metadata);
  let begin = 0;
  for (const tensor of tensors) {
    const { name, dtype, shape } = tensor;
    if (name === METADATA_KEY || entries.has(name)) throw new Error(`the tensor name ${name} is taken`);
    const end = begin + byteLength(tensor);
    entries.set(name, { dtype, shape, data_offsets: [begin, end] });
    begin = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const paddedBytes = Math.ceil(json.byteLength / LENGTH_BYTES) * LENGTH_BYTES;
  const header = Buffer.alloc(LENGTH_BYTES + paddedBytes, ' ');
  header.writeBigUInt64LE(BigInt(paddedBytes));
  json.copy(header, LENGTH_BYTES);
  return header;
}
