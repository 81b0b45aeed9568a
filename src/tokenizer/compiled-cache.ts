/** Tokenizer, cache on disk: where compiled tokenizers are kept. A failure of the cache costs time and nothing else. */
import { createHash } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../formats/atomic.ts';
import { userFolder } from '../formats/user-folders.ts';
import { readCompiled, writeCompiled } from './compiled-file.ts';
import type { CompiledTokenizer } from './compiled-file.ts';

/** Smaller sources are parsed faster than they are found in a cache. */
const SMALLEST_CACHED_BYTES = 2 ** 20;
const NAME_LENGTH = 32;

/** One compiled tokenizer a source path: a source that changed takes the place of its older form. */
export class CompiledCache {
  readonly #path: string;
  readonly #source: string;

  private constructor(path: string, source: string) {
    this.#path = path;
    this.#source = source;
  }

  /** Undefined for a file that is too small, and for one that is missing, for which reading it throws the error. */
  static async of(tokenizerJson: string, cacheDir?: string): Promise<CompiledCache | undefined> {
    try {
      const path = await realpath(tokenizerJson);
      const { size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      if (size < SMALLEST_CACHED_BYTES) return undefined;
      const name = createHash('sha256').update(path).digest('hex').slice(0, NAME_LENGTH);
      const folder = cacheDir ?? userFolder('cache');
      // ctime changes also when a file is replaced by a copy that keeps its mtime.
      return new CompiledCache(
        join(folder, 'tokenizers', `${name}.bin`),
        `${path} ${size} ${mtimeNs} ${ctimeNs}`,
      );
    } catch {
      return undefined;
    }
  }

  async read(): Promise<CompiledTokenizer | undefined> {
    const bytes = await readFile(this.#path).catch(() => undefined);
    return bytes === undefined ? undefined : readCompiled(bytes, this.#source);
  }

  async write(compiled: CompiledTokenizer): Promise<void> {
    const bytes = writeCompiled(compiled, this.#source);
    // An unwritable or full cache folder is no error: the next start parses the source again.
    await writeFileAtomic(this.#path, bytes).catch(() => undefined);
  }
}
