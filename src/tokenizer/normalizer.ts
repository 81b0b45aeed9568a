/** Tokenizer, part of step 3: the normalizer, from its description in `tokenizer.json` to the text that it makes. */
import * as v from 'valibot';
import { unreachable } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { composedForm } from './composed-form.ts';
import { NonEmptyText, stepsIfAny } from './steps.ts';

/** A normalizer and a decoder. */
export const Replace = jsonObject({
  type: v.literal('Replace'),
  pattern: jsonObject({ String: NonEmptyText }),
  content: v.string(),
});
export type ReplaceRule = v.InferOutput<typeof Replace>;

const Prepend = jsonObject({ type: v.literal('Prepend'), prepend: v.string() });
const ComposedForm = jsonObject({ type: v.literal('NFC') });

export const NormalizerSchema = stepsIfAny(
  'normalizers',
  v.variant('type', [Replace, Prepend, ComposedForm]),
);
export type NormalizerRules = v.InferOutput<typeof NormalizerSchema>;

/** A stretch of text between added tokens, as the vocabulary writes it. */
export function normalize(text: string, rules: NormalizerRules): string {
  return rules.reduce((result, rule) => {
    switch (rule.type) {
      case 'Replace':
        return replaceAll(result, [rule]);
      case 'Prepend':
        return result === '' ? '' : rule.prepend + result;
      case 'NFC':
        return composedForm(result);
      default:
        return unreachable(rule);
    }
  }, text);
}

export function replaceAll(text: string, rules: readonly ReplaceRule[]): string {
  // The replacement is a function because `$&` in a plain string would be replaced.
  return rules.reduce(
    (result, { pattern, content }) => result.replaceAll(pattern.String, () => content),
    text,
  );
}
