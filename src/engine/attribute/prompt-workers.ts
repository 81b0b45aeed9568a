/** Engine: prompts of a list traced by one process a device, all fed from one queue. What a process held that is lost is traced again. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EXIT, TracerError } from '../../errors.ts';
import type { Device } from '../../backend/backend.ts';
import type { Failure } from '../failure.ts';
import type { PromptQueue, Task, UsedBackend } from './prompt-queue.ts';
import type { FromWorker, ToWorker } from './prompt-worker.ts';
import type { AttributePromptsRequest } from './types.ts';

const WORKER = fileURLToPath(new URL('./prompt-worker.js', import.meta.url));
/** A prompt that was lost so often is most likely why. */
const MOST_LOSSES = 2;

/** Starts a process for each device, and traces what is left. Throws when no process is left that can trace. */
export async function traceInWorkers(
  request: AttributePromptsRequest,
  devices: readonly Device[],
  queue: PromptQueue,
): Promise<UsedBackend> {
  const pool = new WorkerPool(request, queue);
  return await pool.run(devices);
}

class WorkerPool {
  readonly #request: AttributePromptsRequest;
  readonly #queue: PromptQueue;
  readonly #children = new Set<ChildProcess>();
  readonly #losses = new Map<number, number>();
  readonly #used: UsedBackend[] = [];
  /** Of each process. */
  #memory: Pick<AttributePromptsRequest, 'maxMemoryBytes'> = {};
  /** The first one for which a device cannot trace anything. */
  #unusable: Failure | undefined;

  constructor(request: AttributePromptsRequest, queue: PromptQueue) {
    this.#request = request;
    this.#queue = queue;
  }

  async run(devices: readonly Device[]): Promise<UsedBackend> {
    const { signal, maxMemoryBytes } = this.#request;
    if (maxMemoryBytes !== undefined)
      this.#memory = { maxMemoryBytes: Math.floor(maxMemoryBytes / devices.length) };
    const stop = (): void => this.#children.forEach((child) => child.kill());
    signal?.addEventListener('abort', stop);
    try {
      signal?.throwIfAborted();
      await Promise.all(devices.map((device) => this.#keep(device)));
      signal?.throwIfAborted();
      const left = this.#queue.take();
      if (left) {
        this.#queue.putBack(left);
        throw this.#noWorker();
      }
      const backends = new Set(this.#used.map(({ backend }) => backend));
      const names = this.#used.map(({ device }) => device);
      return { backend: [...backends].join(','), device: names.join(',') };
    } finally {
      signal?.removeEventListener('abort', stop);
      stop();
    }
  }

  /** A process for a device, and another one for each that is lost, as long as anything is left and it is not the device's fault. */
  async #keep(device: Device): Promise<void> {
    for (;;) {
      const end = await this.#serve(device);
      if (end !== 'lost' || this.#request.signal?.aborted) return;
      const left = this.#queue.take();
      if (!left) return;
      this.#queue.putBack(left);
    }
  }

  /** One process, from its start to its end. */
  #serve(device: Device): Promise<'finished' | 'unusable' | 'lost'> {
    const child = fork(WORKER, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' });
    this.#children.add(child);
    const held = new Map<number, Task>();
    let end: 'finished' | 'unusable' | 'lost' = 'lost';
    let isReady = false;
    const send = (message: ToWorker): void => void child.send(message, () => undefined); // one that is gone is found out below
    return new Promise((resolve, reject) => {
      const handle = async (message: FromWorker): Promise<void> => {
        switch (message.kind) {
          case 'ready':
            isReady = true;
            this.#used.push(message.used);
            return;
          case 'unusable':
            end = 'unusable';
            this.#unusable ??= message.failure;
            return;
          case 'warning':
            this.#request.onProgress?.({ kind: 'warning', message: `${device}: ${message.message}` });
            return;
          case 'free': {
            const task = this.#queue.take();
            if (!task) {
              end = 'finished';
              return send({ kind: 'end' });
            }
            held.set(task.index, task);
            return send({ kind: 'task', index: task.index, request: sendable(this.#queue.requestOf(task)) });
          }
          case 'done': {
            const task = held.get(message.index)!;
            await this.#queue.done(task, message.graph, message.listed);
            held.delete(message.index);
            return;
          }
          case 'failed': {
            const task = held.get(message.index)!;
            held.delete(message.index);
            this.#queue.failed(task, message.failure);
          }
        }
      };
      // In their order, so that the end of the process comes last.
      let handled: Promise<void> = Promise.resolve();
      child.on('message', (message: FromWorker) => {
        handled = handled.then(() => handle(message));
        handled.catch(reject);
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        this.#children.delete(child);
        handled
          .then(() => {
            if (held.size > 0)
              end = this.#takeBack(device, [...held.values()], signal ?? `exit code ${code}`);
            resolve(
              end === 'lost' && !isReady ? this.#neverReady(device, signal ?? `exit code ${code}`) : end,
            );
          })
          .catch(reject);
      });
      send({ kind: 'begin', request: { ...sendable(this.#request), device, ...this.#memory } });
    });
  }

  /** What a lost process held, for another one, unless it was lost with it before. */
  #takeBack(device: Device, tasks: readonly Task[], how: string): 'lost' {
    if (this.#request.signal?.aborted) return 'lost';
    this.#request.onProgress?.({
      kind: 'warning',
      message: `${device}: the process that traced there ended (${how}); its prompts are traced again`,
    });
    for (const task of tasks) {
      const losses = (this.#losses.get(task.index) ?? 0) + 1;
      this.#losses.set(task.index, losses);
      if (losses < MOST_LOSSES) this.#queue.putBack(task);
      else
        this.#queue.failed(task, {
          error: {
            code: 'worker_lost',
            message: `the process that traced it ended ${losses} times (${how})`,
            hint: 'Trace it alone to see why; less memory is taken with --max-feature-nodes or --batch-size.',
          },
          exit_code: EXIT.unexpected,
        });
    }
    return 'lost';
  }

  #neverReady(device: Device, how: string): 'unusable' {
    this.#unusable ??= {
      error: {
        code: 'worker_lost',
        message: `the process for ${device} ended before it could trace (${how})`,
      },
      exit_code: EXIT.unexpected,
    };
    return 'unusable';
  }

  #noWorker(): TracerError {
    const { error, exit_code } = this.#unusable!;
    return new TracerError(exit_code, error);
  }
}

/** Without what cannot be sent to another process. */
function sendable<T extends Unsendable>(request: T): Omit<T, keyof Unsendable> {
  const { onProgress: _report, signal: _signal, devices: _devices, ...sent } = request;
  return sent;
}

interface Unsendable {
  readonly onProgress?: unknown;
  readonly signal?: unknown;
  readonly devices?: unknown;
}
