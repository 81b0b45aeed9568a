/** Tokenizer, what normalizers and pre-tokenizers search for: a text or an expression, checked, as an expression of JavaScript. */
import * as v from 'valibot';
import { jsonObject } from '../formats/json-object.ts';
import type { Schema } from '../formats/parsed-text.ts';
import { PatternError, translatePattern } from './pattern.ts';
import { NonEmptyText, hasField } from './steps.ts';

const Pattern = v.pipe(
  NonEmptyText,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      translatePattern(dataset.value);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      addIssue({ message: `the expression ${error.message}` });
    }
  }),
);

type PatternRule = { readonly Regex: string } | { readonly String: string };
const RegexPattern: Schema<PatternRule> = jsonObject({ Regex: Pattern });
const TextPattern: Schema<PatternRule> = jsonObject({ String: NonEmptyText });

export const PatternSchema = v.lazy((pattern) => (hasField(pattern, 'Regex') ? RegexPattern : TextPattern));

/** Finds all places. */
export function expressionOf(pattern: PatternRule): RegExp {
  return 'Regex' in pattern ? regex(pattern.Regex) : plain(pattern.String);
}

function regex(pattern: string): RegExp {
  return new RegExp(translatePattern(pattern), 'gu');
}

function plain(text: string): RegExp {
  return new RegExp(text.replaceAll(/[$()*+./?[\\\]^{|}]/g, String.raw`\$&`), 'g');
}
