/** Neuronpedia: published graphs: where one lies, its JSON, and the three steps that publish one. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import * as v from 'valibot';
import { BadFileError, NotFoundError, UsageError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import type { NeuronpediaHttp, TryOptions } from './http.ts';
import { askJson } from './json.ts';
import type { GraphName } from './link.ts';

/** Largest and smallest upload that the site takes, as it is sent: compressed. */
export const UPLOAD_BYTES = { most: 100 * 2 ** 20, least: 1024 } as const;
/** JSON of a graph. */
const LARGEST_GRAPH_BYTES = 128 * 2 ** 20;
/** The site fetches and checks the whole file before it answers. */
const SAVE_PATIENCE = 6;
/** Error of the site for a model that it does not have. */
const NO_MODEL = 'ERR_MODEL_DOES_NOT_EXIST';

const address = v.pipe(v.string(), v.url(), v.regex(/^https?:/i, 'an http address is expected'));
const Record = jsonObject({
  modelId: v.string(),
  slug: v.string(),
  /** Of the JSON. */
  url: address,
  sourceSetName: v.nullish(v.string(), null),
});
export type GraphRecord = v.InferOutput<typeof Record>;

const Signed = jsonObject({ url: address, putRequestId: v.pipe(v.string(), v.nonEmpty()) });
const Saved = jsonObject({ url: address });

/** What the site knows of a graph; null if it has none of this name. */
export async function graphRecord(
  http: NeuronpediaHttp,
  { model, slug }: GraphName,
  tries: TryOptions,
): Promise<GraphRecord | null> {
  const path = `/api/graph/${encodeURIComponent(model)}/${encodeURIComponent(slug)}`;
  try {
    return await askJson(http, path, Record, tries);
  } catch (error) {
    if (error instanceof NotFoundError && error.code === 'neuronpedia_not_found') return null;
    throw error;
  }
}

/** The JSON at the address that the site, or the user, gives. */
export async function graphText(http: NeuronpediaHttp, url: string, tries: TryOptions): Promise<string> {
  const body = await http.body({ url }, LARGEST_GRAPH_BYTES, tries);
  return body.toString('utf8');
}

/** What is sent for a text: compressed, as Neuronpedia's own client does. Throws `UsageError` for more than the site takes. */
export async function packGraph(
  text: string,
  most: number = UPLOAD_BYTES.most,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; encoding: 'gzip' | null }> {
  const packed = await promisify(gzip)(text);
  if (packed.length > most) {
    const mib = (packed.length / 2 ** 20).toFixed(1);
    throw new UsageError({
      code: 'graph_too_large',
      message: `the graph has ${mib} MiB compressed; Neuronpedia takes ${most / 2 ** 20}`,
      hint: 'Prune it further with --node-threshold and --edge-threshold.',
    });
  }
  if (packed.length >= UPLOAD_BYTES.least) return { bytes: new Uint8Array(packed), encoding: 'gzip' };
  // Too small a file is refused; JSON may end in spaces.
  return { bytes: new Uint8Array(Buffer.from(text.padEnd(UPLOAD_BYTES.least))), encoding: null };
}

export interface PublishSteps extends TryOptions {
  readonly onStep?: (step: 'sign' | 'send' | 'save' | 'confirm') => void;
}

/**
 * Publishes a packed graph under the names in its metadata, and answers the address of its page. Nothing is published before the
 * last step, and it is only called done when the site lists it.
 */
export async function publishGraph(
  http: NeuronpediaHttp,
  { model, slug }: GraphName,
  { bytes, encoding }: Awaited<ReturnType<typeof packGraph>>,
  { onStep, ...tries }: PublishSteps,
): Promise<{ readonly page: string; readonly json: string }> {
  onStep?.('sign');
  const signed = await askJson(http, '/api/graph/signed-put', Signed, {
    ...tries,
    send: { filename: `${slug}.json`, contentLength: bytes.length, contentType: 'application/json' },
  });
  onStep?.('send');
  const headers = {
    'content-type': 'application/json',
    ...(encoding !== null && { 'content-encoding': encoding }),
  };
  await http.body({ url: signed.url, method: 'PUT', headers, body: bytes }, LARGEST_GRAPH_BYTES, tries);
  onStep?.('save');
  const { url: page } = await askJson(http, '/api/graph/save-to-db', Saved, {
    ...tries,
    send: { putRequestId: signed.putRequestId },
    patience: SAVE_PATIENCE,
    refused: (status, reason) => (status === 400 ? saveRefusal(reason, { model, slug }) : undefined),
  });
  onStep?.('confirm');
  const record = await graphRecord(http, { model, slug }, tries);
  if (record !== null) return { page, json: record.url };
  throw new BadFileError({
    code: 'not_published',
    message: `${http.address.host} answered that it saved ${model}/${slug}, but does not list it`,
    hint: 'Open its page in a few minutes; if it is not there, start the same command again.',
  });
}

function saveRefusal(reason: string, { model, slug }: GraphName): Error | undefined {
  if (reason.includes(NO_MODEL)) {
    return new NotFoundError({
      code: 'model_not_on_neuronpedia',
      message: `Neuronpedia has no model '${model}'`,
      hint: 'Give --model-id NAME: the part of the address of its page, such as gemma-2-2b.',
    });
  }
  if (/another user/i.test(reason)) {
    return new UsageError({
      code: 'slug_taken',
      message: `${model} has a graph '${slug}' of another user: ${reason}`,
      hint: 'Give another name with --slug.',
    });
  }
  if (/invalid graph/i.test(reason)) {
    return new BadFileError({
      code: 'graph_refused',
      message: `Neuronpedia refuses the graph: ${reason}`,
      hint: 'Please report this with the command: the graph had passed the check against the published schema.',
    });
  }
  return undefined;
}
