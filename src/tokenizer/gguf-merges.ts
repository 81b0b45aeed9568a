/**
 * Tokenizer, GGUF: the merges that a SentencePiece vocabulary stands for. It joins the two neighbours whose piece has the highest
 * score; as a list of merges, that is every way to make a piece of two others, best score first.
 */

export interface ScoredPiece {
  readonly piece: string;
  readonly score: number;
}

interface Merge {
  readonly left: string;
  readonly right: string;
  readonly score: number;
  /** Characters of both parts. */
  readonly lengths: readonly [number, number];
}

/** In the order of `tokenizers`' conversion: by score, then the longer first part, then the longer second part. */
export function mergesByScore(pieces: readonly ScoredPiece[]): readonly (readonly [string, string])[] {
  const places = new Map(pieces.map(({ piece }, at) => [piece, at]));
  const found: Merge[] = [];
  for (const { piece, score } of pieces) {
    const ofPiece: (Merge & { readonly order: number })[] = [];
    for (let cut = 1; cut < piece.length; cut++) {
      const [left, right] = [piece.slice(0, cut), piece.slice(cut)];
      const order = places.get(left);
      if (order === undefined || !places.has(right)) continue;
      ofPiece.push({ left, right, score, order, lengths: [[...left].length, [...right].length] });
    }
    for (const merge of ofPiece.sort((a, b) => a.order - b.order)) found.push(merge);
  }
  // The sort is stable: of equal ones, the order in which they were found counts.
  return found
    .sort((a, b) => b.score - a.score || b.lengths[0] - a.lengths[0] || b.lengths[1] - a.lengths[1])
    .map(({ left, right }) => [left, right]);
}
