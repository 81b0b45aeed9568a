/** Hub, step 2: which commit a revision is and which files it has, asked of the Hub through `@huggingface/hub`. */
import { BadFileError, type TracerError } from '../errors.ts';
import type { HubEnvironment } from './environment.ts';
import { HubHttp } from './http.ts';
import { nextPageOf } from './next-page.ts';
import type { Subject } from './refusal.ts';
import { DATASETS, isCommitHash, isDataset, type RepoFile, toRepoFile } from './repo-file.ts';
import type { RunOptions } from './retrier.ts';
import type { Notice, RetryPolicy } from './retry.ts';

export interface HubClientOptions {
  readonly retry?: Partial<RetryPolicy>;
  readonly onNotice?: Notice;
}

/** How a question is asked. */
export type AskOptions = Pick<RunOptions, 'signal' | 'tries'>;

/** Status of the answer when a range of an empty file is requested. */
const EMPTY_FILE = 416;

/** One run's view of the Hub: what was asked once is not asked again, so a branch stays the same commit throughout. */
export class HubClient {
  readonly environment: HubEnvironment;
  readonly http: HubHttp;
  readonly #asked = new Map<string, Promise<unknown>>();
  #isRefusalNoted = false;

  constructor(environment: HubEnvironment, options: HubClientOptions = {}) {
    this.environment = environment;
    this.http = new HubHttp(environment, options.retry, options.onNotice);
  }

  /** The commit that a branch, tag, pull request or shortened hash stands for. */
  async commitOf(repo: string, revision: string, options: AskOptions = {}): Promise<string> {
    if (isCommitHash(revision)) return revision;
    return this.#once(commitQuestion(repo, revision), () =>
      understood(repo, async () => {
        const { modelInfo, datasetInfo } = await hubPackage();
        const subject = revision === 'main' ? { repo } : { repo, revision };
        const question = { revision, additionalFields: ['sha' as const], ...this.#through(subject, options) };
        const { sha } = isDataset(repo)
          ? await datasetInfo({ name: repo.slice(DATASETS.length), ...question })
          : await modelInfo({ name: repo, ...question });
        if (!isCommitHash(sha)) throw badAnswer(repo, `no commit for revision '${revision}'`);
        return sha;
      }),
    );
  }

  /** Every file of a commit. */
  async listFiles(repo: string, commit: string, options: AskOptions = {}): Promise<readonly RepoFile[]> {
    return this.#once(`files ${repo} ${commit}`, () =>
      understood(repo, async () => {
        const { listFiles } = await hubPackage();
        const through = this.#through({ repo, revision: commit }, options);
        const files: RepoFile[] = [];
        for await (const entry of listFiles({ repo, revision: commit, recursive: true, ...through })) {
          if (entry.type === 'file') files.push(toRepoFile(entry, repo));
        }
        return files;
      }),
    );
  }

  /** Those of `paths` that are files of a commit: one request, however large the repository. */
  async findFiles(
    repo: string,
    commit: string,
    paths: string[],
    options: AskOptions = {},
  ): Promise<readonly RepoFile[]> {
    return understood(repo, async () => {
      const { pathsInfo } = await hubPackage();
      const infos = await pathsInfo({
        repo,
        revision: commit,
        paths,
        ...this.#through({ repo, revision: commit }, options),
      });
      return infos.filter((info) => info.type === 'file').map((info) => toRepoFile(info, repo));
    });
  }

  /** Requests the first byte of a file, to check that files of the repository may be fetched and that their server answers. */
  async requireAccess(
    { url, subject }: { url: string; subject: Subject },
    options: AskOptions,
  ): Promise<void> {
    const headers = { range: 'bytes=0-0', 'accept-encoding': 'identity' };
    return this.#once(`access ${url}`, () =>
      this.http.run(async (signal) => {
        const answer = await this.http.open({ url, subject, headers, accept: [EMPTY_FILE] }, signal);
        await answer.discard();
      }, options),
    );
  }

  /** From now on a revision is the commit that the cache has. The notice appears once, also for several repositories. */
  useCached(repo: string, revision: string, commit: string, refusal: TracerError): void {
    this.#asked.set(commitQuestion(repo, revision), Promise.resolve(commit));
    if (this.#isRefusalNoted) return;
    this.#isRefusalNoted = true;
    this.http.onNotice(
      `${refusal.message.replace(/\.$/, '')}. Using ${repo} at commit ${commit} from the cache`,
    );
  }

  fileUrl(repo: string, commit: string, path: string): string {
    const encoded = path.split('/').map(encodeURIComponent).join('/');
    return `${this.environment.endpoint}/${repo}/resolve/${commit}/${encoded}`;
  }

  /** A failed question may be asked again; a good answer holds for the whole run. */
  async #once<T>(question: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#asked.get(question) as Promise<T> | undefined;
    if (known) return known;
    const answer = ask();
    this.#asked.set(question, answer);
    answer.catch(() => this.#asked.delete(question));
    return answer;
  }

  /** The `fetch` that the package uses for one question: it gets only complete answers with status 2xx. */
  #through(subject: Subject, options: AskOptions): { hubUrl: string; fetch: typeof fetch } {
    const asked = new Set<string>();
    const transport: typeof fetch = async (input, init) => {
      const url = typeof input === 'string' ? input : input instanceof URL ? input.href : input.url;
      if (asked.has(url)) throw badAnswer(subject.repo, 'a listing whose pages lead back to each other');
      asked.add(url);
      const { body, status, headers } = await this.http.fetchBody(
        {
          url,
          subject,
          headers: Object.fromEntries(new Headers(init?.headers)),
          ...(init?.method === 'POST' && { method: 'POST' as const }),
          ...(typeof init?.body === 'string' && { body: init.body }),
        },
        options,
      );
      if (!isJson(body)) throw badAnswer(subject.repo, 'something other than JSON');
      const kept = new Headers(headers);
      // Length and encoding describe the body as it was sent; here it is decoded.
      for (const name of ['content-encoding', 'content-length', 'link']) kept.delete(name);
      const next = nextPageOf(headers.get('link'), url, this.environment.endpoint);
      if (next !== undefined) kept.set('link', `<${next}>; rel="next"`);
      return new Response(new Uint8Array(body), { status, headers: kept });
    };
    return { hubUrl: this.environment.endpoint, fetch: transport };
  }
}

function commitQuestion(repo: string, revision: string): string {
  return `commit ${repo} ${revision}`;
}

/** Imported when first needed: it takes time to load, and commands on local files do not need it. */
async function hubPackage(): Promise<typeof import('@huggingface/hub')> {
  return import('@huggingface/hub');
}

/** The package does not check the form of an answer: JSON of another form makes it throw a `TypeError`. */
async function understood<T>(repo: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw badAnswer(repo, `JSON of another form (${cause.message})`);
  }
}

export function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

function badAnswer(repo: string, found: string): BadFileError {
  return new BadFileError({
    code: 'bad_answer',
    message: `the Hub's answer about ${repo} cannot be used: expected its description, found ${found}`,
    hint: 'The answer may come from a sign-in page of the network or a wrong HF_ENDPOINT; open the address in a browser.',
  });
}
