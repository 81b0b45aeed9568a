/** Hub, step 1: a name as people type it (`gemma`, `owner/name//folder@revision`, `./folder`, `hf://…`) to what it means. */
import { existsSync } from 'node:fs';
import { isAbsolute, win32 } from 'node:path';
import { NotFoundError, UsageError } from '../errors.ts';
import { isSafePath } from '../formats/safe-path.ts';
import { nearest } from '../nearest.ts';
import { expandPath } from './environment.ts';
import { DATASETS } from './repo-file.ts';

export interface HubReference {
  readonly kind: 'hub';
  /** `owner/name`; of a dataset `datasets/owner/name`, as the Hub's addresses have it. */
  readonly repo: string;
  /** Folder inside the repository, without a slash at either end. */
  readonly subfolder?: string;
  /** Branch, tag, pull request (`refs/pr/3`) or commit. Absent: `main`. */
  readonly revision?: string;
}

export interface LocalReference {
  readonly kind: 'local';
  readonly path: string;
}

export interface PresetReference {
  readonly kind: 'preset';
  readonly name: string;
}

export type Reference = PresetReference | HubReference | LocalReference;

/** One file of a repository, as `hf://owner/name/path[@revision]` names it. */
export interface HubFileReference {
  readonly repo: string;
  readonly path: string;
  readonly revision?: string;
}

export interface ReferenceContext {
  /** Names (and aliases) that are presets. */
  readonly presets: readonly string[];
  /** Whether a path exists on this machine; replaceable so that parsing can be tested without a disk. */
  readonly exists?: (path: string) => boolean;
}

const GRAMMAR = 'owner/name, owner/name//subfolder or owner/name@revision';
const LONGEST_REPO_ID = 96; // the Hub's own limit
const OWNER_NAME_REST = /^([^/@]+)\/([^/@]+)(?:\/\/(.+?)(?:@([^@]*))?|@(.*))?$/s;
/** `owner/name/file.gguf`, as people write it. */
const GGUF_PATH = /^[^/@]+\/[^/@]+\/.+\.gguf(?:@.*)?$/is;
/** Revisions that hold slashes and yet stand before a path: `hf://owner/name@refs/pr/3/path`. */
const REVISION_BEFORE_PATH = /^(refs\/(?:convert\/[\w.-]+|pr\/\d+)|[^/]*)(?:\/(.*))?$/s;

/**
 * What a model or set name means: a preset, a repository on the Hub or a local folder, in this order.
 * Throws `NotFoundError` for a name that is none of them and `UsageError` for a malformed one.
 */
export function parseReference(text: string, context: ReferenceContext): Reference {
  if (text.trim() === '') throw malformed(text, 'the name is empty');
  if (context.presets.includes(text)) return { kind: 'preset', name: text };
  if (text.startsWith('hf://')) {
    const { repo, path, revision } = splitUri(text);
    return hubReference(text, repo, path, revision);
  }
  if (/^https?:\/\//.test(text)) throw malformed(text, 'an address is not a name');
  const exists = context.exists ?? existsSync;
  if (looksLocal(text) || exists(text)) return { kind: 'local', path: expandPath(text) };
  if (!text.includes('/')) throw unknownName(text, context.presets);
  const parts = OWNER_NAME_REST.exec(text);
  if (!parts && GGUF_PATH.test(text)) return parseReference(`hf://${text}`, context);
  if (!parts) throw malformed(text, 'it has too many slashes or an empty part');
  return hubReference(text, `${parts[1]}/${parts[2]}`, parts[3], parts[4] ?? parts[5]);
}

/** `hf://owner/name/path`, with the revision behind the path, behind the name, or as `?revision=`. */
export function parseHubUri(uri: string): HubFileReference {
  const { repo, path, revision } = splitUri(uri);
  const reference = hubReference(uri, repo, path, revision);
  if (!reference.subfolder) throw malformed(uri, 'it names no file');
  return {
    repo: reference.repo,
    path: reference.subfolder,
    ...(reference.revision !== undefined && { revision: reference.revision }),
  };
}

/** `hf://datasets/owner/name[@revision][/path]`. Throws `UsageError` for what is none. */
export function parseDatasetUri(uri: string): HubReference {
  if (!uri.startsWith(DATASET_URI)) throw malformed(uri, `it does not start with '${DATASET_URI}'`);
  const { repo, path, revision } = splitUri(`hf://${uri.slice(DATASET_URI.length)}`);
  const reference = hubReference(uri, repo, path, revision);
  return { ...reference, repo: `${DATASETS}${reference.repo}` };
}

/** How the address of a dataset, or of files of it, begins. */
export const DATASET_URI = 'hf://datasets/';

/** Whether a name is one of this machine's files by its form alone: `/models/mine`, `./mine`, `~/mine`, `C:\\mine`. */
export function looksLocal(text: string): boolean {
  return isAbsolute(text) || win32.isAbsolute(text) || /^(?:\.{1,2}|~)(?:[/\\]|$)/.test(text);
}

interface UriParts {
  readonly repo: string;
  readonly path: string | undefined;
  readonly revision: string | undefined;
}

function splitUri(uri: string): UriParts {
  if (!uri.startsWith('hf://')) throw malformed(uri, "it does not start with 'hf://'");
  const [location = '', query] = uri
    .slice('hf://'.length)
    .replace(/^models\/(?=[^/]+\/)/, '')
    .split('?', 2);
  if (/^(?:datasets|spaces|buckets|kernels)\//.test(location))
    throw malformed(uri, 'only models can be read');
  const [owner = '', rest = ''] = cut(location, '/');
  const at = rest.indexOf('@');
  const slash = rest.indexOf('/');
  const queried = query === undefined ? undefined : (new URLSearchParams(query).get('revision') ?? undefined);
  if (at >= 0 && (slash < 0 || at < slash)) {
    const [, revision = '', path] = REVISION_BEFORE_PATH.exec(rest.slice(at + 1)) ?? [];
    return { repo: `${owner}/${rest.slice(0, at)}`, path, revision: decode(uri, revision) };
  }
  const [name, pathAndRevision] = cut(rest, '/');
  const [path, revision] = pathAndRevision === undefined ? [undefined] : cut(pathAndRevision, '@', 'last');
  return { repo: `${owner}/${name}`, path, revision: revision ?? queried };
}

function cut(text: string, mark: string, which: 'first' | 'last' = 'first'): [string, string | undefined] {
  const place = which === 'first' ? text.indexOf(mark) : text.lastIndexOf(mark);
  return place < 0 ? [text, undefined] : [text.slice(0, place), text.slice(place + mark.length)];
}

function decode(uri: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed(uri, `'${text}' is not a valid percent encoding`);
  }
}

function hubReference(
  text: string,
  repo: string,
  folder: string | undefined,
  revision: string | undefined,
): HubReference {
  checkRepo(text, repo);
  const subfolder = folder?.replace(/\/+$/, '');
  if (subfolder && !isSafePath(subfolder))
    throw malformed(text, `'${subfolder}' is not a folder inside a repository`);
  if (revision !== undefined) checkRevision(text, revision);
  return { kind: 'hub', repo, ...(subfolder && { subfolder }), ...(revision !== undefined && { revision }) };
}

/** The Hub's rules for repository names. A name that follows them is also safe as the name of a folder of the cache. */
function checkRepo(text: string, repo: string): void {
  const parts = repo.split('/');
  const partIsFine = (part: string): boolean => /^\w(?:[\w.-]*\w)?$/.test(part);
  if (
    parts.length !== 2 ||
    !parts.every(partIsFine) ||
    /--|\.\.|\.git$/.test(repo) ||
    repo.length > LONGEST_REPO_ID
  ) {
    throw malformed(
      text,
      `'${repo}' is not a repository name (owner/name of letters, digits, '-', '_' and '.')`,
    );
  }
}

/** Git's rules for names of refs, as far as a wrong name could leave the cache or change an address. Throws `UsageError`. */
export function checkRevision(text: string, revision: string): void {
  const bad = /[\s~^:?*[\\]|\.\.|@\{|\/\/|^[/.-]|[/.]$|\.lock$/.test(revision);
  if (revision === '' || bad || !isSafePath(revision)) {
    throw malformed(text, `'${revision}' is not a branch, tag, pull request or commit`);
  }
}

function malformed(text: string, why: string): UsageError {
  const page = /^https?:\/\/[^/]+\/([^/]+\/[^/?#]+)/.exec(text)?.[1];
  return new UsageError({
    code: 'bad_reference',
    message: `'${text}' cannot be understood: ${why}`,
    hint: page
      ? `Write it as ${page}.`
      : `Write a preset's name, ${GRAMMAR}, or a folder that starts with / or ./`,
  });
}

function unknownName(text: string, presets: readonly string[]): NotFoundError {
  const guess = nearest(text, presets);
  return new NotFoundError({
    code: 'unknown_preset',
    message: `'${text}' is not a preset, and there is no such folder here`,
    hint: guess
      ? `Did you mean '${guess}'?`
      : `Presets: ${presets.join(', ')}. Otherwise write ${GRAMMAR}, or a folder that starts with / or ./`,
  });
}
