/** Backend, native TensorFlow: stored matrices in the pages of their files, shared with every process that reads them. */
import { fstatSync } from 'node:fs';
import type { FileLocation } from '../../formats/byte-source.ts';
import type { MatrixSource, WeightType } from '../backend.ts';
import type { Lifetime, Storage } from '../engine.ts';
import { storedBytes } from '../weight-source.ts';
import type { ProductsAddon } from './products-addon.ts';

/** A matrix in a mapped file; its pages are read when they are first touched. */
export interface MappedMatrix extends Storage {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: WeightType;
  /** The addon's number of the file, and where in it the matrix begins. */
  readonly mapping: number;
  readonly offset: number;
}

interface OpenMapping {
  readonly mapping: number;
  nUsers: number;
}

/** Files are mapped once, for as long as a matrix of theirs is in use. */
export class MappedFiles {
  private readonly addon: ProductsAddon;
  private readonly open = new Map<object, OpenMapping>();

  constructor(addon: ProductsAddon) {
    this.addon = addon;
  }

  /**
   * Undefined where the bytes do not lie in a local file, or the system refuses to map it: then they are read. Pages count
   * as held until the matrix is disposed; those of a streamed one are then taken out of this process' memory.
   */
  matrix({ shape, dtype, location }: MatrixSource, lifetime: Lifetime): MappedMatrix | undefined {
    const file = location && this.mapped(location);
    if (!file) return undefined;
    const { addon } = this;
    const byteLength = storedBytes({ shape, dtype });
    const { offset } = location;
    file.nUsers += 1;
    return {
      rows: shape[0],
      columns: shape[1],
      dtype,
      heldBytes: byteLength,
      mapping: file.mapping,
      offset,
      [Symbol.dispose]: () => {
        if (lifetime === 'streamed') addon.forgetPages(file.mapping, offset, byteLength);
        file.nUsers -= 1;
        if (file.nUsers > 0) return;
        addon.unmapFile(file.mapping);
        if (this.open.get(location.file) === file) this.open.delete(location.file);
      },
    };
  }

  private mapped({ file, descriptor, path }: FileLocation): OpenMapping | undefined {
    const known = this.open.get(file);
    if (known) return known;
    // Pages behind the end cannot be mapped; reading such a file is an error that says so.
    if (fstatSync(descriptor).size < file.size) return undefined;
    try {
      const made = { mapping: this.addon.mapFile(descriptor, path), nUsers: 0 };
      this.open.set(file, made);
      return made;
    } catch {
      return undefined; // a file system without mapping: what is read instead is the same
    }
  }
}
