/** Tokenizer, step 4: one piece of text to ids by byte-pair merging. */
import { BadFileError } from '../errors.ts';
import { MinHeap } from './min-heap.ts';
import type { BpeRules } from './rules.ts';
import { findSorted, idOfPiece, idOfWord, pieceOf, vocabularySize } from './tables.ts';
import type { BpeTables } from './tables.ts';

const N_BYTES = 256;
const NONE = -1;
/** UTF-16 units: longer ones seldom come twice. */
const LONGEST_KEPT_WORD = 24;
/** About 2 MB. */
const MOST_KEPT_WORDS = 10_000;
const utf8 = new TextEncoder();

/** How a byte is written in the vocabulary: `<0x0A>`. */
export function bytePiece(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

export class Bpe {
  readonly #tables: BpeTables;
  readonly #fuseUnknown: boolean;
  readonly #unknownId: number | undefined;
  /** Ids of the 256 byte pieces, `NONE` where the vocabulary lacks one; undefined without byte fallback. */
  readonly #byteIds: Int32Array | undefined;

  /** The words of a text come again and again: their ids, until there are too many of them. */
  readonly #keptWords = new Map<string, readonly number[]>();

  constructor(tables: BpeTables, model: BpeRules, file: string) {
    this.#tables = tables;
    this.#fuseUnknown = model.fuse_unk;
    this.#unknownId = model.unk_token === null ? undefined : idOfPiece(tables, model.unk_token);
    if (model.unk_token !== null && this.#unknownId === undefined) {
      throw new BadFileError({
        code: 'tokenizer_vocabulary',
        message: `${file}: field model.unk_token: ${JSON.stringify(model.unk_token)} is not in model.vocab`,
        hint: 'The tokenizer is damaged. Fetch it again.',
      });
    }
    this.#byteIds = model.byte_fallback ? findBytePieces(tables) : undefined;
  }

  encode(text: string): readonly number[] {
    if (text.length > LONGEST_KEPT_WORD) return this.#encode(text);
    const kept = this.#keptWords.get(text);
    if (kept !== undefined) return kept;
    const ids = this.#encode(text);
    if (this.#keptWords.size >= MOST_KEPT_WORDS) this.#keptWords.clear();
    this.#keptWords.set(text, ids);
    return ids;
  }

  #encode(text: string): number[] {
    // Empty tables, without `ignore_merges`, have no word.
    const whole = idOfWord(this.#tables, text);
    return whole === undefined ? this.#merge(this.#symbols(text)) : [whole];
  }

  /** One id a character; characters outside the vocabulary as their bytes, else as the unknown token, else dropped. */
  #symbols(text: string): number[] {
    const { charPoints, charIds } = this.#tables;
    const symbols: number[] = [];
    let afterUnknown = false;
    for (const char of text) {
      const at = findSorted(charPoints, char.codePointAt(0)!, 0, charPoints.length);
      const bytes = at === NONE ? this.#bytesOf(char) : undefined;
      const unknown = at === NONE && bytes === undefined;
      if (at !== NONE) symbols.push(charIds[at]!);
      else if (bytes !== undefined) for (const byte of bytes) symbols.push(byte);
      else if (this.#unknownId !== undefined && !(afterUnknown && this.#fuseUnknown))
        symbols.push(this.#unknownId);
      afterUnknown = unknown;
    }
    return symbols;
  }

  #bytesOf(char: string): number[] | undefined {
    const byteIds = this.#byteIds;
    if (byteIds === undefined) return undefined;
    const ids = Array.from(utf8.encode(char), (byte) => byteIds[byte]!);
    return ids.includes(NONE) ? undefined : ids;
  }

  /**
   * Applies the merges in the order of their rank, at equal rank from left to right. A heap of the candidates and a linked
   * list of the remaining symbols need n log n steps: Gemma does not split its text, so n can be a whole document.
   */
  #merge(symbols: number[]): number[] {
    const n = symbols.length;
    const { mergeRanks, mergeResults } = this.#tables;
    const next = Int32Array.from(symbols, (_, i) => (i + 1 < n ? i + 1 : NONE));
    const previous = Int32Array.from(symbols, (_, i) => i - 1);
    const alive = new Uint8Array(n).fill(1);
    const candidates = new MinHeap();
    const offer = (position: number) => {
      if (position === NONE || next[position] === NONE) return;
      const merge = this.#findMerge(symbols[position]!, symbols[next[position]!]!);
      // One number orders by rank, then position; rank × n stays far below 2^53.
      if (merge !== NONE) candidates.push(mergeRanks[merge]! * n + position);
    };
    for (let position = 0; position + 1 < n; position++) offer(position);

    for (let best = candidates.pop(); best !== undefined; best = candidates.pop()) {
      const position = best % n;
      const right = next[position]!;
      if (alive[position] === 0 || right === NONE) continue;
      const merge = this.#findMerge(symbols[position]!, symbols[right]!);
      // An earlier merge changed this pair: the candidate is out of date.
      if (merge === NONE || mergeRanks[merge] !== (best - position) / n) continue;
      symbols[position] = mergeResults[merge]!;
      alive[right] = 0;
      const after = next[right]!;
      next[position] = after;
      if (after !== NONE) previous[after] = position;
      offer(previous[position]!);
      offer(position);
    }
    return symbols.filter((_, i) => alive[i] === 1);
  }

  #findMerge(left: number, right: number): number {
    const { mergeRows, mergeRights } = this.#tables;
    return findSorted(mergeRights, right, mergeRows[left]!, mergeRows[left + 1]!);
  }
}

function findBytePieces(tables: BpeTables): Int32Array {
  const bytes = new Map(Array.from({ length: N_BYTES }, (_, byte) => [bytePiece(byte), byte]));
  const ids = new Int32Array(N_BYTES).fill(NONE);
  const { pieceStarts, pieceBytes } = tables;
  const [length, opening] = [bytePiece(0).length, bytePiece(0).charCodeAt(0)];
  for (let id = 0; id < vocabularySize(tables); id++) {
    const start = pieceStarts[id]!;
    // Most pieces are skipped without making a string of them.
    if (pieceStarts[id + 1]! - start !== length || pieceBytes[start] !== opening) continue;
    const byte = bytes.get(pieceOf(tables, id)!);
    if (byte !== undefined) ids[byte] = id;
  }
  return ids;
}
