/**
 * Transcoder: the pages of features that a set brings along, as published sets do: `features/index.json.gz` says where in
 * which file each page lies; a page is its length in 4 bytes, little-endian, and gzipped JSON.
 */
import { gunzipSync } from 'node:zlib';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import type { ByteSource } from '../formats/byte-source.ts';
import type { FileSet } from '../model/checkpoint.ts';

export const FEATURE_FOLDER = 'features';
export const FEATURE_INDEX = `${FEATURE_FOLDER}/index.json.gz`;

const strings = v.array(v.string());
const Example = v.object({
  tokens: strings,
  /** Activation at each token. */
  tokens_acts_list: v.array(v.number()),
  /** The token that the example is about. */
  train_token_ind: v.optional(v.number(), 0),
});
/** A short description computed by rules, never written by a person. */
const Label = v.object({
  text: v.string(),
  /** Share of the activation that the description covers, on sentences that it was not made from. */
  share: v.number(),
  automatic: v.literal(true),
});
const Page = v.object({
  index: v.optional(v.number()),
  label: v.optional(v.nullable(Label), null),
  act_min: v.optional(v.number(), 0),
  act_max: v.optional(v.number(), 0),
  /** Share of tokens at which the feature is active. */
  activation_frequency: v.optional(v.number(), 0),
  histogram: v.optional(v.array(v.number()), () => []),
  top_logits: v.optional(strings, () => []),
  bottom_logits: v.optional(strings, () => []),
  examples_quantiles: v.optional(
    v.array(v.object({ quantile_name: v.string(), examples: v.array(Example) })),
    () => [],
  ),
});
const Index = v.record(v.string(), v.object({ filename: v.string(), offsets: v.array(v.number()) }));

/** All arrays are readonly for those who read a page. */
export type FeatureExample = Immutable<v.InferOutput<typeof Example>>;
export type FeatureLabel = Immutable<v.InferOutput<typeof Label>>;
export type FeaturePage = Immutable<v.InferOutput<typeof Page>>;
type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T;

/** The page of a feature; null when the set has none. Throws `BadFileError` when index or page are damaged. */
export async function readFeaturePage(
  files: FileSet,
  layer: number,
  feature: number,
): Promise<FeaturePage | null> {
  if (!files.has(FEATURE_INDEX)) return null;
  using indexSource = await files.open(FEATURE_INDEX);
  const index = unpack(Index, await readAll(indexSource), indexSource.name);
  const entry = index[String(layer)];
  const [start, stop] = [entry?.offsets[feature], entry?.offsets[feature + 1]];
  if (entry === undefined || start === undefined || stop === undefined) return null;
  using source = await files.open(`${FEATURE_FOLDER}/${entry.filename}`);
  const chunk = new Uint8Array(Math.max(0, stop - start));
  await source.read(start, chunk);
  const length = chunk.length < LENGTH_BYTES ? Infinity : new DataView(chunk.buffer).getUint32(0, true);
  if (length > chunk.length - LENGTH_BYTES) {
    throw damaged(source.name, `the page of feature ${feature} is cut short`);
  }
  return unpack(Page, chunk.subarray(LENGTH_BYTES, LENGTH_BYTES + length), source.name);
}

const LENGTH_BYTES = 4;

async function readAll(source: ByteSource): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.size);
  await source.read(0, bytes);
  return bytes;
}

function unpack<S extends v.GenericSchema>(schema: S, packed: Uint8Array, name: string): v.InferOutput<S> {
  let document: unknown;
  try {
    document = JSON.parse(gunzipSync(packed).toString('utf8'));
  } catch (cause) {
    throw damaged(name, `it is no gzipped JSON (${(cause as Error).message})`);
  }
  const parsed = v.safeParse(schema, document);
  if (parsed.success) return parsed.output;
  throw damaged(name, parsed.issues[0].message);
}

function damaged(name: string, why: string): BadFileError {
  return new BadFileError({
    code: 'bad_feature_page',
    message: `${name}: ${why}`,
    hint: 'Fetch the set again: its feature pages are damaged.',
  });
}
