/** Hub, step 2: which commit a revision is and which files it has, asked of the Hub through `@huggingface/hub`. */
import { BadFileError } from '../errors.ts';
import type { HubEnvironment } from './environment.ts';
import { HubHttp } from './http.ts';
import type { Subject } from './refusal.ts';
import { isCommitHash, type RepoFile, toRepoFile } from './repo-file.ts';
import type { Notice, RetryPolicy } from './retry.ts';

export interface HubClientOptions {
  readonly retry?: Partial<RetryPolicy>;
  readonly onNotice?: Notice;
}

/** One run's view of the Hub: what was asked once is not asked again, so a branch stays the same commit throughout. */
export class HubClient {
  readonly environment: HubEnvironment;
  readonly http: HubHttp;
  readonly #asked = new Map<string, Promise<unknown>>();

  constructor(environment: HubEnvironment, options: HubClientOptions = {}) {
    this.environment = environment;
    this.http = new HubHttp(environment, options.retry, options.onNotice);
  }

  /** The commit that a branch, tag, pull request or shortened hash stands for. */
  async commitOf(repo: string, revision: string, signal?: AbortSignal): Promise<string> {
    if (isCommitHash(revision)) return revision;
    return this.#once(`commit ${repo} ${revision}`, async () => {
      const { modelInfo } = await hubPackage();
      const subject = revision === 'main' ? { repo } : { repo, revision };
      const { sha } = await modelInfo({
        name: repo,
        revision,
        additionalFields: ['sha'],
        ...this.#through(subject, signal),
      });
      if (!isCommitHash(sha)) throw badAnswer(repo, `no commit for revision '${revision}'`);
      return sha;
    });
  }

  /** Every file of a commit. */
  async listFiles(repo: string, commit: string, signal?: AbortSignal): Promise<readonly RepoFile[]> {
    return this.#once(`files ${repo} ${commit}`, async () => {
      const { listFiles } = await hubPackage();
      const through = this.#through({ repo, revision: commit }, signal);
      const files: RepoFile[] = [];
      for await (const entry of listFiles({ repo, revision: commit, recursive: true, ...through })) {
        if (entry.type === 'file') files.push(toRepoFile(entry, repo));
      }
      return files;
    });
  }

  /** Those of `paths` that are files of a commit: one request, however large the repository. */
  async findFiles(
    repo: string,
    commit: string,
    paths: string[],
    signal?: AbortSignal,
  ): Promise<readonly RepoFile[]> {
    const { pathsInfo } = await hubPackage();
    const infos = await pathsInfo({
      repo,
      revision: commit,
      paths,
      ...this.#through({ repo, revision: commit }, signal),
    });
    return infos.filter((info) => info.type === 'file').map((info) => toRepoFile(info, repo));
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

  /** Our transport below the package: it sees only complete answers with status 2xx. */
  #through(subject: Subject, signal: AbortSignal | undefined): { hubUrl: string; fetch: typeof fetch } {
    const transport: typeof fetch = async (input, init) => {
      const { body, status, headers } = await this.http.fetchBody(
        {
          url: typeof input === 'string' ? input : input instanceof URL ? input.href : input.url,
          subject,
          headers: Object.fromEntries(new Headers(init?.headers)),
          ...(init?.method === 'POST' && { method: 'POST' as const }),
          ...(typeof init?.body === 'string' && { body: init.body }),
        },
        signal,
      );
      if (!isJson(body)) throw badAnswer(subject.repo, 'something other than JSON');
      // Lengths and encodings of the wire no longer hold for the decoded body.
      const kept = new Headers(headers);
      kept.delete('content-encoding');
      kept.delete('content-length');
      return new Response(new Uint8Array(body), { status, headers: kept });
    };
    return { hubUrl: this.environment.endpoint, fetch: transport };
  }
}

/** Imported when first needed: most commands on local files never do, and it takes time to load. */
async function hubPackage(): Promise<typeof import('@huggingface/hub')> {
  return import('@huggingface/hub');
}

function isJson(body: Buffer): boolean {
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
    hint: 'A sign-in page of a network or a wrong HF_ENDPOINT may stand between; open the address in a browser.',
  });
}
