/** The loopback Hub's files on the wire: ranges, and the faults that a test injects. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

export type Fault =
  /** Another status instead of the answer. */
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  /** The question is taken, and nothing is ever answered. */
  | { readonly kind: 'silence' }
  /** So many bytes of JSON. */
  | { readonly kind: 'flood'; readonly bytes: number }
  /** A web page instead of the answer, as the sign-in page of a hotel's network. */
  | { readonly kind: 'page'; readonly text: string }
  /** The connection is reset after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** So many bytes of the body, then silence. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Every bit of the first byte of the body is turned over. */
  | { readonly kind: 'wrongBytes' }
  /** More bytes than promised. */
  | { readonly kind: 'excess' }
  /** The whole file in answer to a range. */
  | { readonly kind: 'noRange' }
  /** Chunks of this size with a pause between them. */
  | { readonly kind: 'slow'; readonly chunkBytes: number; readonly pauseMs: number };

/** The whole or the range that was asked for, or what the fault makes of it. */
export function sendBytes(
  whole: Buffer,
  etag: string,
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault | undefined,
): void {
  const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const ranged = asked !== null && fault?.kind !== 'noRange';
  const start = ranged ? Number(asked[1]) : 0;
  if (ranged && start >= whole.length) {
    response.writeHead(416, { 'content-range': `bytes */${whole.length}` }).end();
    return;
  }
  const stop = ranged && asked[2] ? Math.min(Number(asked[2]) + 1, whole.length) : whole.length;
  const body = Buffer.from(whole.subarray(start, stop));
  if (fault?.kind === 'wrongBytes') body[0]! ^= 0xff;
  const sent = fault?.kind === 'excess' ? Buffer.concat([body, Buffer.from('!')]) : body;
  response.writeHead(ranged ? 206 : 200, {
    'accept-ranges': 'bytes',
    etag: `"${etag}"`,
    'content-length': sent.length,
    ...(ranged && { 'content-range': `bytes ${start}-${stop - 1}/${whole.length}` }),
  });
  if (request.method === 'HEAD') response.end();
  else if (fault?.kind === 'cut')
    response.write(sent.subarray(0, fault.afterBytes), () => response.destroy());
  else if (fault?.kind === 'stall') response.write(sent.subarray(0, fault.afterBytes));
  else if (fault?.kind === 'slow') void sendSlowly(sent, fault.chunkBytes, fault.pauseMs, response);
  else response.end(sent);
}

async function sendSlowly(
  body: Buffer,
  chunkBytes: number,
  pauseMs: number,
  response: ServerResponse,
): Promise<void> {
  let at = 0;
  for (; at + chunkBytes < body.length && !response.destroyed; at += chunkBytes) {
    response.write(body.subarray(at, at + chunkBytes));
    await wait(pauseMs);
  }
  response.end(body.subarray(at));
}
