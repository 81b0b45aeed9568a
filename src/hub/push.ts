/** Hub: a folder's files as one commit of a model repository, through `@huggingface/hub`. Large files that are there are not sent again. */
import { pathToFileURL } from 'node:url';
import { NetworkError, NotFoundError, TracerError } from '../errors.ts';
import { isJson, type HubClient } from './client.ts';
import type { Subject } from './refusal.ts';

export interface PushedFile {
  /** In the repository. */
  readonly path: string;
  /** On this machine. */
  readonly file: string;
  readonly bytes: number;
}

export interface PushOptions {
  readonly repo: string;
  readonly files: readonly PushedFile[];
  /** First line of the commit's message. */
  readonly title: string;
  readonly branch: string;
  /** Of a repository that is made; an existing one stays as it is. */
  readonly isPrivate: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

export interface Pushed {
  readonly commit: string;
  readonly url: string;
}

/** What the Hub answers when a repository that is to be made exists. */
const EXISTS = 409;
/** Statuses of an answer without a body; `Response` refuses one for them. */
const WITHOUT_BODY: readonly number[] = [204, 205, 304];

/**
 * Makes the repository where there is none, sends what it lacks, and commits. Interrupted, it is run again: what was sent is kept.
 * @throws NotFoundError without a token that may write; NetworkError offline, and as all requests
 */
export async function pushFiles(client: HubClient, options: PushOptions): Promise<Pushed> {
  const { repo, files, title, branch, isPrivate } = options;
  if (client.environment.offline) throw offline(repo);
  if (!client.environment.token()) throw withoutToken(repo);
  const { commitIter, createRepo } = await import('@huggingface/hub');
  const hubUrl = client.environment.endpoint;
  // Files are sent several at a time: when one cannot be, the others are given up.
  const given = new AbortController();
  const signal = AbortSignal.any([given.signal, ...(options.signal ? [options.signal] : [])]);
  // The token is added by `http.ts`, to requests of the Hub alone.
  const shared = { hubUrl, fetch: transport(client, { repo }, signal) };
  try {
    const visibility = isPrivate ? 'private' : 'public';
    await createRepo({ repo, ...shared, accessToken: '', visibility }).catch(unlessStatus(EXISTS));
    const events = commitIter({
      repo,
      branch,
      title,
      ...shared,
      operations: files.map(({ path, file }) => ({
        operation: 'addOrUpdate',
        path,
        content: pathToFileURL(file),
      })),
      abortSignal: signal,
    });
    const done = new Map<string, number>();
    const sizes = new Map(files.map(({ path, bytes }) => [path, bytes]));
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (;;) {
      const step = await events.next();
      signal.throwIfAborted();
      if (step.done) {
        if (!step.value) throw unexpected(repo, 'no commit');
        options.onProgress?.(total, total);
        return { commit: step.value.commit.oid, url: step.value.commit.url };
      }
      if (step.value.event !== 'fileProgress' || step.value.state !== 'uploading') continue;
      done.set(step.value.path, step.value.progress * (sizes.get(step.value.path) ?? 0));
      options.onProgress?.(
        [...done.values()].reduce((sum, bytes) => sum + bytes, 0),
        total,
      );
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    given.abort(error);
    throw explained(error, repo);
  }
}

/** The `fetch` that the package uses: retries, proxies, time limits and errors of `http.ts`. */
function transport(client: HubClient, subject: Subject, signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const url = typeof input === 'string' ? input : input instanceof URL ? input.href : input.url;
    const headers = new Headers(init?.headers);
    headers.delete('authorization');
    const {
      status,
      headers: answered,
      body,
    } = await client.http.fetchBody(
      {
        url,
        subject,
        method: (init?.method ?? 'GET') as 'GET' | 'POST' | 'PUT',
        headers: Object.fromEntries(headers),
        accept: [EXISTS],
        ...((typeof init?.body === 'string' || init?.body instanceof Blob) && { body: init.body }),
      },
      { signal },
    );
    const isOfHub = url.startsWith(client.environment.endpoint);
    if (isOfHub && !isJson(body)) throw unexpected(subject.repo, 'something other than JSON');
    const kept = new Headers(answered);
    // Length and encoding describe the body as it was sent; here it is decoded.
    for (const name of ['content-encoding', 'content-length']) kept.delete(name);
    const content = WITHOUT_BODY.includes(status) ? null : new Uint8Array(body);
    return Object.defineProperty(new Response(content, { status, headers: kept }), 'url', { value: url });
  };
}

function unlessStatus(status: number): (error: unknown) => undefined {
  return (error) => {
    if (statusOf(error) !== status) throw error;
  };
}

/** Of an error of the package. */
function statusOf(error: unknown): number | undefined {
  const status: unknown = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' ? status : undefined;
}

function explained(error: unknown, repo: string): unknown {
  if (error instanceof NotFoundError && (error.code === 'gated' || error.code === 'not_authorised'))
    return new NotFoundError({
      code: 'may_not_write',
      message: `the Hub lets this account not write into ${repo} (${error.message})`,
      hint: 'Give a token with write access to this owner in HF_TOKEN (https://huggingface.co/settings/tokens), and check the spelling of owner and name.',
      cause: error,
    });
  if (error instanceof TracerError || !(error instanceof Error)) return error;
  const status = statusOf(error);
  return status === undefined && !isAnswerFault(error)
    ? error
    : unexpected(repo, status === undefined ? error.message : `status ${status}: ${error.message}`, error);
}

/** Errors of the package for answers that it does not understand. */
function isAnswerFault(error: Error): boolean {
  return error.name === 'InvalidApiResponseFormatError' || /ETag|server response/.test(error.message);
}

function unexpected(repo: string, found: string, cause?: unknown): NetworkError {
  return new NetworkError({
    code: 'push_refused',
    message: `${repo} was not written: the Hub answered ${found}`,
    hint: 'Run the same command again: files that were sent are kept there and not sent again.',
    cause,
  });
}

function withoutToken(repo: string): NotFoundError {
  return new NotFoundError({
    code: 'no_token',
    message: `writing into ${repo} needs an access token, and none was found`,
    hint: 'Give a token with write access in HF_TOKEN or with `hf auth login`.',
  });
}

function offline(repo: string): NetworkError {
  return new NetworkError({
    code: 'offline',
    message: `${repo} is written over the network, which is switched off (--offline or HF_HUB_OFFLINE)`,
    hint: 'Run it again without --offline.',
  });
}
