/** Setting TensorFlow up: the data folder has to be writable and to have room for what is unpacked. */
import { mkdir, statfs } from 'node:fs/promises';
import { ExhaustedError } from '../../errors.ts';

/** Files are written before the wheels are removed, and some space has to stay free on the disk. */
const SPARE_BYTES = 200_000_000;

export async function makeDataFolder(path: string) {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw new ExhaustedError({
      code: 'data_folder',
      message: `the data folder ${path} cannot be made: ${(cause as Error).message}`,
      hint: 'Set TRACER_DATA_DIR to a folder that can be written.',
      cause,
    });
  }
}

/** Throws `ExhaustedError` where a folder's disk has less free than is needed. */
export async function checkDisk(folder: string, neededBytes: number) {
  const { bavail, bsize } = await statfs(folder);
  const wantedBytes = neededBytes + SPARE_BYTES;
  if (bavail * bsize >= wantedBytes) return;
  throw new ExhaustedError({
    code: 'disk_full',
    message: `setting TensorFlow up takes ${gigabytes(wantedBytes)} of disk; ${folder} has ${gigabytes(bavail * bsize)} free`,
    hint: 'Free some disk, or set TRACER_DATA_DIR to a folder on another disk.',
  });
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
