/**
 * Tokenizer, step 1: the parts of `tokenizer.json` beside vocabulary and merges, checked. What is not supported is refused
 * here by the name of its field, so that a text is never tokenized by other rules than those of the file.
 *
 * Format: the serialised `Tokenizer` of Hugging Face's `tokenizers` library.
 */
import * as v from 'valibot';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { checkSchema, type Schema } from '../formats/parsed-text.ts';

const NonEmptyText = v.pipe(v.string(), v.minLength(1));
const TokenId = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Absent, null and the value that means "nothing" are the same. */
const offOr = <const T extends string | number>(nothing: T) => v.nullish(v.literal(nothing));

/** Above any nesting that a library writes. */
const DEEPEST_SEQUENCE = 8;

/** A part of the file as the list of its steps: one step, or a `Sequence` that has them under `field`, in any nesting. */
function steps<Step>(field: string, step: Schema<Step>, depth = 0): Schema<Step[]> {
  const one = v.pipe(
    step,
    v.transform((found) => [found]),
  );
  const sequence = (): Schema<Step[]> =>
    v.pipe(
      jsonObject({ [field]: v.array(steps(field, step, depth + 1)) }),
      v.transform((found) => found[field]!.flat()),
    );
  return v.lazy((input) => (hasType(input, 'Sequence') && depth < DEEPEST_SEQUENCE ? sequence() : one));
}

/** As `steps`; none where the part is absent or null. */
function stepsIfAny<Step>(field: string, step: Schema<Step>): Schema<Step[]> {
  return v.pipe(
    v.nullish(steps(field, step), null),
    v.transform((found) => found ?? []),
  );
}

function hasType(step: unknown, type: string): boolean {
  return typeof step === 'object' && step !== null && 'type' in step && step.type === type;
}

const Replace = jsonObject({
  type: v.literal('Replace'),
  pattern: jsonObject({ String: NonEmptyText }),
  content: v.string(),
});

const Split = jsonObject({
  type: v.literal('Split'),
  pattern: jsonObject({ String: NonEmptyText }),
  behavior: v.literal('MergedWithPrevious'),
  invert: v.literal(false),
});

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

const DecoderStep = v.variant('type', [
  Replace,
  jsonObject({ type: v.literal('ByteFallback') }),
  jsonObject({ type: v.literal('Fuse') }),
]);

/** The only order that is supported: bytes are searched in the replaced pieces, and fused pieces cannot be separated again. */
const STEP_ORDER = ['Replace', 'ByteFallback', 'Fuse'] as const;

const Decoder = v.pipe(
  steps('decoders', DecoderStep),
  v.check(
    (list) =>
      list.every(
        (step, i) => i === 0 || STEP_ORDER.indexOf(list[i - 1]!.type) <= STEP_ORDER.indexOf(step.type),
      ),
    `expected in the order ${STEP_ORDER.join(', ')}`,
  ),
);

const AddedTokenSchema = jsonObject({
  id: TokenId,
  content: NonEmptyText,
  single_word: v.boolean(),
  lstrip: v.boolean(),
  rstrip: v.boolean(),
  normalized: v.boolean(),
  special: v.boolean(),
});

const Model = jsonObject({
  type: v.literal('BPE'),
  unk_token: v.nullish(v.string(), null),
  fuse_unk: v.nullish(v.boolean(), false),
  byte_fallback: v.nullish(v.boolean(), false),
  ignore_merges: v.nullish(v.boolean(), false),
  dropout: offOr(0),
  continuing_subword_prefix: offOr(''),
  end_of_word_suffix: offOr(''),
});

const RulesSchema = jsonObject({
  normalizer: stepsIfAny('normalizers', Replace),
  pre_tokenizer: stepsIfAny('pretokenizers', Split),
  post_processor: stepsIfAny('processors', PostProcessor),
  decoder: Decoder,
  added_tokens: v.nullish(v.array(AddedTokenSchema), []),
  model: Model,
});

/** `tokenizer.json` without vocabulary and merges. The compiled form of a tokenizer holds it: a change here raises its version. */
export type Rules = v.InferOutput<typeof RulesSchema>;
export type AddedToken = v.InferOutput<typeof AddedTokenSchema>;
export type ReplaceRule = v.InferOutput<typeof Replace>;

/** Throws `BadFileError` that names the file, the first field that does not fit, what was expected and found. */
export function parseRules(document: unknown, file: string): Rules {
  return checkSchema(file, document, RulesSchema);
}

export function replaceAll(text: string, steps: readonly ReplaceRule[]): string {
  // The replacement is a function because `$&` in a plain string would be replaced.
  return steps.reduce(
    (result, { pattern, content }) => result.replaceAll(pattern.String, () => content),
    text,
  );
}
