/** Evaluation: what was summed up so far, written to disk and read back, so that an interrupted evaluation gives the same numbers. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { parseJson } from '../formats/json.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../formats/safetensors-writer.ts';
import { LayerSums, LayerTotals } from './layer-sums.ts';
import { CORPUS_START } from './windows.ts';

const FORMAT = 'tracer.evaluation';

/** Values that have to be equal for an evaluation to be resumed, with names for the error message. */
export type EvaluationIdentity = Readonly<Record<string, string>>;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Losses = jsonObject({ crossEntropy: v.number(), divergence: v.number() });

const Progress = jsonObject({
  /** First features are in place of MLPs, then, from the start of the corpus again, the means that are known then. */
  phase: v.picklist(['features', 'means', 'done']),
  place: jsonObject({
    file: count,
    place: jsonObject({ offset: count, line: count }),
    n_windows_of_document: count,
    n_documents: count,
    n_windows: count,
    n_tokens: count,
  }),
  n_predictions: count,
  original: v.number(),
  all: Losses,
  /** By layer. */
  alone: jsonRecord(v.string(), Losses),
  meansAll: v.number(),
  meansAlone: jsonRecord(v.string(), v.number()),
  layers: v.array(LayerTotals),
});

/** Sums over the corpus, in nats; losses are cross-entropies. */
export type EvaluationProgress = Omit<v.InferOutput<typeof Progress>, 'layers'>;

export interface EvaluationShape {
  readonly d_model: number;
  readonly layers: readonly { readonly layer: number; readonly d_transcoder: number }[];
}

export class EvaluationState {
  /** The file; null: nothing is written. */
  readonly path: string | null;
  readonly layers: readonly LayerSums[];
  progress: EvaluationProgress = {
    phase: 'features',
    place: CORPUS_START,
    n_predictions: 0,
    original: 0,
    all: { crossEntropy: 0, divergence: 0 },
    alone: {},
    meansAll: 0,
    meansAlone: {},
  };
  readonly #identity: EvaluationIdentity;

  constructor(path: string | null, shape: EvaluationShape, identity: EvaluationIdentity) {
    this.path = path;
    this.layers = shape.layers.map(
      ({ layer, d_transcoder }) => new LayerSums(layer, shape.d_model, d_transcoder),
    );
    this.#identity = identity;
  }

  /** Whether an evaluation was interrupted. */
  get exists(): boolean {
    return this.path !== null && existsSync(this.path);
  }

  /** Takes over what the file has. Throws `BadFileError` for a file that is damaged or of another evaluation. */
  async read(): Promise<void> {
    const path = this.path!;
    using file = await openSafetensors(path);
    checkIdentity(path, file.metadata, this.#identity);
    const { layers, ...progress } = parseJson(path, file.metadata['progress'] ?? '', Progress);
    for (const [i, sums] of this.layers.entries()) {
      for (const { name, data } of arraysOf(sums))
        await file.readInto(name, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      sums.totals = layers[i]!;
    }
    this.progress = progress;
  }

  /** Writes a checkpoint; not to be called while a batch is being added. */
  async save(): Promise<void> {
    if (this.path === null) return;
    const progress = { ...this.progress, layers: this.layers.map(({ totals }) => totals) };
    await writeSafetensors(
      this.path,
      this.layers.flatMap((sums) => arraysOf(sums)),
      { format: FORMAT, identity: JSON.stringify(this.#identity), progress: JSON.stringify(progress) },
    );
  }

  async remove(): Promise<void> {
    if (this.path !== null) await rm(this.path, { force: true });
  }
}

/** The arrays of a layer by the names they have on disk; reading goes into the same ones. */
function arraysOf({ layer, mean, rebuiltMean, wasActive }: LayerSums) {
  const named = { mean, rebuilt_mean: rebuiltMean, was_active: wasActive };
  return Object.entries(named).map(
    ([name, data]) =>
      ({
        name: `layer_${layer}.${name}`,
        dtype: data instanceof Uint8Array ? 'U8' : 'F64',
        shape: [data.length],
        data,
      }) satisfies TensorToWrite,
  );
}

function checkIdentity(
  path: string,
  metadata: Readonly<Record<string, string>>,
  expected: EvaluationIdentity,
): void {
  const hint = 'Give --state another file, or remove this one to begin anew.';
  if (metadata['format'] !== FORMAT) {
    throw new BadFileError({ code: 'bad_state', message: `${path} is not the state of an evaluation`, hint });
  }
  const found = parseJson(path, metadata['identity'] ?? '', jsonRecord(v.string(), v.string()));
  for (const [name, value] of Object.entries(expected)) {
    if (found[name] === value) continue;
    throw new BadFileError({
      code: 'other_evaluation',
      message: `${path} is of another evaluation: ${name} is ${found[name] ?? 'not known'}, expected ${value}`,
      hint,
    });
  }
}
