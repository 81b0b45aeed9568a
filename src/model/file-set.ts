/** Model: a folder of files, local or not, as the `hub` room hands it over. */
import type { ByteSource } from '../formats/byte-source.ts';

export interface FileSet {
  /** How errors name it. */
  readonly name: string;
  has(path: string): boolean;
  /** False: what is missing here may only not be known without the network; then `open` says so. */
  readonly isComplete?: boolean;
  open(path: string): Promise<ByteSource>;
}

/** Whether a file is certainly not there; where that is not certain, opening it tells what has to be done. */
export function lacks(files: FileSet, path: string): boolean {
  return !files.has(path) && (files.isComplete ?? true);
}
