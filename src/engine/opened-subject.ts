/** Engine, step 2: opens the headers of what a request names, and the tokenizer. No weight is read. */
import path from 'node:path';
import { UsageError } from '../errors.ts';
import type { HubClient } from '../hub/resolve.ts';
import { openCheckpoint, type Checkpoint } from '../model/checkpoint.ts';
import { USUAL_PROMPT, type PromptRule } from '../tokenizer/bos.ts';
import { loadTokenizer, type MadeFile } from '../tokenizer/load.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { NO_SET } from '../transcoder/no-set.ts';
import { openSet, type OpenedSet } from '../transcoder/open.ts';
import { fetchTokenizer, hubClient, requiredPath, resolveSubject, usedFiles, type Subject } from './names.ts';
import type { NamedFiles } from './named-files.ts';
import type { CommonOptions } from './request.ts';

/** Headers of a model and its set, checked against each other; no weight was read. */
export interface OpenedSubject extends Disposable {
  /** Of the model's files, those that the checkpoint and its tokenizer consist of are listed. */
  readonly subject: Subject;
  readonly checkpoint: Checkpoint;
  readonly set: OpenedSet;
}

/** Throws `UsageError` for `--transcoders none`. */
export function requireSet({ transcoders }: CommonOptions): void {
  if (transcoders !== NO_SET) return;
  throw new UsageError({
    code: 'no_transcoders',
    message: `--transcoders ${NO_SET} is the model alone, without features, which this needs`,
    hint: 'Name a set: a preset, a Hub repository, or the folder of a set.',
  });
}

/** The tokenizer of the model that a request names; nothing else of the model is fetched. */
export async function tokenizerOfModel(request: CommonOptions): Promise<Tokenizer> {
  const client = hubClient(request);
  const { model } = await resolveSubject({ ...request, transcoders: NO_SET }, { client });
  return await openTokenizer(await fetchTokenizer(request, model, client));
}

export interface SubjectOptions {
  /** Works also on a model alone, `--transcoders none`. */
  readonly mayLackSet?: boolean;
}

/**
 * Opens the headers of what a request names. Throws for every error that can be found before a weight is read: files that do
 * not fit together are refused by their headers, read over the network, before anything large is downloaded.
 */
export async function openSubject(
  request: CommonOptions,
  options: SubjectOptions & { readonly dryRun?: boolean; readonly client?: HubClient } = {},
): Promise<OpenedSubject> {
  if (!options.mayLackSet) requireSet(request);
  const client = options.client ?? hubClient(request);
  const found = await openHeaders(await resolveSubject(request, { client }), request);
  if (options.dryRun || !isIncomplete(found.subject)) return found;
  found[Symbol.dispose]();
  const fetch = new Set(found.subject.model.listed.map(({ path }) => path));
  const described = found.subject.transcoders.config;
  return await openHeaders(await resolveSubject(request, { fetch, client, described }), request);
}

function isIncomplete({ model, transcoders }: Subject): boolean {
  return [...model.listed, ...transcoders.listed].some(
    ({ status }) => status === 'missing' || status === 'partial',
  );
}

async function openHeaders(subject: Subject, request: CommonOptions): Promise<OpenedSubject> {
  const checkpoint = await openCheckpoint(subject.model.files);
  try {
    const { files, config } = subject.transcoders;
    const set = await openSet(files, config, subject.model.config, request);
    return {
      subject: { ...subject, model: { ...subject.model, listed: usedFiles(subject.model, checkpoint) } },
      checkpoint,
      set,
      [Symbol.dispose]() {
        set[Symbol.dispose]();
        checkpoint[Symbol.dispose]();
      },
    };
  } catch (error) {
    checkpoint[Symbol.dispose]();
    throw error;
  }
}

/** What ends the name of a GGUF file: the type of its weights, `-Q4_K_M.gguf`. */
const GGUF_ENDING = /(?:[-.](?:I?Q\d\w*|B?F16|F32|MXFP4))?\.gguf$/i;

/** What the model's family says of prompts, by the names that the model goes by. */
export function promptRuleOf({ model, transcoders }: Subject): PromptRule {
  const { repository, folder, file } = model.source;
  const names = [
    ...(repository === undefined
      ? [transcoders.config.model_name, path.basename(folder ?? '')]
      : [repository]),
    ...(file === undefined ? [] : [file.replace(GGUF_ENDING, '')]),
  ];
  return model.config.family.promptRule?.(names) ?? USUAL_PROMPT;
}

/** The tokenizer of a model. */
export async function openTokenizer(model: NamedFiles): Promise<Tokenizer> {
  const { gguf } = model.files;
  if (gguf) {
    const [path] = gguf as [string];
    const isHere = model.listed.some((file) => file.path === path && file.status !== 'missing');
    const file = (name: string): MadeFile => ({
      name: `${model.files.name} (as ${name})`,
      madeFrom: isHere ? model.path(path) : undefined,
      open: () => model.files.open(name),
    });
    return await loadTokenizer({
      tokenizerJson: file('tokenizer.json'),
      tokenizerConfig: file('tokenizer_config.json'),
    });
  }
  const optionalPath = (file: string): string | undefined =>
    model.files.has(file) ? model.path(file) : undefined;
  return await loadTokenizer({
    tokenizerJson: requiredPath(model, 'tokenizer.json'),
    tokenizerConfig: optionalPath('tokenizer_config.json'),
    specialTokensMap: optionalPath('special_tokens_map.json'),
  });
}
