/** Viewer: parses and checks bodies and numbers of requests. */
import type { Context } from 'hono';
import * as v from 'valibot';
import { BadFileError, UsageError } from '../errors.ts';
import { strictJsonObject } from '../formats/json-object.ts';
import { parseJson } from '../formats/json.ts';
import type { Schema } from '../formats/parsed-text.ts';
import { PRUNE_DEFAULTS } from '../graph/prune.ts';
import { isFileName } from '../graph/slug.ts';
import type { JobRequest } from './api.ts';
import { RefusedError } from './http-errors.ts';

/** Enough for annotations of thousands of pinned nodes. */
export const LARGEST_BODY_BYTES = 2 ** 20;

const MOST_CHANGES = 10_000;
const LONGEST_SLUG = 100;
const LONGEST_NODE_ID = 100;

/** Name of the body in error messages. */
const BODY = 'the body';

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const NodeId = v.pipe(v.string(), v.maxLength(LONGEST_NODE_ID));
const NewSlug = v.pipe(
  v.string(),
  v.maxLength(LONGEST_SLUG),
  v.check(isFileName, 'letters, digits, "_", "." and "-" are expected, none of the dots in front'),
);

export const JobSchema: Schema<JobRequest> = v.variant('kind', [
  strictJsonObject({
    kind: v.literal('trace'),
    prompt: v.string(),
    slug: v.exactOptional(NewSlug),
    chat: v.exactOptional(v.boolean()),
    system: v.exactOptional(v.string()),
  }),
  strictJsonObject({
    kind: v.literal('steer'),
    slug: v.string(),
    changes: v.pipe(
      v.array(
        strictJsonObject({
          layer: Count,
          position: Count,
          feature: Count,
          factor: v.pipe(v.number(), v.finite()),
        }),
      ),
      v.minLength(1),
      v.maxLength(MOST_CHANGES),
    ),
    freeze_attention: v.exactOptional(v.boolean()),
  }),
  strictJsonObject({
    kind: v.literal('ablate'),
    slug: v.string(),
    source: NodeId,
    target: NodeId,
  }),
  strictJsonObject({
    kind: v.literal('attention'),
    slug: v.string(),
    question: v.variant('about', [
      strictJsonObject({ about: v.literal('link'), source: NodeId, target: NodeId }),
      strictJsonObject({ about: v.literal('node'), node: NodeId }),
      strictJsonObject({
        about: v.literal('head'),
        layer: Count,
        head: Count,
        query: Count,
        key: v.exactOptional(Count),
        against: v.exactOptional(v.union([v.picklist(['mean', 'pattern']), Count])),
      }),
      strictJsonObject({ about: v.literal('heads') }),
    ]),
  }),
  strictJsonObject({
    kind: v.literal('remove_head'),
    slug: v.string(),
    layer: Count,
    head: Count,
    query: Count,
    key: v.exactOptional(Count),
  }),
  strictJsonObject({
    kind: v.literal('contrast'),
    study: v.string(),
    by: v.string(),
    a: v.string(),
    b: v.string(),
  }),
]);

export const PinnedSchema = strictJsonObject({ pinnedIds: v.array(NodeId) });
export const LabelSchema = strictJsonObject({ text: v.string() });

/** The body of a request. Throws for what is not JSON, and `UsageError` naming the field that does not fit. */
export async function readBody<T>(context: Context, schema: Schema<T>): Promise<T> {
  const type = context.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new RefusedError(415, {
      code: 'not_json',
      message: `the content type of the body is ${JSON.stringify(type ?? 'missing')}; application/json is expected`,
    });
  }
  const bytes = await context.req.arrayBuffer();
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return parseJson(BODY, text, schema);
  } catch (error) {
    if (error instanceof BadFileError) throw badBody(error.code, error.message, error);
    throw badBody('not_utf8', 'the body is not valid UTF-8', error);
  }
}

function badBody(code: string, message: string, cause: unknown): UsageError {
  return new UsageError({ code, message, hint: 'src/viewer/api.ts describes what is expected.', cause });
}

/** A whole number from 0 in an address. */
export function readCount(name: string, text: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new UsageError({
    code: 'bad_value',
    message: `${name}: expected a whole number from 0, found ${JSON.stringify(text)}`,
  });
}

export function readThresholds(context: Context): { nodeThreshold: number; edgeThreshold: number } {
  return {
    nodeThreshold: readShare(context, 'node_threshold', PRUNE_DEFAULTS.nodeThreshold),
    edgeThreshold: readShare(context, 'edge_threshold', PRUNE_DEFAULTS.edgeThreshold),
  };
}

function readShare(context: Context, name: string, missing: number): number {
  const text = context.req.query(name);
  if (text === undefined) return missing;
  const value = /^[\d.]+(?:e-?\d+)?$/i.test(text) ? Number(text) : NaN;
  if (value >= 0 && value <= 1) return value;
  throw new UsageError({
    code: 'threshold_range',
    message: `${name}: expected a number from 0 to 1, found ${JSON.stringify(text)}`,
  });
}
