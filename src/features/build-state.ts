/**
 * Features, building: the state of a build, written to disk and read back. A checkpoint is one safetensors file that
 * appears complete or not at all, and the length that the spool had then; later records are dropped and computed again.
 */
import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { parseJson } from '../formats/json.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../formats/safetensors-writer.ts';
import type { ElementType, TensorFile } from '../formats/tensor-file.ts';
import type { CorpusPosition } from './corpus.ts';
import { LayerStatistics } from './layer-statistics.ts';
import { Spool } from './spool.ts';

/** In the output folder, until the pages are written. Hidden, so that it is not mistaken for a part of a set. */
export const STATE_FOLDER = '.build';
const STATE_FILE = 'state.safetensors';
const SPOOL_FILE = 'examples.spool';
const FORMAT = 'tracer.features-build';

/** Values that have to be equal for a build to be resumed, with names for the error message. */
export type BuildFingerprint = Readonly<Record<string, string>>;

/** Progress of a build. */
export interface BuildProgress {
  /** The document that is read next, or of which the first windows were read. */
  readonly place: CorpusPosition;
  /** Windows of that document that were read. */
  readonly n_windows_of_document: number;
  readonly n_documents: number;
  readonly n_windows: number;
  /** Tokens at which features could be active. */
  readonly n_tokens: number;
}

const START: BuildProgress = {
  place: { offset: 0, line: 0 },
  n_windows_of_document: 0,
  n_documents: 0,
  n_windows: 0,
  n_tokens: 0,
};

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Progress = jsonObject({
  place: jsonObject({ offset: count, line: count }),
  n_windows_of_document: count,
  n_documents: count,
  n_windows: count,
  n_tokens: count,
  spool_bytes: count,
});

export interface BuildShape {
  /** By layer: how many features it has. */
  readonly layers: readonly { readonly layer: number; readonly n_features: number }[];
  /** Strongest examples of each feature. */
  readonly n_examples: number;
}

/** Bytes of memory that a build holds beside model and set, whatever the length of the corpus. */
export function stateBytes({ layers, n_examples }: BuildShape): number {
  const n_features = layers.reduce((sum, layer) => sum + layer.n_features, 0);
  return n_features * LayerStatistics.bytesPerFeature(n_examples);
}

export class BuildState {
  readonly folder: string;
  readonly layers: readonly LayerStatistics[];
  readonly spool: Spool;
  progress: BuildProgress;
  readonly #fingerprint: BuildFingerprint;

  private constructor(
    folder: string,
    layers: readonly LayerStatistics[],
    spool: Spool,
    progress: BuildProgress,
    fingerprint: BuildFingerprint,
  ) {
    this.folder = folder;
    this.layers = layers;
    this.spool = spool;
    this.progress = progress;
    this.#fingerprint = fingerprint;
  }

  static async begin(folder: string, shape: BuildShape, fingerprint: BuildFingerprint): Promise<BuildState> {
    await rm(folder, { recursive: true, force: true });
    const spool = await Spool.open(join(folder, SPOOL_FILE), 0);
    return new BuildState(folder, emptyLayers(shape), spool, START, fingerprint);
  }

  /** Throws `BadFileError` for a state that is damaged or of another build. */
  static async resume(folder: string, shape: BuildShape, fingerprint: BuildFingerprint): Promise<BuildState> {
    const path = join(folder, STATE_FILE);
    using file = await openSafetensors(path);
    checkFingerprint(file, fingerprint);
    const { spool_bytes, ...progress } = parseJson(path, file.metadata['progress'] ?? '', Progress);
    const layers = emptyLayers(shape);
    for (const statistics of layers) {
      for (const { name, data } of arraysOf(statistics)) {
        await file.readInto(name, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      }
    }
    const spool = await Spool.open(join(folder, SPOOL_FILE), spool_bytes);
    return new BuildState(folder, layers, spool, progress, fingerprint);
  }

  /** The file exists when there is a build to resume. */
  static stateFile(folder: string): string {
    return join(folder, STATE_FILE);
  }

  /** Writes a checkpoint. Not to be called while a window is being added. */
  async save(): Promise<void> {
    await this.spool.sync();
    const progress = JSON.stringify({ ...this.progress, spool_bytes: this.spool.length });
    await writeSafetensors(
      join(this.folder, STATE_FILE),
      this.layers.flatMap((statistics) => arraysOf(statistics)),
      { format: FORMAT, fingerprint: JSON.stringify(this.#fingerprint), progress },
    );
  }

  async close(): Promise<void> {
    await this.spool.close();
  }

  /** Removes the state once the pages are written. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function emptyLayers({ layers, n_examples }: BuildShape): LayerStatistics[] {
  return layers.map(({ layer, n_features }) => new LayerStatistics(layer, n_features, n_examples));
}

/** The arrays of a layer by the names they have on disk; reading goes into the same ones. */
function arraysOf(statistics: LayerStatistics): (TensorToWrite & { data: NumberArray })[] {
  const { layer, counts, smallest, largest, histograms, strongest, sample } = statistics;
  const named: Record<string, NumberArray> = {
    counts,
    smallest,
    largest,
    histogram: histograms.counts,
    exponents: histograms.exponents,
    strongest_sizes: strongest.sizes,
    strongest: strongest.strengths,
    strongest_places: strongest.offsets,
    sample_sizes: sample.sizes,
    sample_ranks: sample.ranks,
    sample: sample.strengths,
    sample_places: sample.offsets,
  };
  return Object.entries(named).map(([name, data]) => ({
    name: `layer_${layer}.${name}`,
    dtype: storageType(data),
    shape: [data.length],
    data,
  }));
}

type NumberArray = Float64Array | Float32Array | Uint32Array | Int32Array;

function storageType(array: NumberArray): ElementType {
  if (array instanceof Float64Array) return 'F64';
  if (array instanceof Float32Array) return 'F32';
  return array instanceof Uint32Array ? 'U32' : 'I32';
}

function checkFingerprint(file: TensorFile, expected: BuildFingerprint): void {
  const refuse = (code: string, message: string, hint: string): never => {
    throw new BadFileError({ code, message, hint });
  };
  if (file.metadata['format'] !== FORMAT) {
    refuse(
      'bad_build_state',
      `${file.name} is not the state of a feature page build`,
      'Give --output another folder.',
    );
  }
  const found = parseJson(file.name, file.metadata['fingerprint'] ?? '', jsonRecord(v.string(), v.string()));
  for (const [name, value] of Object.entries(expected)) {
    if (found[name] === value) continue;
    refuse(
      'other_build',
      `${file.name} is of another build: ${name} is ${found[name] ?? 'not known'}, expected ${value}`,
      'Repeat the command that was interrupted, or remove that folder to begin anew.',
    );
  }
}
