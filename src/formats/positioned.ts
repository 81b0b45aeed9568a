/** Files, step 1: reads and writes at a position, whole. One call of the system may move fewer bytes than it was asked for. */
import type { FileHandle } from 'node:fs/promises';

/** Fills `target` from `offset` on. Returns the number of bytes read: fewer than asked for where the file ends before. */
export async function readFully(handle: FileHandle, target: Uint8Array, offset: number): Promise<number> {
  let done = 0;
  while (done < target.byteLength) {
    const { bytesRead } = await handle.read(target, done, target.byteLength - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** Writes all of `bytes` from `offset` on. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, offset + done);
    done += bytesWritten;
  }
}
