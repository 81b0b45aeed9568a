/** Files, Parquet: one column of texts, row group by row group. The reader is loaded when the first file is opened. */
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

/** Of the source, which stays the caller's. Throws `BadFileError` for a file that is no Parquet or lacks the column. */
export async function openParquetColumn(source: ByteSource, column: string): Promise<ParquetColumn> {
  const [{ parquetMetadataAsync, parquetReadObjects, parquetSchema }, { compressors }] = await Promise.all([
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
  const names = parquetSchema(metadata).children.map(({ element }) => element.name);
  if (!names.includes(column)) {
    throw new BadFileError({
      code: 'missing_column',
      message: `${source.name} has no column '${column}'; it has ${names.join(', ')}`,
      hint: '--field NAME names the column with the text.',
    });
  }
  const groups = [0];
  for (const { num_rows } of metadata.row_groups) groups.push(groups.at(-1)! + Number(num_rows));
  return {
    n_rows: groups.at(-1)!,
    groups,
    read: (rowStart, rowEnd) =>
      read(async () => {
        const rows = await parquetReadObjects({
          file,
          metadata,
          columns: [column],
          rowStart,
          rowEnd,
          compressors,
        });
        return rows.map((row) => row[column] as unknown);
      }),
  };
}
