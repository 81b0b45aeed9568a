/** Hub: the body of an answer as it arrives, under a time limit for silence, and the time that sending a body may take. */
import type { StallGuard } from './stall-guard.ts';

const SLOWEST_BYTES_PER_SECOND = 32 * 1024;

/** The server says nothing until it has the whole body, which may be sent over a slow line. */
export function msToSend(bytes: number): number {
  return (bytes / SLOWEST_BYTES_PER_SECOND) * 1000;
}

/** `fault` makes the error of what the connection throws. Ends the guard, and frees the connection when the caller stops early. */
export async function* bodyChunks(
  response: Response,
  guard: StallGuard,
  fault: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  try {
    for (;;) {
      guard.watch();
      const step = await (reader && guard.until(reader.read()))?.catch((error: unknown) => {
        throw fault(error);
      });
      guard.rest(); // the time that the caller takes for a chunk is no silence of the server
      if (!step || step.done) return;
      yield step.value;
    }
  } finally {
    guard[Symbol.dispose]();
    await reader?.cancel().catch(() => undefined); // a fault does not matter: the connection is being closed
  }
}
