/** Tokenizer, part of step 3: the normalizer, from its description in `tokenizer.json` to the text that it makes. */
import * as v from 'valibot';
import { jsonObject } from '../formats/json-object.ts';
import { composedForm } from './composed-form.ts';
import type { Foreign } from './foreign.ts';
import { FOREIGN_NORMALIZERS } from './foreign-rules.ts';
import { PatternSchema, expressionOf } from './pattern-rule.ts';
import { NonEmptyText, stepsIfAny } from './steps.ts';

/** Of decoders; normalizers also search for expressions. */
export const Replace = jsonObject({
  type: v.literal('Replace'),
  pattern: jsonObject({ String: NonEmptyText }),
  content: v.string(),
});
export type ReplaceRule = v.InferOutput<typeof Replace>;

const ReplacePattern = jsonObject({
  type: v.literal('Replace'),
  pattern: PatternSchema,
  content: v.string(),
});
const Prepend = jsonObject({ type: v.literal('Prepend'), prepend: v.string() });
const Strip = jsonObject({ type: v.literal('Strip'), strip_left: v.boolean(), strip_right: v.boolean() });
const ComposedForm = jsonObject({ type: v.literal('NFC') });

export const NormalizerSchema = stepsIfAny(
  'normalizers',
  v.variant('type', [ReplacePattern, Prepend, Strip, ComposedForm, ...FOREIGN_NORMALIZERS]),
);
export type NormalizerRules = v.InferOutput<typeof NormalizerSchema>;

/** Makes of a stretch of text between added tokens what the vocabulary writes. */
export function normalizer(rules: NormalizerRules, foreign: Foreign | undefined): (text: string) => string {
  const steps = rules.map((rule): ((text: string) => string) => {
    switch (rule.type) {
      case 'Replace': {
        const expression = expressionOf(rule.pattern);
        return (text) => text.replace(expression, () => rule.content);
      }
      case 'Prepend':
        return (text) => (text === '' ? '' : rule.prepend + text);
      case 'Strip':
        return (text) => strip(text, rule.strip_left, rule.strip_right);
      case 'NFC':
        return composedForm;
      default:
        return foreign!.normalizer(rule);
    }
  });
  return (text) => steps.reduce((result, step) => step(result), text);
}

// JavaScript's `trim` takes U+FEFF for white space, and U+0085 for none.
function strip(text: string, left: boolean, right: boolean): string {
  const start = left ? text.replace(/^\p{White_Space}+/u, '') : text;
  return right ? start.slice(0, endOfText(start)) : start;
}

function endOfText(text: string): number {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
  return end;
}

export function replaceAll(text: string, rules: readonly ReplaceRule[]): string {
  // The replacement is a function because `$&` in a plain string would be replaced.
  return rules.reduce(
    (result, { pattern, content }) => result.replaceAll(pattern.String, () => content),
    text,
  );
}
