/** Tokenizer, the interface: text to token ids and back, with what is put in front of a prompt. */
import type { BosChoice, BosRule } from './bos.ts';
import type { RoleTokens } from './special-tokens.ts';

export interface DecodeOptions {
  /** Leaves out the tokens that `tokenizer.json` marks special; `<mask>` is among them. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/** Decodes tokens one by one; all returned pieces joined are what `decode` gives for all ids at once. */
export interface DecodeStream {
  /** Text that this token completes: empty while the bytes of a character are still arriving. */
  push(id: number): string;
  /** What `end` would give if no token followed; the stream goes on. */
  pending(): string;
  /** What is left at the end: bytes that never became a character are shown as `�`. */
  end(): string;
}

export interface Tokenizer {
  /** Ids run from 0 to `vocabularySize - 1`, without gaps. */
  readonly vocabularySize: number;
  /** What is put in front of a prompt: BOS, or what stands for it where none is declared (Qwen: EOS). */
  readonly bosId: number;
  readonly eosId: number;
  /** Ids declared special (`additional_special_tokens`, bos, eos, pad, unk). `<mask>` is not one of them. */
  readonly specialIds: ReadonlySet<number>;
  readonly roleTokens: RoleTokens;
  /** The template of the files, such as `$A <eos>`, where it is not BOS and the text; null where it is, or where the files put nothing around a text. */
  readonly otherTemplate: string | null;
  /** Rules of the file that `@huggingface/tokenizers` follows, such as `normalizer NFKC`; most files have none. */
  readonly foreignRules: readonly string[];
  /** Ids of the text alone: nothing put in front. */
  encode(text: string): number[];
  /**
   * The text with BOS in front by a rule, and nothing else, whatever the files put around a text; `bos` says otherwise. Throws
   * `UsageError` when `bos` is not one token.
   */
  promptIds(text: string, rule: BosRule, bos?: BosChoice): number[];
  /** The id of a text that is exactly one token without BOS. Throws `UsageError` that shows how it splits. */
  singleToken(text: string): number;
  /** Ids outside the vocabulary (a model may have more rows than its tokenizer has tokens) give no text. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  decodeStream(options?: DecodeOptions): DecodeStream;
  /** One readable string a token (`'<bos>'`, `' capital'`), as the reference's `token_strings`. */
  tokenStrings(ids: ArrayLike<number>): string[];
  /** The vocabulary entries themselves (`'▁capital'`), as the reference's `token_pieces`; `''` outside the vocabulary. */
  pieces(ids: ArrayLike<number>): string[];
}
