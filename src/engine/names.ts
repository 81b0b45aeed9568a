/** Engine, step 1: from the names that a request gives to the files that they stand for. */
import { NotFoundError, UsageError } from '../errors.ts';
import {
  HubClient,
  locate,
  listPresets,
  readHubEnvironment,
  resolveFiles,
  resolveUris,
  type LocalFile,
  type LocalFiles,
  type Located,
  type ResolveOptions,
} from '../hub/resolve.ts';
import { INDEX_FILE, lacks, readConfig, type FileSet } from '../model/checkpoint.ts';
import type { TransformerConfig } from '../model/config.ts';
import { GENERATION_CONFIG_FILE } from '../model/end-tokens.ts';
import { readSetConfig, SET_CONFIG_FILE, setFiles } from '../transcoder/open.ts';
import type { SetConfig } from '../transcoder/set-config.ts';
import { REQUEST_DEFAULTS, type CommonOptions } from './request.ts';
import type { FileResult } from './load/types.ts';
import type { SourceResult } from './result.ts';

/** A name, its source, and its files. */
export interface NamedFiles {
  readonly source: SourceResult;
  readonly files: FileSet;
  readonly listed: readonly FileResult[];
  /** Path of a file on the local disk. */
  readonly path: (name: string) => string;
}

/** Model and set of a request, with their configurations read and no weight. */
export interface Subject {
  readonly model: NamedFiles & { readonly config: TransformerConfig };
  readonly transcoders: NamedFiles & { readonly config: SetConfig };
}

export interface ResolveSubjectOptions {
  /** Fetch nothing: files that are not here are opened over the network, header by header. */
  readonly dryRun?: boolean;
  readonly client: HubClient;
}

const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'];

const MODEL_FILES = ['config.json', GENERATION_CONFIG_FILE, ...TOKENIZER_FILES, INDEX_FILE];

/** Files of a model that are used; `model*.safetensors` are its weights. */
function isModelFile(path: string): boolean {
  return MODEL_FILES.includes(path) || /^model[^/]*\.safetensors$/.test(path);
}

/**
* Resolves the names of a request. Throws `UsageError` when a name is missing that cannot be guessed, and what the hub
 * room throws for unknown names.
 */
export async function resolveSubject(
  request: CommonOptions,
  options: ResolveSubjectOptions,
): Promise<Subject> {
  const hub = hubOptions(request, options);
  const openModel = async (name: string): Promise<Subject['model']> => {
    const located = locate('models', name, request.revision);
    const local = await resolveFiles(located.reference, { ...hub, wanted: isModelFile });
    return { ...named(name, located, local), config: await readConfig(fileSet(local)) };
  };
  // A named model is resolved first: for an unknown one, no set has to be derived.
  const modelName = request.model ?? (request.transcoders === undefined ? REQUEST_DEFAULTS.model : undefined);
  const first = modelName === undefined ? undefined : await openModel(modelName);

  const setName = request.transcoders ?? setNameFor(modelName!);
  const located = locate('transcoders', setName);
  const setPart = await resolveFiles(located.reference, { ...hub, wanted: [SET_CONFIG_FILE] });
  const config = await readSetConfig(fileSet(setPart));
  const model = first ?? (await openModel(modelNameFor(located, config, setName)));
  const transcoders = await resolveSet(setName, located, config, model.config.n_layers, hub);
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
  { dryRun = false, client }: ResolveSubjectOptions,
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
  if (isHere) return model;
  const located = locate('models', model.source.name, request.revision);
  const local = await resolveFiles(located.reference, {
    ...hubOptions(request, { client }),
    wanted: TOKENIZER_FILES,
  });
  return named(model.source.name, located, local);
}

/** Weight files of a set: its own, or those of other repositories that it lists by `hf://` address. */
async function resolveSet(
  name: string,
  located: Located,
  config: SetConfig,
  n_layers: number,
  hub: ResolveOptions,
): Promise<NamedFiles> {
  const wanted = setFiles(config, n_layers);
  const addresses = wanted.filter(isAddress);
  const own = new Set([SET_CONFIG_FILE, ...wanted]);
  // A file for one layer more than the model has shows that the set was made for another one.
  const beyond = setFiles({ ...config, transcoders: null }, n_layers + 1);
  const local = await resolveFiles(located.reference, {
    ...hub,
    wanted: (path) => own.has(path) || (config.transcoders === null && beyond.includes(path)),
  });
  const base = named(name, located, local);
  if (addresses.length === 0) return base;
  const resolved = await resolveUris(addresses, hub);
  const byAddress = new Map(resolved.map((one) => [one.uri, one]));
  return {
    ...base,
    source: {
      ...base.source,
      linked: resolved.map(({ uri, source }) => ({
        file: uri,
        repository: source.repo,
        commit: source.commit,
      })),
    },
    listed: [...base.listed, ...resolved.map(({ uri, file }) => ({ ...listedFile(file), path: uri }))],
    files: {
      name: base.files.name,
      has: (path) => byAddress.has(path) || base.files.has(path),
      isComplete: local.isComplete,
      open: (path) => byAddress.get(path)?.open() ?? base.files.open(path),
    },
  };
}

function isAddress(path: string): boolean {
  return path.startsWith('hf://');
}

function named(name: string, { reference, preset }: Located, local: LocalFiles): NamedFiles {
  const { source } = local;
  return {
    source: {
      name,
      kind: preset ? 'preset' : source.kind === 'hub' ? 'hub' : 'folder',
      ...(source.kind === 'hub'
        ? {
            repository: source.repo,
            commit: source.commit,
            ...(source.subfolder !== undefined && { subfolder: source.subfolder }),
          }
        : { folder: source.path }),
    },
    files: fileSet(local, reference.kind === 'local' ? reference.path : undefined),
    listed: local.files.map(listedFile),
    path: (file) => local.path(file),
  };
}

function listedFile({ path, bytes, status }: LocalFile): FileResult {
  return { path, bytes, status };
}

function fileSet(local: LocalFiles, name?: string): FileSet {
  const paths = new Set(local.files.map((file) => file.path));
  const { source } = local;
  return {
    name: name ?? (source.kind === 'hub' ? `${source.repo}@${source.revision}` : source.path),
    has: (path) => paths.has(path),
    isComplete: local.isComplete,
    open: (path) => local.open(path),
  };
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
    hint: 'Name one with --transcoders: a preset, a Hub repository, or a folder with config.yaml.',
  });
}

/** The model that a set was made for, when only the set was named. */
function modelNameFor(set: Located, config: SetConfig, setName: string): string {
  if (set.preset?.model) return set.preset.model;
  if (config.model_name === '') {
    throw new UsageError({
      code: 'no_model',
      message: `the transcoder set '${setName}' does not say which model it was made for`,
      hint: 'Name the model with --model.',
    });
  }
  const known = listPresets('models').find(
    ({ reference }) => reference.kind === 'hub' && reference.repo === config.model_name,
  );
  return known?.name ?? config.model_name;
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
