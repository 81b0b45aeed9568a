/**
 * Neuronpedia: what its API and its exports say about features, checked and reduced to what is used. Both have the same rows: the API
 * answers a feature with its activations and explanations in it, the exports have a file of each.
 */
import * as v from 'valibot';
import { jsonObject } from '../formats/json-object.ts';

/** A longer text would not be a label, nor fit beside one. */
const LONGEST_TEXT = 500;
const MOST_TOKENS = 4096;
const MOST_EXPLANATIONS = 8;

export interface FeatureRow {
  readonly index: number;
  /** Null where it is not known. */
  readonly max_activation: number | null;
  /** Share of tokens at which it is active. */
  readonly density: number;
  /** Counts, and the centres of their bins. */
  readonly heights: readonly number[];
  readonly centres: readonly number[];
  readonly promotes: readonly string[];
  readonly suppresses: readonly string[];
  /** Somebody's direction, which is stored beside the features of a source under a number of its own. */
  readonly is_vector: boolean;
}

export interface ActivationRow {
  readonly index: number;
  readonly tokens: readonly string[];
  /** Activation at each token. */
  readonly values: readonly number[];
  /** The token at which it is strongest. */
  readonly position: number;
}

export interface ExplanationRow {
  readonly index: number;
  readonly id: string | null;
  readonly text: string;
  /** Name of the method, such as `oai_token-act-pair`. */
  readonly type: string | null;
  /** Name of the language model; null for a person's. */
  readonly model: string | null;
  /** Who asked for it, where it is told. */
  readonly author: string | null;
  /** The first score that it was given, if any. */
  readonly score: { readonly value: number; readonly type: string | null } | null;
}

/** Of one feature, as the API answers it. */
export interface WholeFeature {
  readonly feature: FeatureRow;
  readonly activations: readonly ActivationRow[];
  readonly explanations: readonly ExplanationRow[];
  /** Features of the dictionary, where the source tells it. */
  readonly width: number | null;
}

/** Plain loops: there are millions of these lists, where a schema of each entry would take minutes. */
const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) &&
  (value as unknown[]).every((one) => typeof one === 'number' && Number.isFinite(one));
const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && (value as unknown[]).every((one) => typeof one === 'string');

const numbers = v.nullish(v.custom<number[]>(isNumbers, 'a list of numbers is expected'), () => []);
const strings = v.nullish(v.custom<string[]>(isStrings, 'a list of texts is expected'), () => []);
const finite = v.pipe(v.number(), v.finite());
const name = v.nullish(v.string(), null);

/** The API and the exports write it as text. */
const index = v.pipe(
  v.union(
    [v.pipe(v.string(), v.regex(/^\d{1,9}$/, 'a number is expected')), v.number()],
    'an index is expected',
  ),
  v.transform(Number),
  v.integer('a whole number is expected'),
  v.minValue(0),
);

const Feature = jsonObject({
  index,
  maxActApprox: v.nullish(finite, null),
  frac_nonzero: v.nullish(v.pipe(finite, v.minValue(0), v.maxValue(1)), 0),
  freq_hist_data_bar_heights: numbers,
  freq_hist_data_bar_values: numbers,
  pos_str: strings,
  neg_str: strings,
  hasVector: v.nullish(v.boolean(), false),
});

const Activation = v.pipe(
  jsonObject({
    index,
    tokens: v.custom<string[]>(isStrings, 'tokens are expected to be texts'),
    values: v.custom<number[]>(isNumbers, 'values are expected to be numbers'),
    maxValueTokenIndex: v.nullish(v.number(), null),
  }),
  v.check(
    ({ tokens, values }) => tokens.length === values.length && tokens.length > 0,
    'as many values as tokens are expected',
  ),
  v.check(({ tokens }) => tokens.length <= MOST_TOKENS, `at most ${MOST_TOKENS} tokens are expected`),
);

const Explanation = jsonObject({
  id: name,
  index: v.nullish(index),
  description: v.nullish(v.string(), ''),
  typeName: name,
  explanationModelName: name,
  triggeredByUser: v.nullish(jsonObject({ name }), null),
  scores: v.nullish(v.array(jsonObject({ value: finite, explanationScoreTypeName: name })), () => []),
});

/** The dictionary's width, among much else. What is no number there is left out, since the field is optional. */
const Source = jsonObject({
  saelensConfig: v.fallback(v.nullish(jsonObject({ d_sae: v.nullish(v.number(), null) }), null), null),
});

const Whole = jsonObject({
  ...Feature.entries,
  activations: v.nullish(v.array(v.unknown()), () => []),
  explanations: v.nullish(v.array(v.unknown()), () => []),
  source: v.fallback(v.nullish(Source, null), null),
});

/** A row, or why it is none. */
export type Checked<T> = { readonly row: T } | { readonly fault: string };

function checked<S extends v.GenericSchema, T>(
  schema: S,
  value: unknown,
  toRow: (output: v.InferOutput<S>) => T,
): Checked<T> {
  const parsed = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true });
  if (parsed.success) return { row: toRow(parsed.output) };
  const [issue] = parsed.issues;
  const field = v.getDotPath(issue);
  // It quotes what was found.
  return { fault: oneLine(field === null ? issue.message : `${field}: ${issue.message}`) };
}

export function featureRow(value: unknown): Checked<FeatureRow> {
  return checked(Feature, value, rowOfFeature);
}

export function activationRow(value: unknown): Checked<ActivationRow> {
  return checked(Activation, value, rowOfActivation);
}

export function explanationRow(value: unknown): Checked<ExplanationRow> {
  const result = checked(Explanation, value, (output) => rowOfExplanation(output, output.index ?? -1));
  return 'row' in result && result.row.index < 0 ? { fault: 'index: an index is expected' } : result;
}

/** An answer of the API. Activations and explanations of another form are a fault of the whole. */
export function wholeFeature(value: unknown): Checked<WholeFeature> {
  const whole = checked(Whole, value, (output) => output);
  if ('fault' in whole) return whole;
  const feature = rowOfFeature(whole.row);
  const activations: ActivationRow[] = [];
  for (const [i, one] of whole.row.activations.entries()) {
    const result = checked(Activation, one, rowOfActivation);
    if ('fault' in result) return { fault: `activations.${i}: ${result.fault}` };
    activations.push(result.row);
  }
  const explanations: ExplanationRow[] = [];
  for (const [i, one] of whole.row.explanations.entries()) {
    const result = checked(Explanation, one, (output) => rowOfExplanation(output, feature.index));
    if ('fault' in result) return { fault: `explanations.${i}: ${result.fault}` };
    explanations.push(result.row);
  }
  const width = whole.row.source?.saelensConfig?.d_sae ?? null;
  return { row: { feature, activations, explanations, width } };
}

function rowOfFeature(row: v.InferOutput<typeof Feature>): FeatureRow {
  return {
    index: row.index,
    max_activation: row.maxActApprox,
    density: row.frac_nonzero,
    heights: row.freq_hist_data_bar_heights,
    centres: row.freq_hist_data_bar_values,
    promotes: row.pos_str.map(tokenText),
    suppresses: row.neg_str.map(tokenText),
    is_vector: row.hasVector,
  };
}

function rowOfActivation(row: v.InferOutput<typeof Activation>): ActivationRow {
  const { values, maxValueTokenIndex: told } = row;
  const isPlace = told !== null && Number.isInteger(told) && told >= 0 && told < values.length;
  return {
    index: row.index,
    tokens: row.tokens.map(tokenText),
    values,
    position: isPlace ? told : largestAt(values),
  };
}

function rowOfExplanation(row: v.InferOutput<typeof Explanation>, at: number): ExplanationRow {
  const [score] = row.scores;
  return {
    index: at,
    id: row.id,
    text: oneLine(row.description),
    type: orNull(row.typeName),
    model: orNull(row.explanationModelName),
    author: orNull(row.triggeredByUser?.name ?? null),
    score: score === undefined ? null : { value: score.value, type: orNull(score.explanationScoreTypeName) },
  };
}

/** Explanations with a text, each text once, in their order. */
export function distinctExplanations(rows: readonly ExplanationRow[]): ExplanationRow[] {
  const seen = new Set<string>();
  const isNew = ({ text, type, model }: ExplanationRow): boolean => {
    const key = JSON.stringify([text, type, model]);
    if (text === '' || seen.has(key)) return false;
    seen.add(key);
    return true;
  };
  return rows.filter(isNew).slice(0, MOST_EXPLANATIONS);
}

function largestAt(values: readonly number[]): number {
  let at = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[at]!) at = i;
  return at;
}

/** SentencePiece's sign for a space. */
function tokenText(token: string): string {
  return token.replaceAll('\u2581', ' ');
}

function orNull(text: string | null): string | null {
  const line = text === null ? '' : oneLine(text);
  return line === '' ? null : line;
}

/** Labels are shown in lists and beside nodes: one line without control characters. */
function oneLine(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT - 1)}…` : line;
}
