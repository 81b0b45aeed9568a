/** Hub: is the content of a blob what its name says? sha256 for large files, git's sha1 for small ones. */
import { createHash, type Hash } from 'node:crypto';
import { isLargeFile, type RepoFile } from './repo-file.ts';

export class ContentDigest {
  readonly #hash: Hash;
  readonly #expected: string;

  constructor(file: RepoFile) {
    this.#expected = file.etag;
    // Git hashes a file together with this header (git-hash-object).
    this.#hash = isLargeFile(file) ? createHash('sha256') : createHash('sha1').update(`blob ${file.bytes}\0`);
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Whether all that was given is the expected content. Ends the digest. */
  matches(): boolean {
    return this.#hash.digest('hex') === this.#expected;
  }
}
