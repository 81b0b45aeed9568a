/**
 * Engine: the manifest of a list of prompts, one JSON object a line: what a prompt's graph was made from, its files, and the other
 * columns of the list. Lines are only ever appended, and every part of a list has a file of its own, so that processes on several
 * machines need no lock between them.
 */
import { createHash } from 'node:crypto';
import { open, readdir, readFile, stat, truncate, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { anyJsonObject, jsonObject } from '../../formats/json-object.ts';
import { parseJson } from '../../formats/json.ts';
import { openingError, writingError } from '../../formats/system-errors.ts';
import type { GraphScores } from '../../graph/scores.ts';
import { shownShard, type Shard } from '../shard.ts';
import type { PromptMetadata } from './prompt-list.ts';

const MANIFEST = /^manifest(?:-\d+-of-\d+)?\.jsonl$/;

/** Whether a file of that name is the manifest of a list of prompts, or of a part of one. */
export function isManifest(name: string): boolean {
  return MANIFEST.test(name);
}

const LINE_FEED = 0x0a;

export interface ManifestFile {
  /** Beside the manifest, or as it was named. */
  readonly path: string;
  readonly bytes: number;
}

export interface ManifestEntry {
  readonly slug: string;
  /** Of the list. */
  readonly line: number;
  readonly prompt: string;
  readonly metadata: PromptMetadata;
  /** Digest of everything that the graph follows from. */
  readonly origin: string;
  readonly n_tokens: number;
  /** What pruning left. */
  readonly n_nodes?: number;
  /** Name under which feature pages are looked up. */
  readonly scan?: string;
  readonly scores: GraphScores;
  readonly files: readonly ManifestFile[];
}

const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const EntrySchema = jsonObject({
  slug: v.string(),
  line: whole,
  prompt: v.string(),
  metadata: anyJsonObject<PromptMetadata>(),
  origin: v.string(),
  n_tokens: whole,
  n_nodes: v.exactOptional(whole),
  scan: v.exactOptional(v.string()),
  scores: jsonObject({ replacement: v.number(), completeness: v.number() }),
  files: v.array(jsonObject({ path: v.string(), bytes: whole })),
});

/** Writes the manifest of one process. Dispose it with `await using`. */
export class Manifest implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;

  private constructor(file: string, handle: FileHandle) {
    this.path = file;
    this.#file = handle;
  }

  /** Opens or begins it. A line that a process did not finish writing is taken away. */
  static async open(folder: string, shard: Shard | undefined): Promise<Manifest> {
    const name = shard ? `manifest-${shownShard(shard).replace('/', '-of-')}.jsonl` : 'manifest.jsonl';
    const file = path.join(folder, name);
    try {
      const handle = await open(file, 'a');
      const bytes = await readFile(file);
      const kept = bytes.lastIndexOf(LINE_FEED) + 1;
      if (kept < bytes.length) await truncate(file, kept);
      return new Manifest(file, handle);
    } catch (cause) {
      throw writingError(file, cause);
    }
  }

  async append(entry: ManifestEntry): Promise<void> {
    const folder = path.dirname(path.resolve(this.path));
    const files = entry.files.map((file) => ({
      ...file,
      path: path.relative(folder, path.resolve(file.path)),
    }));
    try {
      await this.#file.appendFile(`${JSON.stringify({ ...entry, files })}\n`);
    } catch (cause) {
      throw writingError(this.path, cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/**
 * The entries of all manifests of a folder by their slug, the last one of each, with the paths of its files from here. A last line
 * that is not finished is left out. Throws `BadFileError` for any other line that is no entry.
 */
export async function readManifests(folder: string): Promise<Map<string, ManifestEntry>> {
  const entries = new Map<string, ManifestEntry>();
  for (const name of (await namesIn(folder)).filter(isManifest).sort()) {
    const file = path.join(folder, name);
    const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
    for (const [i, text] of lines.entries()) {
      const entry = parseJson(`${file}, line ${i + 1}`, text, EntrySchema, i + 1);
      entries.set(entry.slug, {
        ...entry,
        files: entry.files.map(({ path: relative, bytes }) => ({ path: path.join(folder, relative), bytes })),
      });
    }
  }
  return entries;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    throw openingError(folder, cause);
  }
}

/** Whether all files of an entry are there with their sizes. */
export async function hasItsFiles({ files }: ManifestEntry): Promise<boolean> {
  const sizes = await Promise.all(
    files.map(async (file) => {
      const found = await stat(file.path).catch(() => undefined);
      return found?.isFile() === true && found.size === file.bytes;
    }),
  );
  return sizes.every(Boolean);
}

/** Of everything that is equal where graphs are. */
export function originDigest(origin: object): string {
  return createHash('sha256').update(JSON.stringify(origin)).digest('hex');
}
