/** Tokenizer, step 2, from the source: `model.vocab` and `model.merges` of a parsed `tokenizer.json` to `BpeTables`. */
import { BadFileError } from '../errors.ts';
import { shown } from '../formats/shown.ts';
import type { AddedToken } from './rules.ts';
import type { BpeTables } from './tables.ts';

/**
 * `merges` holds `'a b'` or `['a', 'b']`. Throws `BadFileError` for ids that are no integers, are used twice or leave
 * gaps, and for merges that are malformed, named twice, or have pieces that are not in the vocabulary.
 */
export function buildTables(
  model: { readonly vocab?: unknown; readonly merges?: unknown; readonly ignore_merges?: unknown },
  addedTokens: readonly AddedToken[],
  file: string,
): BpeTables {
  const ids = readVocabulary(model.vocab, file);
  const pieces = piecesInOrder(ids, addedTokens, file);
  return {
    ...packPieces(pieces),
    ...charTable(ids),
    ...mergeTable(model.merges, ids, pieces.length, file),
    wordIds: model.ignore_merges === true ? wordTable(ids) : new Uint32Array(),
  };
}

function damaged(file: string, field: string, problem: string): BadFileError {
  return new BadFileError({
    code: 'tokenizer_vocabulary',
    message: `${file}: field ${field}: ${problem}`,
    hint: 'The tokenizer is damaged or was not written by the tokenizers library. Fetch it again.',
  });
}

function readVocabulary(vocab: unknown, file: string): Map<string, number> {
  if (typeof vocab !== 'object' || vocab === null || Array.isArray(vocab)) {
    throw damaged(file, 'model.vocab', 'expected an object of pieces and their ids');
  }
  const ids = new Map<string, number>();
  for (const [piece, id] of Object.entries(vocab as Record<string, unknown>)) {
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) {
      throw damaged(file, `model.vocab[${shown(piece)}]`, `expected an id, found ${shown(id)}`);
    }
    ids.set(piece, id);
  }
  return ids;
}

/** Vocabulary and added tokens in one list without gaps; an added token may be in the vocabulary too, under the same id. */
function piecesInOrder(
  ids: ReadonlyMap<string, number>,
  addedTokens: readonly AddedToken[],
  file: string,
): string[] {
  const byPiece = new Map(ids);
  const added = new Set<string>();
  for (const { content, id } of addedTokens) {
    if (added.has(content)) throw damaged(file, 'added_tokens', `${shown(content)} is listed twice`);
    added.add(content);
    const known = byPiece.get(content);
    if (known !== undefined && known !== id) {
      throw damaged(file, 'added_tokens', `${shown(content)} has id ${id}, but ${known} in model.vocab`);
    }
    byPiece.set(content, id);
  }
  const size = byPiece.size;
  const pieces: (string | undefined)[] = new Array<string | undefined>(size).fill(undefined);
  for (const [piece, id] of byPiece) {
    // Without gaps and repeats, the ids of `size` pieces are 0 to size - 1: an id beyond them means a gap below.
    if (id >= size) {
      throw damaged(
        file,
        'model.vocab',
        `${shown(piece)} has id ${id}, but there are only ${size} pieces (0 to ${size - 1})`,
      );
    }
    const other = pieces[id];
    if (other !== undefined) {
      throw damaged(file, 'model.vocab', `id ${id} belongs to both ${shown(other)} and ${shown(piece)}`);
    }
    pieces[id] = piece;
  }
  return pieces as string[];
}

function packPieces(pieces: readonly string[]): Pick<BpeTables, 'pieceStarts' | 'pieceBytes'> {
  const pieceStarts = new Uint32Array(pieces.length + 1);
  pieces.forEach((piece, id) => (pieceStarts[id + 1] = pieceStarts[id]! + Buffer.byteLength(piece)));
  // Joining is safe: only unpaired surrogates could become one character at the border of two pieces, in a damaged file.
  const pieceBytes = Buffer.from(pieces.join(''), 'utf8');
  return { pieceStarts, pieceBytes };
}

function charTable(ids: ReadonlyMap<string, number>): Pick<BpeTables, 'charPoints' | 'charIds'> {
  const chars: (readonly [number, number])[] = [];
  for (const [piece, id] of ids) {
    const point = piece.codePointAt(0);
    if (point !== undefined && String.fromCodePoint(point) === piece) chars.push([point, id]);
  }
  chars.sort(([a], [b]) => a - b);
  return {
    charPoints: Uint32Array.from(chars, ([point]) => point),
    charIds: Uint32Array.from(chars, ([, id]) => id),
  };
}

function wordTable(ids: ReadonlyMap<string, number>): Uint32Array {
  // Without a function, `sort` compares UTF-16 units, as `<` does in the look-up.
  return Uint32Array.from([...ids.keys()].sort(), (word) => ids.get(word)!);
}

function mergeTable(
  merges: unknown,
  ids: ReadonlyMap<string, number>,
  nPieces: number,
  file: string,
): Pick<BpeTables, 'mergeRows' | 'mergeRights' | 'mergeRanks' | 'mergeResults'> {
  if (!Array.isArray(merges)) throw damaged(file, 'model.merges', 'expected a list');
  const n = merges.length;
  const [lefts, rights, results] = [new Uint32Array(n), new Uint32Array(n), new Uint32Array(n)];
  const idOf = (piece: string, rank: number): number => {
    const id = ids.get(piece);
    if (id === undefined)
      throw damaged(file, `model.merges[${rank}]`, `${shown(piece)} is not in model.vocab`);
    return id;
  };
  merges.forEach((merge: unknown, rank) => {
    const pair = splitMerge(merge);
    if (pair === undefined) {
      throw damaged(
        file,
        `model.merges[${rank}]`,
        `expected "left right" or ["left", "right"], found ${shown(merge)}`,
      );
    }
    const [left, right] = pair;
    lefts[rank] = idOf(left, rank);
    rights[rank] = idOf(right, rank);
    results[rank] = idOf(left + right, rank);
  });

  // Sorted by right, then stably by left: within a row the right ids ascend.
  const byRight = countingSort(Uint32Array.from(merges.keys()), rights, nPieces).order;
  const { order, starts } = countingSort(byRight, lefts, nPieces);
  for (let k = 1; k < n; k++) {
    const [before, here] = [order[k - 1]!, order[k]!];
    if (lefts[before] === lefts[here] && rights[before] === rights[here]) {
      throw damaged(file, `model.merges[${here}]`, `the same merge as number ${before}`);
    }
  }
  return {
    mergeRows: starts,
    mergeRights: order.map((rank) => rights[rank]!),
    mergeRanks: order,
    mergeResults: order.map((rank) => results[rank]!),
  };
}

function splitMerge(merge: unknown): readonly [string, string] | undefined {
  const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
  if (!Array.isArray(parts) || parts.length !== 2) return undefined;
  const [left, right] = parts as unknown[];
  return typeof left === 'string' && typeof right === 'string' ? [left, right] : undefined;
}

/** Reorders `order` by `keys` (each below `nKeys`), stably; `starts` [nKeys + 1] is where each key's run begins. */
function countingSort(
  order: Uint32Array,
  keys: Uint32Array,
  nKeys: number,
): { readonly order: Uint32Array; readonly starts: Uint32Array } {
  const starts = new Uint32Array(nKeys + 1);
  for (const key of keys) starts[key + 1]!++;
  for (let key = 0; key < nKeys; key++) starts[key + 1]! += starts[key]!;
  const next = starts.slice();
  const sorted = new Uint32Array(order.length);
  for (const item of order) sorted[next[keys[item]!]!++] = item;
  return { order: sorted, starts };
}
