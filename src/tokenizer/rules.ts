/**
 * Tokenizer, step 1: the parts of `tokenizer.json` beside vocabulary and merges, checked. What is not supported is refused
 * here by the name of its field, so that a text is never tokenized by other rules than those of the file.
 *
 * Format: the serialised `Tokenizer` of Hugging Face's `tokenizers` library.
 */
import * as v from 'valibot';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { checkSchema } from '../formats/parsed-text.ts';
import { DecoderSchema } from './decoder-rules.ts';
import { UnigramModel, WordPieceModel } from './foreign-rules.ts';
import { NormalizerSchema } from './normalizer.ts';
import { PreTokenizerSchema } from './pre-tokenizer.ts';
import { NonEmptyText, hasType, stepsIfAny } from './steps.ts';

const TokenId = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Absent, null and the value that means "nothing" are the same. */
const offOr = <const T extends string | number>(nothing: T) => v.nullish(v.literal(nothing));

const TemplatePiece = v.union([
  jsonObject({ SpecialToken: jsonObject({ id: v.string() }) }),
  jsonObject({ Sequence: jsonObject({ id: v.string() }) }),
]);

const Template = jsonObject({
  type: v.literal('TemplateProcessing'),
  single: v.array(TemplatePiece),
  special_tokens: v.nullish(jsonRecord(v.string(), jsonObject({ ids: v.array(TokenId) })), {}),
});

/** Any other processor is accepted: no computation depends on the tokens that a file puts around a text. */
const OtherProcessor = jsonObject({ type: v.string() });

const PostProcessor = v.lazy((step) => (hasType(step, 'TemplateProcessing') ? Template : OtherProcessor));

const AddedTokenSchema = jsonObject({
  id: TokenId,
  content: NonEmptyText,
  single_word: v.boolean(),
  lstrip: v.boolean(),
  rstrip: v.boolean(),
  normalized: v.boolean(),
  special: v.boolean(),
});

const BpeModel = jsonObject({
  // The first files of GPT-2 do not say it.
  type: v.optional(v.literal('BPE'), 'BPE'),
  unk_token: v.nullish(v.string(), null),
  fuse_unk: v.nullish(v.boolean(), false),
  byte_fallback: v.nullish(v.boolean(), false),
  ignore_merges: v.nullish(v.boolean(), false),
  dropout: offOr(0),
  continuing_subword_prefix: offOr(''),
  end_of_word_suffix: offOr(''),
});

const Model = v.lazy((model) => {
  if (hasType(model, 'WordPiece')) return WordPieceModel;
  return hasType(model, 'Unigram') ? UnigramModel : BpeModel;
});

const RulesSchema = jsonObject({
  normalizer: NormalizerSchema,
  pre_tokenizer: PreTokenizerSchema,
  post_processor: stepsIfAny('processors', PostProcessor),
  decoder: DecoderSchema,
  added_tokens: v.nullish(v.array(AddedTokenSchema), []),
  model: Model,
});

/** `tokenizer.json` without vocabulary and merges. The compiled form of a tokenizer holds it: a change here raises its version. */
export type Rules = v.InferOutput<typeof RulesSchema>;
export type BpeRules = v.InferOutput<typeof BpeModel>;
export type AddedToken = v.InferOutput<typeof AddedTokenSchema>;

/** Throws `BadFileError` that names the file, the first field that does not fit, what was expected and found. */
export function parseRules(document: unknown, file: string): Rules {
  return checkSchema(file, document, RulesSchema);
}
