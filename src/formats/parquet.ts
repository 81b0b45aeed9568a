/** Files, Parquet: one column of texts, or whole rows, row group by row group. The reader is loaded when the first file is opened. */
import type { FileMetaData } from 'hyparquet';
import { BadFileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { messageOf } from './system-errors.ts';

export const PARQUET_SUFFIX = '.parquet';

export interface ParquetColumn {
  readonly n_rows: number;
  /** The values of rows [start, stop) as they are: a text, a list, null. */
  read(start: number, stop: number): Promise<readonly unknown[]>;
  /** Where row groups begin; the last number is that of all rows. */
  readonly groups: readonly number[];
}

interface OpenedParquet {
  readonly metadata: FileMetaData;
  readonly columns: readonly string[];
  /** Values in the order of the columns asked for. */
  readonly rows: (
    columns: readonly string[],
    start: number,
    stop: number,
  ) => Promise<readonly (readonly unknown[])[]>;
}

/** Of the source, which stays the caller's. Throws `BadFileError` for a file that is no Parquet or lacks the column. */
export async function openParquetColumn(source: ByteSource, column: string): Promise<ParquetColumn> {
  const { metadata, columns, rows } = await openParquet(source);
  if (!columns.includes(column)) {
    throw new BadFileError({
      code: 'missing_column',
      message: `${source.name} has no column '${column}'; it has ${columns.join(', ')}`,
      hint: '--field NAME names the column with the text.',
    });
  }
  const groups = [0];
  for (const { num_rows } of metadata.row_groups) groups.push(groups.at(-1)! + Number(num_rows));
  return {
    n_rows: groups.at(-1)!,
    groups,
    read: async (start, stop) => (await rows([column], start, stop)).map(([value]) => value),
  };
}

/** All rows of a small file, their values in the order of its columns. Errors as `openParquetColumn`. */
export async function readParquetRows(
  source: ByteSource,
): Promise<{ readonly columns: readonly string[]; readonly rows: readonly (readonly unknown[])[] }> {
  const { metadata, columns, rows } = await openParquet(source);
  return { columns, rows: await rows(columns, 0, Number(metadata.num_rows)) };
}

async function openParquet(source: ByteSource): Promise<OpenedParquet> {
  const [{ parquetMetadataAsync, parquetRead, parquetSchema }, { compressors }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet-compressors'),
  ]);
  const file = {
    byteLength: source.size,
    async slice(start: number, end = source.size): Promise<ArrayBuffer> {
      const from = start < 0 ? source.size + start : start;
      const bytes = new Uint8Array(Math.min(end, source.size) - from);
      await source.read(from, bytes);
      return bytes.buffer;
    },
  };
  const read = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof BadFileError) throw cause;
      throw new BadFileError({
        code: 'bad_parquet',
        message: `${source.name} cannot be read as Parquet: ${messageOf(cause)}`,
        hint: 'Fetch the file again, or write the documents as JSON Lines.',
        cause,
      });
    }
  };
  const metadata = await read(() => parquetMetadataAsync(file));
  return {
    metadata,
    columns: parquetSchema(metadata).children.map(({ element }) => element.name),
    rows: (columns, rowStart, rowEnd) =>
      // Not as objects: a column called `__proto__` would be lost.
      read(
        () =>
          new Promise((resolve, reject) => {
            const options = { file, metadata, columns: [...columns], rowStart, rowEnd, compressors };
            parquetRead({ ...options, onComplete: resolve }).catch(reject);
          }),
      ),
  };
}
