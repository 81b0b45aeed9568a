/** Text to token ids and back, with the reference's two rules about the beginning-of-sequence token. */

export interface Tokenizer {
  readonly vocabularySize: number;
  readonly bosId: number;
  readonly eosId: number;
  /** Ids declared special (`additional_special_tokens`, bos, eos, pad, unk). `<mask>` is none. */
  readonly specialIds: ReadonlySet<number>;
  /** Ids of the text alone: nothing put in front. */
  encode(text: string): number[];
  /** What a forward pass reads: the post-processor always puts BOS in front. */
  modelInput(text: string): number[];
  /** What attribution reads: BOS in front unless the first id is a special token already. */
  attributionInput(text: string): number[];
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  /** One readable string a token (`'<bos>'`, `' capital'`), as the reference's `token_strings`. */
  tokenStrings(ids: ArrayLike<number>): string[];
  /** The vocabulary entries themselves (`'▁capital'`), as the reference's `token_pieces`. */
  pieces(ids: ArrayLike<number>): string[];
}
