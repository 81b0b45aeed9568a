/** Tokenizer, the template of the files: which tokens they put around a text, for the note that says that they are not added. */
import type { Rules } from './rules.ts';
import type { SpecialTokens } from './special-tokens.ts';

/** A token of a template, or the text (no ids). */
interface Piece {
  readonly shown: string;
  readonly ids: readonly number[] | null;
}

/** As the `tokenizers` library writes it. */
const TEXT: Piece = { shown: '$A', ids: null };

/** Null for BOS and the text, which is what prompts are, and where the files say nothing. */
export function otherTemplate(
  { post_processor }: Rules,
  { bosId, eosId, addsBos, addsEos }: SpecialTokens,
  nameOf: (id: number) => string,
): string | null {
  const token = (id: number): Piece => ({ shown: nameOf(id), ids: [id] });
  if (!addsBos || addsEos) {
    return shown([...(addsBos ? [token(bosId)] : []), TEXT, ...(addsEos ? [token(eosId)] : [])]);
  }
  const pieces = post_processor.reduce(around, [TEXT]);
  const isText = pieces.length === 1 && pieces[0] === TEXT;
  const isUsual = pieces.length === 2 && pieces[0]!.ids?.join() === String(bosId) && pieces[1] === TEXT;
  return isUsual || (isText && post_processor.every(isSilent)) ? null : shown(pieces);
}

/** The pieces after one more post-processor. */
function around(pieces: readonly Piece[], processor: Rules['post_processor'][number]): readonly Piece[] {
  if (isSilent(processor)) return pieces;
  if (!('single' in processor)) return [{ shown: processor.type, ids: [] }, ...pieces];
  return processor.single.flatMap((piece) => {
    if ('Sequence' in piece) return pieces;
    const { id } = piece.SpecialToken;
    return [{ shown: id, ids: processor.special_tokens[id]?.ids ?? [] }];
  });
}

/** Moves offsets only. */
function isSilent({ type }: Rules['post_processor'][number]): boolean {
  return type === 'ByteLevel';
}

function shown(pieces: readonly Piece[]): string {
  return pieces.map((piece) => piece.shown).join(' ');
}
