/** Files, step 5: any file of weights, recognised by its first bytes before its name. */
import { openFileSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { openNpz } from './npz.ts';
import { pickleRefused } from './pickle.ts';
import { openSafetensors } from './safetensors.ts';
import { openSharded } from './sharded.ts';
import type { TensorFile } from './tensor-file.ts';

const INDEX_SUFFIX = '.index.json';

/** First bytes as Latin-1. What matches none is opened as safetensors, whose errors are exact. */
const ZIP = 'PK';
const PICKLE = '\x80';
/** Where the header of a safetensors file begins; its first 8 bytes can be those of a pickle by chance. */
const HEADER_OFFSET = 8;
/** First bytes that are looked at. */
const START_BYTES = HEADER_OFFSET + 1;

/**
 * Opens a safetensors file, an npz archive, or (by path) the index of a sharded checkpoint.
 * The source belongs to the result, also when opening fails. Throws what those openers throw, and `BadFileError` for pickled
 * files.
 */
export async function openTensorFile(sourceOrPath: ByteSource | string): Promise<TensorFile> {
  if (typeof sourceOrPath === 'string' && sourceOrPath.endsWith(INDEX_SUFFIX))
    return openSharded(sourceOrPath);
  const source = typeof sourceOrPath === 'string' ? await openFileSource(sourceOrPath) : sourceOrPath;
  const open = await openerOf(source).catch((error: unknown) => {
    source[Symbol.dispose]();
    throw error;
  });
  return open(source);
}

async function openerOf(source: ByteSource) {
  const bytes = Buffer.alloc(Math.min(source.size, START_BYTES));
  await source.read(0, bytes);
  const start = bytes.toString('latin1');
  if (start.startsWith(PICKLE) && start[HEADER_OFFSET] !== '{') {
    throw pickleRefused(source.name);
  }
  return start.startsWith(ZIP) || source.name.endsWith('.npz') ? openNpz : openSafetensors;
}
