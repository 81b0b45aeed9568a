/**
 * Tokenizer, rules that are left to `@huggingface/tokenizers`, by their schemas: those that the package follows as the library in
 * Rust does (docs/decisions/2026-11-29-foreign-rules.md). All others are refused by name.
 */
import * as v from 'valibot';
import { jsonObject } from '../formats/json-object.ts';
import { NonEmptyText } from './steps.ts';

const Plain = <const Type extends string>(type: Type) => jsonObject({ type: v.literal(type) });

export const FOREIGN_NORMALIZERS = [
  Plain('NFD'),
  Plain('NFKC'),
  Plain('NFKD'),
  Plain('Lowercase'),
  Plain('StripAccents'),
  jsonObject({
    type: v.literal('BertNormalizer'),
    clean_text: v.boolean(),
    handle_chinese_chars: v.boolean(),
    strip_accents: v.nullish(v.boolean(), null),
    lowercase: v.boolean(),
  }),
];

/** The text of a piece depends on it and on whether it is the first. */
export const FOREIGN_DECODER = jsonObject({
  type: v.literal('WordPiece'),
  prefix: NonEmptyText,
  cleanup: v.boolean(),
});

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

export const WordPieceModel = jsonObject({
  type: v.literal('WordPiece'),
  unk_token: NonEmptyText,
  continuing_subword_prefix: v.string(),
  max_input_chars_per_word: Count,
});

export const UnigramModel = jsonObject({
  type: v.literal('Unigram'),
  unk_id: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  // The package has no bytes for characters that are not in the vocabulary.
  byte_fallback: v.nullish(v.literal(false), false),
});

type Step = { readonly type: string };
const typesOf = (schemas: readonly { readonly entries: { readonly type: { readonly literal: string } } }[]) =>
  schemas.map(({ entries }) => entries.type.literal);

const FOREIGN = {
  normalizer: typesOf(FOREIGN_NORMALIZERS),
  decoder: typesOf([FOREIGN_DECODER]),
  model: typesOf([WordPieceModel, UnigramModel]),
};

/** Names of the rules in a file that are left to the package: `normalizer NFKC`. */
export function foreignRules(rules: {
  readonly normalizer: readonly Step[];
  readonly decoder: readonly Step[];
  readonly model: Step;
}): string[] {
  const names = (['normalizer', 'model', 'decoder'] as const).flatMap((part) =>
    [rules[part]]
      .flat()
      .filter(({ type }) => FOREIGN[part].includes(type))
      .map(({ type }) => `${part} ${type}`),
  );
  return [...new Set(names)];
}
