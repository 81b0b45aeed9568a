/**
 * Tokenizer, step 2: vocabulary and merges as typed arrays, looked up by binary search in sorted rows. Loading makes no object
 * for each token, and no vocabulary makes a look-up slow, as colliding hashes can.
 */

export interface BpeTables {
  /** [n + 1] where each piece starts in `pieceBytes`, by id. */
  readonly pieceStarts: Uint32Array;
  /** All pieces in UTF-8, in the order of their ids. */
  readonly pieceBytes: Uint8Array;
  /** Ascending code points that are pieces on their own, and their ids. */
  readonly charPoints: Uint32Array;
  readonly charIds: Uint32Array;
  /** [n + 1] the row of merges that start with this left id: [mergeRows[left], mergeRows[left + 1]). */
  readonly mergeRows: Uint32Array;
  /** Right ids, ascending within a row; then the merge's rank (its position in the file) and the id that it makes. */
  readonly mergeRights: Uint32Array;
  readonly mergeRanks: Uint32Array;
  readonly mergeResults: Uint32Array;
  /** Ids of `model.vocab` in the order of their pieces (by UTF-16 units), for `ignore_merges`; empty without it. */
  readonly wordIds: Uint32Array;
}

/** Index of `value` in `sorted`, between `from` and `to` (excluded); -1 when it is not there. */
export function findSorted(sorted: Uint32Array, value: number, from: number, to: number): number {
  while (from < to) {
    const middle = (from + to) >>> 1;
    const found = sorted[middle]!;
    if (found === value) return middle;
    if (found < value) from = middle + 1;
    else to = middle;
  }
  return -1;
}

export function vocabularySize(tables: BpeTables): number {
  return tables.pieceStarts.length - 1;
}

export function pieceOf(tables: BpeTables, id: number): string | undefined {
  const [start, end] = [tables.pieceStarts[id], tables.pieceStarts[id + 1]];
  if (start === undefined || end === undefined) return undefined;
  const { buffer, byteOffset } = tables.pieceBytes;
  return Buffer.from(buffer, byteOffset + start, end - start).toString('utf8');
}

/** Id of a word of `model.vocab`, where the tokenizer has `ignore_merges`. */
export function idOfWord(tables: BpeTables, word: string): number | undefined {
  const { wordIds } = tables;
  let [from, to] = [0, wordIds.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const found = pieceOf(tables, wordIds[middle]!)!;
    if (found === word) return wordIds[middle];
    if (found < word) from = middle + 1;
    else to = middle;
  }
  return undefined;
}

/** Searches all pieces one by one: meant for a few names, each looked up once. */
export function idOfPiece(tables: BpeTables, piece: string): number | undefined {
  const wanted = Buffer.from(piece, 'utf8');
  const { pieceStarts, pieceBytes } = tables;
  for (let id = 0; id < vocabularySize(tables); id++) {
    const start = pieceStarts[id]!;
    if (pieceStarts[id + 1]! - start !== wanted.length) continue;
    if (wanted.every((byte, i) => pieceBytes[start + i] === byte)) return id;
  }
  return undefined;
}
