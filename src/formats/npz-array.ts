/** Files, step 3 of npz: the numbers of one array in an archive, stored or deflated, by rows or by columns. */
import { BadFileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { collectRows } from './column-order.ts';
import { blockOf } from './dtype.ts';
import { shownName } from './shown.ts';
import type { ReadableTensor, TensorInfo } from './tensor-file.ts';
import { allocate, readInBatches } from './tensor-reader.ts';
import type { ByteRun } from './tensor-reader.ts';
import { crc32, hasChecksum, type ZipMember } from './zip.ts';

export interface ArrayMember {
  readonly info: TensorInfo;
  readonly columnOrder: boolean;
  readonly member: ZipMember;
  /** The bytes before the numbers; the archive's checksum covers them too. */
  readonly header: Uint8Array;
}

/** Reads rows of one array. Where every byte passes through, the archive's checksum is compared. */
export class ArrayReader {
  readonly #source: ByteSource;
  readonly #array: ArrayMember;
  /** A deflated array cannot be read from an offset: the first read of a part inflates the whole array and keeps it. */
  #inflated: Promise<Uint8Array> | undefined;

  constructor(source: ByteSource, array: ArrayMember) {
    this.#source = source;
    this.#array = array;
  }

  async readRuns({ dtype }: ReadableTensor, runs: readonly ByteRun[]): Promise<void> {
    const { info, columnOrder } = this.#array;
    const [first] = runs;
    if (columnOrder) await this.#collect(blockOf(dtype).bytes, runs);
    else if (first?.target.byteLength === info.byteLength) await this.#readWhole(first.target);
    else await readInBatches(runs, (offset, target) => this.#readPart(offset, target));
  }

  async #collect(elementBytes: number, runs: readonly ByteRun[]): Promise<void> {
    const { info, header } = this.#array;
    let sum = crc32(header);
    const readStored = async (offset: number, target: Uint8Array) => {
      await this.#readPart(offset, target);
      sum = crc32(target, sum);
    };
    const [rows, columns] = info.shape as [number, number];
    await collectRows({ rows, columns, elementBytes, readStored }, runs);
    this.#check(sum);
  }

  async #readWhole(target: Uint8Array): Promise<Uint8Array> {
    const { member, header } = this.#array;
    if (member.method === 'stored') await this.#source.read(member.dataStart + header.byteLength, target);
    else await inflateInto(this.#source.name, member, header.byteLength, target);
    this.#check(crc32(target, crc32(header)));
    return target;
  }

  async #readPart(offset: number, target: Uint8Array): Promise<void> {
    const { info, member, header } = this.#array;
    if (member.method === 'stored') {
      await this.#source.read(member.dataStart + header.byteLength + offset, target);
      return;
    }
    const purpose = `${this.#source.name}: array ${shownName(info.name)}`;
    this.#inflated ??= this.#readWhole(allocate(info.byteLength, purpose));
    target.set((await this.#inflated).subarray(offset, offset + target.byteLength));
  }

  #check(sum: number): void {
    const { member } = this.#array;
    if (hasChecksum(member, sum)) return;
    throw damaged(this.#source.name, member, 'its checksum is wrong');
  }
}

/** Fills `target` with the inflated bytes from `skip` on; where it reaches to the end, the length is checked too. */
export async function inflateInto(archive: string, member: ZipMember, skip: number, target: Uint8Array) {
  const stop = skip + target.byteLength;
  let at = 0; // offset in the inflated stream
  for await (const piece of member.inflate()) {
    target.set(piece.subarray(Math.max(skip - at, 0), Math.max(stop - at, 0)), Math.max(at - skip, 0));
    at += piece.byteLength;
    // The length is checked at the end of the stream, so a stream that should end here is read to its end.
    if (at >= stop && stop < member.byteLength) return;
  }
  if (at < stop) throw damaged(archive, member, `it ends after ${at} bytes`);
}

function damaged(archive: string, member: ZipMember, fault: string): BadFileError {
  return new BadFileError({
    code: 'npz_damaged',
    message: `${archive}: array ${shownName(member.name)}: ${fault}`,
    hint: 'The archive is damaged. Fetch it again.',
  });
}
