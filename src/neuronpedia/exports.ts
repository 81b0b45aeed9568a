/**
 * Neuronpedia's exports: a public bucket with a folder for each source, `v1/MODEL/SOURCE/`, and in it `features/`, `activations/`
 * and `explanations/` (more than one where several language models explained it) with `batch-N.jsonl.gz`. It is listed as S3
 * lists buckets (ListObjectsV2), without credentials.
 */
import { BadFileError } from '../errors.ts';
import { serverAddress } from '../hub/server-address.ts';
import type { NeuronpediaHttp, TryOptions } from './http.ts';
import { sourceOfLayer, type SourceTemplate } from './source-name.ts';

const EXPORTS_SITE = 'https://neuronpedia-datasets.s3.us-east-1.amazonaws.com';
/** Another address of the bucket, such as a mirror. */
export const EXPORTS_VARIABLE = 'NEURONPEDIA_EXPORTS_URL';
const PREFIX = 'v1';
/** A page of a listing has a thousand keys; a source has a few thousand files at most. */
const LARGEST_LISTING_BYTES = 8 * 2 ** 20;
const MOST_PAGES = 200;

export type ExportKind = 'features' | 'explanations' | 'activations';

export interface ExportFile {
  readonly kind: ExportKind;
  /** Below the folder of the source, such as `features/batch-0.jsonl.gz`. */
  readonly path: string;
  readonly bytes: number;
  /** Changes with the content. */
  readonly etag: string;
}

/** Where the exports are. Throws `UsageError` for a variable that holds no address. */
export function exportsAddress(env: NodeJS.ProcessEnv = process.env): string {
  const text = env[EXPORTS_VARIABLE] || EXPORTS_SITE;
  return serverAddress(text, EXPORTS_VARIABLE, `Unset it for ${EXPORTS_SITE}.`).baseUrl;
}

export function exportUrl(site: string, template: SourceTemplate, layer: number, path: string): string {
  return `${site}/${folderOf(template, layer)}${path}`;
}

/** The files of a source, features first, activations last, by the numbers of their batches. Empty where there are no exports. */
export async function listExport(
  http: NeuronpediaHttp,
  site: string,
  template: SourceTemplate,
  layer: number,
  options: TryOptions = {},
): Promise<ExportFile[]> {
  const prefix = folderOf(template, layer);
  const files: ExportFile[] = [];
  let token: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const query = new URLSearchParams({
      'list-type': '2',
      'encoding-type': 'url',
      prefix,
      ...(token !== undefined && { 'continuation-token': token }),
    });
    const url = `${site}/?${query.toString()}`;
    const body = await http.body({ url }, LARGEST_LISTING_BYTES, options);
    const listing = parseListing(body.toString('utf8'), http.describe({ url }));
    for (const { key, bytes, etag } of listing.entries) {
      const file = key.startsWith(prefix) ? fileOf(key.slice(prefix.length), bytes, etag) : null;
      if (file) files.push(file);
    }
    token = listing.next;
    if (token === undefined) return files.sort(byKind);
  }
  throw new BadFileError({
    code: 'bad_answer',
    message: `the listing of ${prefix} has no end`,
    hint: `Check that ${EXPORTS_VARIABLE} names a copy of Neuronpedia's exports.`,
  });
}

interface Listing {
  readonly entries: readonly { readonly key: string; readonly bytes: number; readonly etag: string }[];
  /** Asks for the next page. */
  readonly next: string | undefined;
}

/**
 * The part of ListBucketResult that is used: it is flat, keys are asked for in the form of addresses, and what has no known name is
 * left out. Throws `BadFileError` for another document.
 */
export function parseListing(text: string, name: string): Listing {
  if (!/<ListBucketResult[\s>]/.test(text)) {
    throw new BadFileError({
      code: 'bad_answer',
      message: `the answer to ${name} is no listing of a bucket`,
      hint: `It may come from a sign-in page of the network, or ${EXPORTS_VARIABLE} names another server.`,
    });
  }
  const entries = [...text.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)].flatMap(([, entry]) => {
    const key = decoded(field(entry!, 'Key'));
    const bytes = Number(field(entry!, 'Size'));
    const etag = /^(?:&quot;|")?([\w-]{1,80})(?:&quot;|")?$/.exec(field(entry!, 'ETag') ?? '')?.[1];
    return key === undefined || etag === undefined || !Number.isSafeInteger(bytes) || bytes < 0
      ? []
      : [{ key, bytes, etag }];
  });
  const isTruncated = field(text, 'IsTruncated') === 'true';
  return { entries, next: isTruncated ? unescaped(field(text, 'NextContinuationToken')) : undefined };
}

function field(text: string, tag: string): string | undefined {
  return new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(text)?.[1];
}

function decoded(key: string | undefined): string | undefined {
  try {
    return key === undefined ? undefined : decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return undefined; // no key that was asked for
  }
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescaped(text: string | undefined): string | undefined {
  return text?.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name]!);
}

const FILE = /^(features|activations|explanations)(?:-[\w.-]+)?\/batch-(\d{1,6})\.jsonl\.gz$/;

function fileOf(path: string, bytes: number, etag: string): ExportFile | null {
  const kind = FILE.exec(path)?.[1] as ExportKind | undefined;
  return kind === undefined ? null : { kind, path, bytes, etag };
}

const KINDS: readonly ExportKind[] = ['features', 'explanations', 'activations'];

function byKind(a: ExportFile, b: ExportFile): number {
  const [folderA, folderB] = [a.path, b.path].map((path) => path.slice(0, path.indexOf('/')));
  const [batchA, batchB] = [a.path, b.path].map((path) => Number(FILE.exec(path)![2]));
  return (
    KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) ||
    (folderA! < folderB! ? -1 : folderA! > folderB! ? 1 : 0) ||
    batchA! - batchB!
  );
}

function folderOf(template: SourceTemplate, layer: number): string {
  return `${PREFIX}/${template.model}/${sourceOfLayer(template, layer)}/`;
}
