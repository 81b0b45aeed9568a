/** Where the bytes of a file come from: a local disk, or a server that answers range requests. */
export interface ByteSource extends Disposable {
  /** How errors name it: a path or an address. */
  readonly name: string;
  /** Total length in bytes. */
  readonly size: number;
  /** Fills `target` with the bytes from `offset` on. Throws `BadFileError` when the source ends before. */
  read(offset: number, target: Uint8Array): Promise<void>;
}
