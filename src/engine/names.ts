/** Engine, step 1: from the names that a request gives to the files that they stand for. */
import { NotFoundError, TracerError, UsageError } from '../errors.ts';
import {
  HubClient,
  locate,
  listPresets,
  readHubEnvironment,
  resolveFiles,
  type LocalFiles,
  type Located,
  type ResolveOptions,
} from '../hub/resolve.ts';
import {
  CONFIG_FILE,
  openCheckpoint,
  readConfig,
  weightFiles,
  type Checkpoint,
} from '../model/checkpoint.ts';
import type { TransformerConfig } from '../model/config.ts';
import { GENERATION_CONFIG_FILE } from '../model/end-tokens.ts';
import { lacks, type FileSet } from '../model/file-set.ts';
import { GGUF_SUFFIX, withGguf } from '../model/gguf-files.ts';
import { INDEX_FILE } from '../model/weights-file.ts';
import { CHAT_FILES } from '../tokenizer/chat-template.ts';
import type { SetDescription } from '../transcoder/description.ts';
import { NO_SET, NO_SET_DESCRIPTION } from '../transcoder/no-set.ts';
import { REQUEST_DEFAULTS, type CommonOptions } from './request.ts';
import type { FileResult } from './load/types.ts';
import { fileSet, holds, named, NO_FILES, type NamedFiles } from './named-files.ts';
import { describedSet, resolveSet } from './set-files.ts';

/** Model and set of a request, with their configurations read and no weight. */
export interface Subject {
  readonly model: NamedFiles & { readonly config: TransformerConfig };
  readonly transcoders: NamedFiles & { readonly config: SetDescription };
}

export interface ResolveSubjectOptions {
  /**
   * Files of the model to fetch, and with them those of the set. Left out, nothing is fetched: files that are not here are
   * opened over the network, header by header.
   */
  readonly fetch?: ReadonlySet<string>;
  readonly client: HubClient;
  /** The set as an earlier look at the same commits described it. */
  readonly described?: SetDescription;
}

const TOKENIZER_FILE = 'tokenizer.json';
const TOKENIZER_FILES = [TOKENIZER_FILE, 'tokenizer_config.json', 'special_tokens_map.json', ...CHAT_FILES];

/** Files of a model beside its weights and their index. */
const SMALL_FILES = [CONFIG_FILE, GENERATION_CONFIG_FILE, ...TOKENIZER_FILES];

/** Files that may belong to a model: which of them hold its weights is known once it is opened. */
function mayBelong(path: string): boolean {
  return (
    SMALL_FILES.includes(path) ||
    path === INDEX_FILE ||
    path.endsWith('.safetensors') ||
    path.endsWith(GGUF_SUFFIX)
  );
}

/** The files of a model that an opened checkpoint was read from, and those of its tokenizer. */
export function usedFiles({ listed }: NamedFiles, checkpoint: Checkpoint): FileResult[] {
  const used = new Set([...SMALL_FILES, checkpoint.index, ...weightFiles(checkpoint)]);
  return listed.filter(({ path }) => used.has(path));
}

/** The files of a model, with those that a GGUF file stands for. A file that was named is one, whatever its name. */
function modelFiles(local: LocalFiles, name?: string): FileSet {
  const isNamed = local.source.kind === 'local' && local.source.file !== undefined;
  const paths = local.files.map(({ path }) => path);
  return withGguf(
    fileSet(local, name),
    paths.filter((path) => isNamed || path.endsWith(GGUF_SUFFIX)),
  );
}

/** Whether files are a model that can be run: every header is there and right, and a tokenizer. */
async function holdsModel(cached: LocalFiles): Promise<boolean> {
  try {
    const files = modelFiles(cached);
    (await openCheckpoint(files))[Symbol.dispose]();
    return files.has(TOKENIZER_FILE);
  } catch (error) {
    if (error instanceof TracerError) return false;
    throw error;
  }
}

/**
 * Resolves the names of a request. Throws `UsageError` when a name is missing that cannot be guessed, and what the hub
 * room throws for unknown names.
 */
export async function resolveSubject(
  request: CommonOptions,
  options: ResolveSubjectOptions,
): Promise<Subject> {
  const hub = hubOptions(request, options.client, options.fetch === undefined);
  const openModel = async (name: string): Promise<Subject['model']> => {
    const located = locate('models', name, request.revision);
    const { fetch } = options;
    const wanted = fetch ? (path: string): boolean => fetch.has(path) : mayBelong;
    const local = await resolveFiles(located.reference, {
      ...hub,
      wanted,
      mayBeFile: true,
      isEnough: holdsModel,
    });
    const base = named(name, located, local);
    const files = modelFiles(local, base.files.name);
    return { ...base, files, config: await readConfig(files) };
  };
  // A named model is resolved first: for an unknown one, no set has to be derived.
  const names = request.transcoders !== undefined && request.transcoders !== NO_SET;
  const modelName = request.model ?? (names ? undefined : REQUEST_DEFAULTS.model);
  const first = modelName === undefined ? undefined : await openModel(modelName);
  if (first && request.transcoders === NO_SET)
    return { model: first, transcoders: { ...NO_FILES, config: NO_SET_DESCRIPTION } };

  const setName = request.transcoders ?? setNameFor(modelName!);
  const located = locate('transcoders', setName);
  const config = options.described ?? (await describedSet(setName, located, hub));
  const model = first ?? (await openModel(modelNameFor(located, config, setName)));
  const transcoders = await resolveSet(setName, located, config, hub);
  return { model, transcoders: { ...transcoders, config } };
}

/** The Hub as one request sees it: a branch is resolved to a commit once, for all its files and every look at them. */
export function hubClient({ cacheDir, offline, onProgress }: CommonOptions): HubClient {
  return new HubClient(readHubEnvironment({ cacheDir, ...(offline && { offline }) }), {
    onNotice: (message) => onProgress?.({ kind: 'warning', message }),
  });
}

function hubOptions(
  { signal, onProgress }: CommonOptions,
  client: HubClient,
  dryRun: boolean,
): ResolveOptions {
  return {
    signal,
    dryRun,
    client,
    onProgress: ({ file, bytesDone, bytesTotal, bytesPerSecond, secondsLeft }) =>
      onProgress?.({
        kind: 'progress',
        // A phase a file: off a terminal, each is announced in a line of its own.
        phase: `download ${file}`,
        message: `Fetching ${file}`,
        done: bytesDone,
        total: bytesTotal,
        unit: 'bytes',
        bytesPerSecond,
        ...(secondsLeft !== undefined && { secondsLeft }),
      }),
  };
}

/** The tokenizer's files of a model, fetched where only headers were looked at so far. */
export async function fetchTokenizer(
  request: CommonOptions,
  model: NamedFiles,
  client: HubClient,
): Promise<NamedFiles> {
  const isHere = model.listed.every(
    ({ path: file, status }) => !TOKENIZER_FILES.includes(file) || status !== 'missing',
  );
  if (isHere || model.files.gguf) return model;
  const located = locate('models', model.source.name, request.revision);
  const local = await resolveFiles(located.reference, {
    ...hubOptions(request, client, false),
    wanted: TOKENIZER_FILES,
    isEnough: (cached) => holds(cached, [TOKENIZER_FILE]),
  });
  return named(model.source.name, located, local);
}

/** The set that belongs to a model, when only the model was named. */
function setNameFor(modelName: string): string {
  const { preset, reference } = locate('models', modelName);
  const sets = listPresets('transcoders');
  const models = listPresets('models');
  const isSame = (name: string | undefined): boolean => {
    if (name === undefined) return false;
    if (preset) return name === preset.name;
    const other = models.find((one) => one.name === name)?.reference;
    return reference.kind === 'hub' && other?.kind === 'hub' && other.repo === reference.repo;
  };
  // The set that answers to the model's own name comes first; cross-layer sets have to be asked for.
  const candidates = sets.filter((set) => isSame(set.model));
  const best =
    candidates.find((set) => [set.name, ...set.aliases].includes(preset?.name ?? '')) ?? candidates[0];
  if (best) return best.name;
  throw new UsageError({
    code: 'no_transcoders',
    message: `no transcoder set is known for the model '${modelName}'`,
    hint: `Name one with --transcoders: a preset, a Hub repository, or the folder of a set; --transcoders ${NO_SET} is the model alone.`,
  });
}

/** The model that a set was made for, when only the set was named. */
function modelNameFor(set: Located, config: SetDescription, setName: string): string {
  if (set.preset?.model) return set.preset.model;
  if (config.model_name === '') {
    throw new UsageError({
      code: 'no_model',
      message: `the transcoder set '${setName}' does not say which model it was made for`,
      hint: 'Name the model with --model.',
    });
  }
  const known = listPresets('models').find(
    ({ name, reference }) =>
      name === config.model_name || (reference.kind === 'hub' && reference.repo === config.model_name),
  );
  return known?.name ?? checkedModelName(config.model_name, setName);
}

/** The name that a set gives its model, where it can be followed. Sets of other libraries have names of their own. */
function checkedModelName(name: string, setName: string): string {
  try {
    locate('models', name);
    return name;
  } catch (cause) {
    if (!(cause instanceof TracerError)) throw cause;
    throw new NotFoundError({
      code: 'no_model',
      message: `the transcoder set '${setName}' was made for '${name}', which is no preset, repository or folder`,
      hint: 'Name the model with --model.',
      cause,
    });
  }
}

/** Refuses a named file that the model folder lacks. */
export function requiredPath(model: NamedFiles, file: string): string {
  if (!lacks(model.files, file)) return model.path(file);
  throw new NotFoundError({
    code: 'file_not_found',
    message: `${model.files.name} has no ${file}`,
    hint: 'A model folder holds config.json, model.safetensors (or its shards and index) and tokenizer.json.',
  });
}
