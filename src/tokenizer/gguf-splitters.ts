/**
 * Tokenizer, GGUF: how byte-level vocabularies split a text, by the names that llama.cpp gives them (`tokenizer.ggml.pre`), as the
 * `tokenizer.json` of the first model of that name has it.
 */

export interface Splitter {
  readonly names: readonly string[];
  readonly pre_tokenizer: unknown;
  readonly normalizer?: unknown;
  /** A part that is a token as a whole is not merged. */
  readonly ignoresMerges?: boolean;
  /** Whether BOS is put in front where the metadata do not say. */
  readonly addsBos?: boolean;
  /** Whether decoded text loses its spaces in front of punctuation. */
  readonly cleansUp?: boolean;
  /** False: `tokenizer_config.json` names no BOS where none is put in front, although the metadata do. */
  readonly declaresUnusedBos?: boolean;
  /** False: `tokenizer_config.json` names none of the control tokens beside those with a role. */
  readonly declaresControl?: boolean;
}

const CONTRACTIONS = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`;
const REST = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;
const LLAMA_3 = String.raw`${CONTRACTIONS}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|${REST}`;
const QWEN_2 = String.raw`${CONTRACTIONS}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|${REST}`;
const [UPPER, LOWER] = [String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`];
const O200K = String.raw`[^\r\n\p{L}\p{N}]?${UPPER}*${LOWER}+${CONTRACTIONS}?|[^\r\n\p{L}\p{N}]?${UPPER}+${LOWER}*${CONTRACTIONS}?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${REST}`;

const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
const splitBy = (expression: string): unknown => ({
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false },
    { ...bytes, use_regex: false },
  ],
});

export const SPLITTERS: readonly Splitter[] = [
  {
    names: ['llama-bpe', 'llama3', 'llama-v3'],
    pre_tokenizer: splitBy(LLAMA_3),
    ignoresMerges: true,
    addsBos: true,
    cleansUp: true,
    declaresControl: false,
  },
  {
    names: ['qwen2', 'deepseek-r1-qwen'],
    pre_tokenizer: splitBy(QWEN_2),
    normalizer: { type: 'NFC' },
    declaresUnusedBos: false,
  },
  { names: ['gpt-4o'], pre_tokenizer: splitBy(O200K) },
  { names: ['gpt-2'], pre_tokenizer: { ...bytes, use_regex: true } },
  {
    names: ['smollm', 'starcoder', 'refact'],
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { ...bytes, use_regex: true },
      ],
    },
  },
];
