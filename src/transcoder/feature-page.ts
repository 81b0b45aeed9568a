/**
 * Transcoder: the pages of features, in the layout of published sets: `features/index.json.gz` says where in which file
 * each page lies; a page is its length in 4 bytes, little-endian, and gzipped JSON. This file gets bytes and reads none itself.
 */
import { gunzipSync } from 'node:zlib';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { parseJson } from '../formats/json.ts';
import { bytesInstead } from '../formats/saved-instead.ts';
import { isSafePath } from '../formats/safe-path.ts';

export const FEATURE_FOLDER = 'features';
export const INDEX_FILE = 'index.json.gz';
/** Bytes in front of each page. */
export const LENGTH_BYTES = 4;

const MIB = 2 ** 20;
/** Unpacked. The index of 2.5 million features has 30 MB, a page a few hundred KB. */
const LARGEST_INDEX_BYTES = 256 * MIB;
const LARGEST_PAGE_BYTES = 64 * MIB;

const strings = v.array(v.string());
const Example = jsonObject({
  tokens: strings,
  /** Activation at each token. */
  tokens_acts_list: v.array(v.number()),
  /** The token that the example is about. */
  train_token_ind: v.optional(v.number(), 0),
});
/** A short description that is computed by rules and not written by a person. */
const Label = jsonObject({
  text: v.string(),
  /** Share of the activation that the description covers, on sentences that it was not made from. */
  share: v.number(),
  automatic: v.literal(true),
});
const nullableText = v.optional(v.nullable(v.string()), null);
/** What somebody wrote there about the feature. */
export const FetchedExplanationSchema = jsonObject({
  text: v.string(),
  /** Name of the method; null for a person's words. */
  type: nullableText,
  /** Name of the language model. */
  model: nullableText,
  author: nullableText,
  score: v.optional(v.nullable(jsonObject({ value: v.number(), type: nullableText })), null),
});
/** Where a page is from that was neither built here nor published with the set. */
const Fetched = jsonObject({
  site: v.literal('neuronpedia'),
  /** `MODEL/SOURCE` there. */
  source: v.string(),
  /** The day, `YYYY-MM-DD`. */
  date: v.string(),
  /** What has to be known about its numbers. */
  note: nullableText,
  explanations: v.optional(v.array(FetchedExplanationSchema), () => []),
});
const Page = jsonObject({
  index: v.optional(v.number()),
  label: v.optional(v.nullable(Label), null),
  act_min: v.optional(v.number(), 0),
  act_max: v.optional(v.number(), 0),
  /** Share of tokens at which the feature is active. */
  activation_frequency: v.optional(v.number(), 0),
  histogram: v.optional(v.array(v.number()), () => []),
  /** Bins begin at 0 and are so wide. Left out, as published sets do: they divide `act_min` to `act_max` evenly. */
  histogram_bin_width: v.optional(v.pipe(v.number(), v.gtValue(0))),
  top_logits: v.optional(strings, () => []),
  bottom_logits: v.optional(strings, () => []),
  examples_quantiles: v.optional(
    v.array(jsonObject({ quantile_name: v.string(), examples: v.array(Example) })),
    () => [],
  ),
  fetched: v.optional(Fetched),
});

/** Types of a parsed page, with all arrays readonly. */
export type FeatureExample = Immutable<v.InferOutput<typeof Example>>;
export type FeatureLabel = Immutable<v.InferOutput<typeof Label>>;
export type FeaturePage = Immutable<v.InferOutput<typeof Page>>;
export type FetchedOrigin = Immutable<v.InferOutput<typeof Fetched>>;
type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T;

/** There are millions of offsets: one plain loop checks them, where a schema of numbers would take seconds. */
function isOffsets(value: unknown): value is number[] {
  if (!Array.isArray(value)) return false;
  let last = 0;
  for (const offset of value as unknown[]) {
    if (typeof offset !== 'number' || !Number.isSafeInteger(offset) || offset < last) return false;
    last = offset;
  }
  return true;
}

const Index = jsonRecord(
  v.string(),
  jsonObject({
    filename: v.pipe(v.string(), v.check(isSafePath, 'a file name leads out of the folder')),
    offsets: v.custom<number[]>(
      isOffsets,
      'offsets are expected to be whole numbers, each not smaller than the one before',
    ),
  }),
);

/** By layer: page i of `filename` lies from `offsets[i]` to `offsets[i + 1]`. */
export type FeatureIndex = Readonly<
  Record<string, { readonly filename: string; readonly offsets: readonly number[] }>
>;

/** Where the bytes of a page lie. */
export interface PagePlace {
  readonly filename: string;
  readonly start: number;
  readonly stop: number;
}

/** Unpacks an index; `name` is for the message of the `BadFileError` for a damaged one. */
export function parseFeatureIndex(packed: Uint8Array, name: string): FeatureIndex {
  return checked(Index, unpack(packed, LARGEST_INDEX_BYTES, name), name);
}

/** Null when there is no page of the feature. Throws `BadFileError` for a page that cannot be that large. */
export function placeOfPage(
  index: FeatureIndex,
  layer: number,
  feature: number,
  name: string,
): PagePlace | null {
  const entry = index[String(layer)];
  const [start, stop] = [entry?.offsets[feature], entry?.offsets[feature + 1]];
  if (entry === undefined || start === undefined || stop === undefined || start === stop) return null;
  if (stop - start > LARGEST_PAGE_BYTES) {
    throw damaged(name, `the page of feature ${feature} of layer ${layer} would have ${stop - start} bytes`);
  }
  return { filename: entry.filename, start, stop };
}

/** The page in the bytes that the index names. Throws `BadFileError` when they are damaged. */
export function parsePageChunk(chunk: Uint8Array, feature: number, name: string): FeaturePage {
  return parsePage(parseChunk(chunk, feature, name), name);
}

/** The document in the bytes that an index names. Throws `BadFileError` when they are damaged. */
export function parseChunk(chunk: Uint8Array, feature: number, name: string): unknown {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const length = chunk.length < LENGTH_BYTES ? Infinity : view.getUint32(0, true);
  if (length > chunk.length - LENGTH_BYTES)
    throw damaged(name, `the page of feature ${feature} is cut short`);
  const packed = chunk.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
  return unpack(packed, LARGEST_PAGE_BYTES, name);
}

/** A page that is parsed JSON already. */
export function parsePage(document: unknown, name: string): FeaturePage {
  return checked(Page, document, name);
}

function unpack(packed: Uint8Array, largestBytes: number, name: string): unknown {
  let text: string;
  try {
    text = gunzipSync(packed, { maxOutputLength: largestBytes }).toString('utf8');
  } catch (cause) {
    const isNotGzip = damaged(name, `it is no gzipped JSON (${(cause as Error).message})`);
    throw bytesInstead(name, packed, 'gzipped JSON') ?? isNotGzip;
  }
  return parseJson(name, text, v.unknown());
}

function checked<S extends v.GenericSchema>(schema: S, document: unknown, name: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, document);
  if (parsed.success) return parsed.output;
  throw damaged(name, parsed.issues[0].message);
}

function damaged(name: string, why: string): BadFileError {
  return new BadFileError({
    code: 'bad_feature_page',
    message: `${name}: ${why}`,
    hint: 'Fetch or build the feature pages again: these are damaged.',
  });
}
