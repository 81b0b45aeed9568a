/** Engine: lengths of encoder and decoder rows, read from their files piece by piece. */
import { firstNonFinite, widen } from '../../formats/dtype.ts';
import { notFinite } from '../../model/not-finite.ts';
import type { LayerSource, Located } from '../../transcoder/sources/source.ts';

/** Stored numbers that are widened at a time: 16 MiB of float32. */
const NUMBERS_AT_ONCE = 4 * 1024 * 1024;

/** Length of the encoder row of each feature, [d_transcoder]. */
export async function encoderNorms(source: LayerSource): Promise<Float64Array> {
  const { transposed } = source.W_enc;
  const sums = new Float64Array(source.d_transcoder);
  await eachPiece(source.W_enc, (values, firstRow, columns) => {
    for (let i = 0; i < values.length; i++) {
      const feature = transposed ? i % columns : firstRow + Math.floor(i / columns);
      sums[feature]! += values[i]! ** 2;
    }
  });
  return sums.map(Math.sqrt);
}

/** Length of the decoder row of each feature, over all layers it writes into, [d_transcoder]. */
export async function decoderNorms(source: LayerSource): Promise<Float64Array> {
  const sums = new Float64Array(source.d_transcoder);
  const { n_slots, firstSlot, n_written_layers } = source.W_dec;
  await eachPiece(source.W_dec, (values, firstRow, columns) => {
    const width = columns / n_slots;
    const [from, to] = [firstSlot * width, (firstSlot + n_written_layers) * width];
    for (let start = 0, feature = firstRow; start < values.length; start += columns, feature++)
      for (let i = start + from; i < start + to; i++) sums[feature]! += values[i]! ** 2;
  });
  return sums.map(Math.sqrt);
}

/**
 * Reads a tensor in pieces of whole rows (first axis); `columns` is the number of values a row. Throws
 * `BadFileError` for numbers that are not finite.
 */
async function eachPiece(
  { file, info }: Located,
  visit: (values: Float32Array, firstRow: number, columns: number) => void,
): Promise<void> {
  const [rows = 0, ...rest] = info.shape;
  const columns = rest.reduce((product, size) => product * size, 1);
  const rowsAtOnce = Math.max(1, Math.floor(NUMBERS_AT_ONCE / columns));
  for (let start = 0; start < rows; start += rowsAtOnce) {
    const stop = Math.min(rows, start + rowsAtOnce);
    const values = widen(await file.read(info.name, { start, stop }), info.dtype);
    if (firstNonFinite(values) >= 0) throw notFinite(file.name, info.name);
    visit(values, start, columns);
  }
}
