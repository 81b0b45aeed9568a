/** Engine, verb `train`: the files of a corpus: of this machine, or of a dataset on the Hub, of which each is fetched when it is read. */
import { createHash } from 'node:crypto';
import { NotFoundError } from '../../errors.ts';
import {
  Corpus,
  type CorpusFormat,
  type CorpusPosition,
  type Document,
  type DocumentSource,
} from '../../features/corpus.ts';
import { DATASET_URI, parseDatasetUri, resolveFiles, type HubReference } from '../../hub/resolve.ts';
import { openCorpora } from '../evaluate/corpora.ts';
import { hubClient } from '../names.ts';
import type { TrainRequest } from './types.ts';

export interface TrainCorpora extends Disposable {
  readonly all: readonly DocumentSource[];
}

/** Files of datasets that are read. */
const DATASET_FILES = /\.(?:parquet|jsonl|ndjson|txt)$/i;

/**
 * What names of a corpus stand for: files of this machine, and `hf://datasets/owner/name[@revision][/path]`: the Parquet, JSON Lines and
 * text files of a folder, or the one that the path names. Throws what opening files and asking the Hub throw.
 */
export async function openTrainCorpora(
  request: TrainRequest,
  names: readonly string[],
  format: CorpusFormat,
): Promise<TrainCorpora> {
  const local = names.filter((name) => !name.startsWith(DATASET_URI));
  // Without any name it throws.
  const opened = local.length > 0 || names.length === 0 ? await openCorpora(local, format) : null;
  const corpora = [...(opened?.all ?? [])];
  const fetched: DatasetFile[] = [];
  const close = (): void => {
    opened?.[Symbol.dispose]();
    for (const file of fetched) file[Symbol.dispose]();
  };
  try {
    const all: DocumentSource[] = [];
    for (const name of names) {
      if (!name.startsWith(DATASET_URI)) {
        all.push(corpora.shift()!);
        continue;
      }
      for (const file of await datasetFiles(request, name, format)) {
        fetched.push(file);
        all.push(file);
      }
    }
    return { all, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Of the commit that the name stands for now; nothing is fetched yet. */
async function datasetFiles(
  request: TrainRequest,
  name: string,
  format: CorpusFormat,
): Promise<DatasetFile[]> {
  const client = hubClient(request);
  const { signal, onProgress } = request;
  const { subfolder = '', ...reference } = parseDatasetUri(name);
  const isFile = DATASET_FILES.test(subfolder);
  const prefix = subfolder === '' ? '' : `${subfolder}/`;
  const found = await resolveFiles(reference, {
    wanted: (path) => (isFile ? path === subfolder : path.startsWith(prefix) && DATASET_FILES.test(path)),
    dryRun: true,
    client,
    signal,
  });
  const { source } = found;
  const files = found.files.filter(({ bytes }) => bytes > 0);
  if (files.length === 0 || source.kind !== 'hub') {
    throw new NotFoundError({
      code: 'no_dataset_files',
      message: `${name} has no Parquet, JSON Lines or text file`,
      hint: 'Name a folder or file of the dataset: hf://datasets/owner/name/path. Its refs/convert/parquet revision has Parquet files.',
    });
  }
  if (!found.isComplete) {
    const message = `${name}: the Hub was not asked; the ${files.length} files in the cache are taken for all`;
    onProgress?.({ kind: 'warning', message });
  }
  const pinned: HubReference = { ...reference, revision: source.commit };
  return files.map(({ path, bytes }) => {
    const fetch = async (): Promise<string> => {
      const one = await resolveFiles(pinned, { wanted: (other) => other === path, client, signal });
      return one.path(path);
    };
    return new DatasetFile({ name: `${source.repo}@${source.commit}/${path}`, bytes, fetch, format });
  });
}

interface DatasetFileOptions {
  /** Repository, commit and path. */
  readonly name: string;
  readonly bytes: number;
  /** Gives the file's place on this disk. */
  readonly fetch: () => Promise<string>;
  readonly format: CorpusFormat;
}

/** A file that is fetched when its first document is read. Dispose it. */
class DatasetFile implements DocumentSource, Disposable {
  readonly #options: DatasetFileOptions;
  #path: Promise<string> | undefined;
  readonly #open = new Set<Corpus>();

  constructor(options: DatasetFileOptions) {
    this.#options = options;
  }

  /** A commit never changes, so that its bytes need not be there. */
  fingerprint(): Promise<string> {
    const { name, bytes } = this.#options;
    return Promise.resolve(createHash('sha256').update(`${name}\n${bytes}\n`).digest('hex'));
  }

  async *documents(from: CorpusPosition): AsyncGenerator<Document, void, undefined> {
    this.#path ??= this.#options.fetch();
    const path = await this.#path.catch((error: unknown) => {
      this.#path = undefined; // the next reader tries again
      throw error;
    });
    // Closed behind its last document: a dataset may have more files than a process may open.
    using corpus = await Corpus.open(path, this.#options.format);
    this.#open.add(corpus);
    yield* corpus.documents(from);
    this.#open.delete(corpus);
  }

  /** Also closes what a reader left before its end. */
  [Symbol.dispose](): void {
    for (const corpus of this.#open) corpus[Symbol.dispose]();
    this.#open.clear();
  }
}
