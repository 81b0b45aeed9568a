/** Model: a folder of files, local or not, as the `hub` room provides it. */
import type { ByteSource } from '../formats/byte-source.ts';

export interface FileSet {
  /** How errors name it. */
  readonly name: string;
  has(path: string): boolean;
  /** False: only the cache was looked at, so a file that is not listed may still exist; then `open` throws the reason. */
  readonly isComplete?: boolean;
  open(path: string): Promise<ByteSource>;
  /** The GGUF files that hold the weights, in order, where the other files of the model were made from them. */
  readonly gguf?: readonly string[];
}

/** Whether a file is certainly not there; where that is not certain, opening it throws an error with the next step. */
export function lacks(files: FileSet, path: string): boolean {
  return !files.has(path) && (files.isComplete ?? true);
}
