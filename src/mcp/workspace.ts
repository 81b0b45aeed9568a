/** Mcp: what calls share: the model, which is loaded by the first call that needs it and then held, and the folder of the files they write. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CommonOptions, EngineEvent } from '../engine/request.ts';
import type { Session } from '../engine/session.ts';
import { NotFoundError, UsageError } from '../errors.ts';
import { FILE_EXISTS, isThere, writeFileAtomic } from '../formats/atomic.ts';
import { makeFolder } from '../formats/output-path.ts';
import { isFileName } from '../graph/slug.ts';
import { HeldModel } from '../viewer/held-model.ts';
import { Turns } from './turns.ts';

const GRAPH_ENDING = '.safetensors';

/** What each call of a tool has of its own. */
export interface CallOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (event: EngineEvent) => void;
}

export class Workspace {
  /** Where graphs and whole results are written. */
  readonly folder: string;
  /** What the command line named, for verbs that read headers alone. */
  readonly common: CommonOptions;
  readonly #isOwnFolder: boolean;
  readonly #turns = new Turns();
  #model: HeldModel | undefined;
  #n_results = 0;

  private constructor(folder: string, isOwnFolder: boolean, common: CommonOptions) {
    this.folder = folder;
    this.#isOwnFolder = isOwnFolder;
    this.common = common;
  }

  /** Without `folder`, files go to a temporary folder, which is removed with the workspace. */
  static async open(folder: string | undefined, common: CommonOptions): Promise<Workspace> {
    if (folder === undefined) {
      return new Workspace(await mkdtemp(path.join(tmpdir(), 'tracer-mcp-')), true, common);
    }
    await makeFolder(folder);
    return new Workspace(path.resolve(folder), false, common);
  }

  /** Runs `work` with the loaded model, alone. A load that is cancelled leaves nothing behind; the next call loads it. */
  async withModel<T>(call: CallOptions, work: (session: Session) => Promise<T>): Promise<T> {
    return await this.#turns.take(call.signal, async () => {
      const request = { ...this.common, ...call };
      this.#model ??= (await HeldModel.choose({ common: request, isRequired: true, scans: [] })).model!;
      return await work(await this.#model.open(call));
    });
  }

  /** The graph file that a call means: the name of one of this folder, or a path. Throws `NotFoundError`. */
  async graphFile(name: string): Promise<string> {
    const inFolder = path.join(this.folder, `${name}${GRAPH_ENDING}`);
    const candidates = [...(isFileName(name) ? [inFolder] : []), name];
    for (const file of candidates) {
      if ((await stat(file).catch(() => null))?.isFile()) return file;
    }
    throw new NotFoundError({
      code: 'graph_not_found',
      message: `there is no graph ${JSON.stringify(name)}`,
      hint: 'Give the name that `attribute` answered, or the path of a graph file.',
    });
  }

  /** Writes the whole result of a call, as `--json` prints it as `data`, beside those of other processes. Returns the file. */
  async keepResult(tool: string, data: object, signal: AbortSignal): Promise<string> {
    for (;;) {
      const file = path.join(this.folder, `${tool}-${++this.#n_results}.json`);
      try {
        await writeFileAtomic(file, `${JSON.stringify(data)}\n`, { signal, existing: 'keep' });
        return file;
      } catch (error) {
        if (!(error instanceof UsageError && error.code === FILE_EXISTS)) throw error;
      }
    }
  }

  /** `NAME`, or `NAME-2` and so on, where the folder has a file of this name with one of the endings. */
  async freeName(name: string, endings: readonly string[]): Promise<string> {
    for (let count = 1; ; count++) {
      const free = count === 1 ? name : `${name}-${count}`;
      const taken = await Promise.all(
        endings.map((ending) => isThere(path.join(this.folder, free + ending))),
      );
      if (!taken.includes(true)) return free;
    }
  }

  /** Waits for the call that is running, which has to be cancelled before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.idle();
    this.#model?.close();
    if (this.#isOwnFolder) await rm(this.folder, { recursive: true, force: true });
  }
}
