/** What the tests of the hub share: a server, a cache of their own, and a client that does not wait long between tries. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readHubEnvironment } from '../../src/hub/environment.ts';
import { HubClient } from '../../src/hub/client.ts';
import { HubServer } from '../support/hub-server.ts';

export const QUICK = { attempts: 4, firstWaitMs: 5, longestWaitMs: 20 };
export const REPO = 'owner/model';

export interface ClientSetup {
  readonly offline?: boolean;
  readonly token?: string;
  readonly stallMs?: number;
  /** How long a question may take where the cache stands in. */
  readonly shortTryMs?: number;
}

/** A server and an empty cache, both gone at the end of the block that holds them. */
export class HubFixture implements AsyncDisposable {
  readonly server: HubServer;
  readonly notices: string[] = [];
  readonly root = mkdtempSync(join(tmpdir(), 'tracer-hub-'));
  readonly cacheDir = join(this.root, 'cache');

  private constructor(server: HubServer) {
    this.server = server;
  }

  static async start(): Promise<HubFixture> {
    return new HubFixture(await HubServer.start());
  }

  /** Variables for a client of this server, in this process or another. */
  environment({ offline, token }: ClientSetup = {}): Record<string, string> {
    return {
      HF_ENDPOINT: this.server.endpoint,
      HF_HUB_CACHE: this.cacheDir,
      HF_HOME: join(this.root, 'home'),
      ...(offline && { HF_HUB_OFFLINE: '1' }),
      ...(token !== undefined && { HF_TOKEN: token }),
    };
  }

  client(setup: ClientSetup = {}): HubClient {
    const environment = {
      ...readHubEnvironment({}, this.environment(setup)),
      stallMs: setup.stallMs ?? 2_000,
    };
    const retry = { ...QUICK, ...(setup.shortTryMs !== undefined && { shortTryMs: setup.shortTryMs }) };
    return new HubClient(environment, { retry, onNotice: (text) => this.notices.push(text) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Bytes that look random and are the same every time. */
export function sampleBytes(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** The error that a promise ends in. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`expected an error, got ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}
