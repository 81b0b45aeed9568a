/** Neuronpedia's rows of features, as its API answers them and its exports hold them, and the listing of the bucket with the exports. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

/** Small, so that listings come in pages. */
const KEYS_ON_A_PAGE = 3;

export const NP_MODEL = 'some-model';
/** As `--source` takes it. */
export const NP_SOURCE = `${NP_MODEL}/{layer}-some-transcoder`;

export const sourceAt = (layer: number): string => `${layer}-some-transcoder`;

interface StoredFile {
  readonly body: Buffer;
}

/** The answer of S3 to a listing (ListObjectsV2 with `encoding-type=url`) of files by their path. */
export function listing(stored: ReadonlyMap<string, StoredFile>, query: string): Buffer {
  const search = new URLSearchParams(query);
  const prefix = `/${search.get('prefix') ?? ''}`;
  const keys = [...stored.keys()].filter((path) => path.startsWith(prefix)).sort();
  const from = Number(search.get('continuation-token')?.replace('more&', '') ?? 0);
  const contents = keys.slice(from, from + KEYS_ON_A_PAGE).map((path) => {
    const { body } = stored.get(path)!;
    const etag = createHash('md5').update(body).digest('hex');
    const key = path.slice(1).split('/').map(encodeURIComponent).join('/');
    return `<Contents><Key>${key}</Key><LastModified>2025-06-01T00:00:00.000Z</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>${body.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
  });
  const isTruncated = from + KEYS_ON_A_PAGE < keys.length;
  const next = isTruncated
    ? `<NextContinuationToken>more&amp;${from + KEYS_ON_A_PAGE}</NextContinuationToken>`
    : '';
  return Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>neuronpedia-datasets</Name>${next}<IsTruncated>${isTruncated}</IsTruncated>${contents.join('')}</ListBucketResult>`,
  );
}

/** A row of `features/`. */
export function featureRowOf(layer: number, index: number): Record<string, unknown> {
  return {
    modelId: NP_MODEL,
    layer: sourceAt(layer),
    index: String(index),
    maxActApprox: 8 + index,
    creatorId: 'somebody',
    frac_nonzero: 0.0125,
    freq_hist_data_bar_heights: [40, 20, 10, 5],
    freq_hist_data_bar_values: [1, 3, 5, 7].map((share) => (share / 8) * (8 + index)),
    pos_str: ['\u2581Texas', ' Austin'],
    neg_str: [' no'],
    hasVector: false,
    vector: [],
  };
}

/** Rows of `activations/`: `n` texts, the strongest first. */
export function activationRowsOf(layer: number, index: number, n = 20): Record<string, unknown>[] {
  return Array.from({ length: n }, (_, i) => ({
    id: `act-${layer}-${index}-${i}`,
    modelId: NP_MODEL,
    layer: sourceAt(layer),
    index: String(index),
    tokens: ['<bos>', `\u2581word${i}`, ' of', ` text${index}`],
    values: [0, (8 + index) / (i + 1), 0.125, 0],
    maxValue: (8 + index) / (i + 1),
    maxValueTokenIndex: 1,
    minValue: 0,
    dfaValues: [],
    binMin: null,
    binMax: null,
    binContains: null,
  }));
}

/** A row of `explanations/`. */
export function explanationRowOf(layer: number, index: number): Record<string, unknown> {
  return {
    id: `exp-${layer}-${index}`,
    modelId: NP_MODEL,
    layer: sourceAt(layer),
    index: String(index),
    authorId: 'somebody',
    description: ` words of text ${index}\n`,
    embedding: '[0.1,0.2]',
    typeName: 'oai_token-act-pair',
    explanationModelName: 'gpt-4o-mini',
  };
}

/** The answer of `GET /api/feature/…`. */
export function wholeFeatureOf(layer: number, index: number, n = 20): Record<string, unknown> {
  const { id, description, typeName, explanationModelName } = explanationRowOf(layer, index);
  return {
    ...featureRowOf(layer, index),
    model: { id: NP_MODEL },
    source: { id: sourceAt(layer), saelensConfig: null },
    activations: activationRowsOf(layer, index, n),
    explanations: [{ id, description, typeName, explanationModelName, scores: [], triggeredByUser: null }],
  };
}

export function featurePath(layer: number, index: number): string {
  return `/api/feature/${NP_MODEL}/${sourceAt(layer)}/${index}`;
}

export function gzipLines(rows: readonly (object | string)[]): Buffer {
  const lines = rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`);
  return gzipSync(lines.join(''));
}

/** Files of the exports of a layer by their path, with the features in the order of texts, as the database sorts them. */
export function exportFilesOf(
  layer: number,
  features: readonly number[],
): Map<string, StoredFile & { readonly encoding: undefined }> {
  const sorted = [...features].sort((a, b) => (String(a) < String(b) ? -1 : 1));
  const folder = `/v1/${NP_MODEL}/${sourceAt(layer)}`;
  const half = Math.ceil(sorted.length / 2);
  const files = [sorted.slice(0, half), sorted.slice(half)].flatMap((some, batch) => [
    [`features/batch-${batch}`, some.map((index) => featureRowOf(layer, index))] as const,
    [`explanations/batch-${batch}`, some.map((index) => explanationRowOf(layer, index))] as const,
    [
      `activations/batch-${batch}`,
      some.flatMap((index) => activationRowsOf(layer, index).reverse()),
    ] as const,
  ]);
  return new Map([
    ...files.map(
      ([name, rows]) =>
        [`${folder}/${name}.jsonl.gz`, { body: gzipLines(rows), encoding: undefined }] as const,
    ),
    [`${folder}/model.jsonl`, { body: Buffer.from('{}\n'), encoding: undefined }],
  ]);
}
