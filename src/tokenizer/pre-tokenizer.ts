/** Tokenizer, step 4: normalized text split into parts that are merged one by one. */
import * as v from 'valibot';
import { unreachable } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { bytesAsChars } from './byte-level.ts';
import { PatternSchema, expressionOf } from './pattern-rule.ts';
import { SPLIT_BEHAVIORS, split } from './split.ts';
import { OneCharacter, stepsIfAny } from './steps.ts';

const Split = jsonObject({
  type: v.literal('Split'),
  pattern: PatternSchema,
  behavior: v.picklist(SPLIT_BEHAVIORS),
  invert: v.boolean(),
});

const ByteLevel = jsonObject({
  type: v.literal('ByteLevel'),
  add_prefix_space: v.boolean(),
  use_regex: v.nullish(v.boolean(), true),
});

const Digits = jsonObject({
  type: v.literal('Digits'),
  individual_digits: v.boolean(),
});

const Metaspace = v.pipe(
  jsonObject({
    type: v.literal('Metaspace'),
    replacement: OneCharacter,
    prepend_scheme: v.nullish(v.picklist(['always', 'first', 'never'])),
    /** The older name: false is `never`. */
    add_prefix_space: v.nullish(v.boolean(), true),
    split: v.nullish(v.boolean(), true),
  }),
  v.check(
    ({ add_prefix_space, prepend_scheme }) => add_prefix_space || (prepend_scheme ?? 'never') === 'never',
    'expected the prepend_scheme "never" where add_prefix_space is false',
  ),
  v.transform(({ add_prefix_space, prepend_scheme, ...rule }) => ({
    ...rule,
    prepend_scheme: prepend_scheme ?? (add_prefix_space ? 'always' : 'never'),
  })),
);

const Plain = <const Type extends string>(type: Type) => jsonObject({ type: v.literal(type) });

const Punctuation = jsonObject({
  type: v.literal('Punctuation'),
  behavior: v.nullish(v.picklist(SPLIT_BEHAVIORS), 'Isolated'),
});

const CharDelimiterSplit = jsonObject({ type: v.literal('CharDelimiterSplit'), delimiter: OneCharacter });

export const PreTokenizerSchema = stepsIfAny(
  'pretokenizers',
  v.variant('type', [
    Split,
    ByteLevel,
    Digits,
    Metaspace,
    Plain('WhitespaceSplit'),
    Plain('Whitespace'),
    Plain('BertPreTokenizer'),
    Punctuation,
    CharDelimiterSplit,
  ]),
);
export type PreTokenizerRules = v.InferOutput<typeof PreTokenizerSchema>;
type Rule = PreTokenizerRules[number];

/** The expression that `ByteLevel` has built in. */
const GPT2_PATTERN = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
const ISOLATED = { behavior: 'Isolated', invert: false } as const;
const SEPARATOR_FIRST = { behavior: 'MergedWithNext', invert: false } as const;

const REMOVED = { behavior: 'Removed', invert: false } as const;
const ONLY_MATCHES = { behavior: 'Removed', invert: true } as const;

const WHITE_SPACE = /\p{White_Space}+/gu;
/** `\w+|[^\w\s]+` of Rust. */
const WORDS =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;
/** Symbols of ASCII are punctuation too. */
const PUNCTUATION = /[\p{P}$+<=>^`|~]/gu;

/** `isFirst`: the part with which the prompt begins. */
type Step = (text: string, isFirst: boolean) => readonly string[];

export class PreTokenizer {
  readonly #steps: readonly Step[];

  constructor(rules: PreTokenizerRules) {
    this.#steps = rules.map(stepOf);
  }

  /** The parts of a stretch of text between added tokens; `isFirst` when the prompt begins with it. */
  split(text: string, isFirst: boolean): readonly string[] {
    return this.#steps.reduce<readonly string[]>(
      (parts, step) => parts.flatMap((part, i) => step(part, isFirst && i === 0)),
      [text],
    );
  }
}

function stepOf(rule: Rule): Step {
  switch (rule.type) {
    case 'Split': {
      const expression = expressionOf(rule.pattern);
      return (text) => split(text, expression, rule);
    }
    case 'Digits': {
      const expression = rule.individual_digits ? /\p{N}/gu : /\p{N}+/gu;
      return (text) => split(text, expression, ISOLATED);
    }
    case 'ByteLevel': {
      const expression = expressionOf({ Regex: GPT2_PATTERN });
      return (text) => {
        const whole = rule.add_prefix_space && !text.startsWith(' ') ? ` ${text}` : text;
        return (rule.use_regex ? split(whole, expression, ISOLATED) : [whole]).map(bytesAsChars);
      };
    }
    case 'Metaspace': {
      const { replacement, prepend_scheme } = rule;
      const expression = expressionOf({ String: replacement });
      return (text, isFirst) => {
        const written = text.replaceAll(' ', () => replacement);
        const prepends = prepend_scheme === 'always' || (prepend_scheme === 'first' && isFirst);
        const whole = prepends && !written.startsWith(replacement) ? replacement + written : written;
        return rule.split ? split(whole, expression, SEPARATOR_FIRST) : [whole];
      };
    }
    case 'WhitespaceSplit':
      return (text) => split(text, WHITE_SPACE, REMOVED);
    case 'Whitespace':
      return (text) => split(text, WORDS, ONLY_MATCHES);
    case 'BertPreTokenizer':
      return (text) =>
        split(text, WHITE_SPACE, REMOVED).flatMap((word) => split(word, PUNCTUATION, ISOLATED));
    case 'Punctuation':
      return (text) => split(text, PUNCTUATION, { behavior: rule.behavior, invert: false });
    case 'CharDelimiterSplit': {
      const expression = expressionOf({ String: rule.delimiter });
      return (text) => split(text, expression, REMOVED);
    }
    default:
      return unreachable(rule);
  }
}
