/** Engine, step 3: loads what was opened: the replacement model, its tokenizer and its backend. */
import { budgetFor } from '../backend/budget.ts';
import type { Arithmetic, Backend } from '../backend/backend.ts';
import { selectBackend, type SelectOptions } from '../backend/select.ts';
import { BadFileError } from '../errors.ts';
import { firstNonFinite } from '../formats/dtype.ts';
import { weightFiles } from '../model/checkpoint.ts';
import { numberOf } from '../model/parameters.ts';
import type { TransformerConfig } from '../model/config.ts';
import type { FileSet } from '../model/file-set.ts';
import { loadTransformer } from '../model/load.ts';
import { findNotFinite, notFinite } from '../model/not-finite.ts';
import { ReplacementModel } from '../replacement/replacement-model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { tensorsOf, type Located } from '../transcoder/sources/source.ts';
import type { OpenedSet } from '../transcoder/open.ts';
import type { SetDescription } from '../transcoder/description.ts';
import { loadSet } from '../transcoder/transcoder-set.ts';
import { scanOf } from './features/source.ts';
import type { Subject } from './names.ts';
import {
  openSubject,
  openTokenizer,
  promptRuleOf,
  type OpenedSubject,
  type SubjectOptions,
} from './opened-subject.ts';
import { REQUEST_DEFAULTS, weightsProgress, type CommonOptions, type EngineEvent } from './request.ts';
import { plainType } from './plain-type.ts';
import { PromptReader } from './prompt-reader.ts';
import type { OriginSource, WeightFiles } from './origin.ts';
import { Stopwatch } from './stopwatch.ts';

/** Below this size of the weights all tensors of a prompt are so small that handing them to other threads takes longer than computing them. */
const SMALL_BYTES = 64 * 2 ** 20;

/** What is known of a request before a weight is read. */
export interface Unloaded {
  readonly prompts: PromptReader;
  readonly config: TransformerConfig;
  readonly set: SetDescription;
  /** Of the model. */
  readonly files: FileSet;
}

/** What a request names, opened. Dispose it, or take it with `using`, also when it was loaded: then the session has taken it over. */
export interface PreparedSession extends Unloaded, OriginSource, Disposable {
  readonly stopwatch: Stopwatch;
  /** The names that results begin with. */
  readonly names: { readonly model: string; readonly transcoders: string };
  /** Opens the backend and reads the weights. Once. */
  load(): Promise<Session>;
}

export interface SessionOptions extends SubjectOptions {
  /** Reads the encoders now instead of when they are first used. */
  readonly preloadEncoders?: boolean;
  /** Leading positions that count as inactive, where a graph has recorded them; otherwise as the model's family says. */
  readonly n_ignored?: number;
  /** Awaited before a backend is opened or a weight is read: for checks that need neither. */
  readonly check?: (opened: Unloaded) => unknown;
}

/** A loaded replacement model, for any number of verbs. Dispose it, or take it with `using`. */
export class Session implements Disposable {
  readonly backend: Backend;
  readonly replacement: ReplacementModel;
  readonly prompts: PromptReader;
  readonly stopwatch: Stopwatch;
  private readonly opened: OpenedSubject;

  constructor(
    backend: Backend,
    replacement: ReplacementModel,
    prompts: PromptReader,
    opened: OpenedSubject,
    watch: Stopwatch,
  ) {
    this.backend = backend;
    this.replacement = replacement;
    this.prompts = prompts;
    this.opened = opened;
    this.stopwatch = watch;
  }

  get tokenizer(): Tokenizer {
    return this.prompts.tokenizer;
  }

  get subject(): Subject {
    return this.opened.subject;
  }

  get dtype(): Arithmetic {
    return this.backend.arithmetic;
  }

  /** The part of a result that names the model and the set, and how it was computed. */
  get description() {
    const { subject, backend, prompts } = this;
    return {
      ...namesOf(subject),
      backend: backend.name,
      device: backend.device,
      dtype: backend.arithmetic,
      ...(prompts.bos !== 'auto' && { bos: prompts.bos }),
    };
  }

  /** Parameters of the model and of its set. */
  get nParameters(): number {
    const { checkpoint, set } = this.opened;
    const shapes = [
      ...checkpoint.weights.map(({ shape }) => shape),
      ...setTensors(set).map(({ info }) => info.shape),
    ];
    return shapes.reduce((sum, shape) => sum + numberOf(shape), 0);
  }

  /** The files that the weights are read from, inside their folders or repositories. */
  get weightFiles(): WeightFiles {
    return weightFilesOf(this.opened);
  }

  /** Types that the matrices are stored in, in plain words, the model's first. */
  get storageTypes(): string[] {
    const { checkpoint, set } = this.opened;
    return [...new Set([...checkpoint.weights, ...setTensors(set)].map(({ info }) => plainType(info.dtype)))];
  }

  /** Name under which feature pages are looked up: the set's own `scan`, else the name it was loaded by. */
  get scan(): string {
    return scanOf(this.opened.subject.transcoders);
  }

  /** Throws `BadFileError` naming the parameter when numbers of a result are not finite. */
  async checkFinite(values: Float32Array, what: string): Promise<void> {
    if (firstNonFinite(values) < 0) return;
    const { checkpoint, set } = this.opened;
    const bad = await findNotFinite(
      checkpoint.file,
      // What is unpacked here has no other numbers than finite ones.
      checkpoint.weights.filter(({ place }) => !place.packing).map((weight) => weight.key),
    );
    if (bad !== undefined) throw notFinite(checkpoint.file.name, bad);
    for (const { file, info } of setTensors(set)) {
      const name = await findNotFinite(file, [info.name]);
      if (name !== undefined) throw notFinite(file.name, name);
    }
    throw new BadFileError({
      code: 'overflow',
      message: `${what} are not finite although all weights of ${checkpoint.file.name} are: the pass overflowed float32`,
      hint: 'Do config.json and the weights belong together?',
    });
  }

  [Symbol.dispose](): void {
    this.replacement[Symbol.dispose]();
    this.opened[Symbol.dispose]();
  }
}

function setTensors(set: OpenedSet): Located[] {
  return set.layers.flatMap(tensorsOf).map(([, located]) => located);
}

/** Resolves, opens and loads what a request names. Errors as `openSubject`, and errors of backends and of reading. */
export async function openSession(request: CommonOptions, options: SessionOptions = {}): Promise<Session> {
  using prepared = await prepareSession(request, options);
  return await prepared.load();
}

/** As `openSession`, up to where a backend is opened and weights are read. */
export async function prepareSession(
  request: CommonOptions,
  options: SessionOptions = {},
): Promise<PreparedSession> {
  const { signal } = request;
  const report = (event: EngineEvent): void => request.onProgress?.(event);
  const watch = new Stopwatch();
  const { mayLackSet = false } = options;
  const opened = await watch.time('resolve', () => openSubject(request, { mayLackSet }));
  try {
    const tokenizer = await watch.time('tokenizer', () => openTokenizer(opened.subject.model));
    if (tokenizer.foreignRules.length > 0) {
      const message = `@huggingface/tokenizers follows these rules of the tokenizer: ${tokenizer.foreignRules.join(', ')}`;
      report({ kind: 'note', message });
    }
    signal?.throwIfAborted();
    const { config, files } = opened.subject.model;
    const rule = promptRuleOf(opened.subject);
    const { n_ignored = rule.n_ignored } = options;
    const prompts = new PromptReader(tokenizer, { ...rule, n_ignored }, request.bos);
    const unloaded = { prompts, config, set: opened.set.config, files };
    await options.check?.(unloaded);
    let isTaken = false;
    return {
      ...unloaded,
      subject: opened.subject,
      names: namesOf(opened.subject),
      weightFiles: weightFilesOf(opened),
      scan: scanOf(opened.subject.transcoders),
      dtype: request.dtype ?? REQUEST_DEFAULTS.dtype,
      stopwatch: watch,
      async load() {
        const session = await load(request, options, opened, prompts, watch);
        isTaken = true;
        return session;
      },
      [Symbol.dispose]() {
        if (!isTaken) opened[Symbol.dispose]();
      },
    };
  } catch (error) {
    opened[Symbol.dispose]();
    throw error;
  }
}

async function load(
  request: CommonOptions,
  options: SessionOptions,
  opened: OpenedSubject,
  prompts: PromptReader,
  watch: Stopwatch,
): Promise<Session> {
  const { signal } = request;
  const report = (event: EngineEvent): void => request.onProgress?.(event);
  const weightBytes = bytesOfWeights(opened);
  const backend = await watch.time('backend', () =>
    openBackend(request, { weightBytes, isSmall: weightBytes < SMALL_BYTES }, report),
  );
  if (
    backend.arithmetic === 'bfloat16' &&
    opened.checkpoint.weights.every(({ info }) => info.dtype !== 'BF16')
  ) {
    const message = '--dtype bfloat16 changes nothing here: the weights are not stored in bfloat16';
    report({ kind: 'warning', message });
  }
  const budget = await budgetFor(backend, request, weightBytes);
  return await watch.time('load', async () => {
    const model = await loadTransformer(backend, opened.checkpoint, {
      budget,
      ...(signal && { signal }),
      onProgress: weightsProgress(request),
    });
    try {
      const set = await loadSet(backend, opened.set, {
        budget,
        preload: options.preloadEncoders ?? false,
        ...(signal && { signal }),
        onProgress: (done, total) =>
          report({
            kind: 'progress',
            phase: 'transcoders',
            message: 'Connecting the transcoders',
            done,
            total,
          }),
      });
      const replacement = new ReplacementModel(model, set, budget, prompts.rule);
      return new Session(backend, replacement, prompts, opened, watch);
    } catch (error) {
      model[Symbol.dispose]();
      throw error;
    }
  });
}

function namesOf({ model, transcoders }: Subject) {
  return { model: model.source.name, transcoders: transcoders.source.name };
}

function weightFilesOf({ checkpoint, set }: OpenedSubject): WeightFiles {
  return { model: weightFiles(checkpoint), transcoders: [...set.paths] };
}

/** Of the matrices that stay in memory where there is room: the model's, and the encoders and skips of the set. */
function bytesOfWeights({ checkpoint, set }: OpenedSubject): number {
  const ofSet = set.layers.flatMap(({ W_enc, W_skip }) => [W_enc, ...(W_skip ? [W_skip] : [])]);
  const ofModel = checkpoint.weights.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return ofSet.reduce((sum, { info }) => sum + info.byteLength, ofModel);
}

/** What a backend is opened for. */
export type BackendUse = { readonly weightBytes: number } & Pick<SelectOptions, 'isSmall'>;

/** The backend of a request; says which it is. */
export async function openBackend(
  request: CommonOptions,
  { weightBytes, isSmall = false }: BackendUse,
  report: (event: EngineEvent) => void,
): Promise<Backend> {
  const { maxDeviceMemoryBytes = Infinity } = request;
  const { backend, refused } = await selectBackend({
    device: request.device ?? REQUEST_DEFAULTS.device,
    arithmetic: request.dtype ?? REQUEST_DEFAULTS.dtype,
    weightBytes: Math.min(weightBytes, maxDeviceMemoryBytes),
    isSmall,
  });
  if (!backend.hasOwnMemory && maxDeviceMemoryBytes !== Infinity)
    report({
      kind: 'note',
      message: `--max-device-memory changes nothing: ${backend.device} has no memory of its own`,
    });
  const why = refused.map(({ device, reason }) => `${device}: ${reason}`).join('; ');
  report({
    kind: 'note',
    message: `Device ${backend.device} (${backend.version})${why ? `. Not taken: ${why}` : ''}`,
  });
  return backend;
}
