import { describe, expect, it } from '@jest/globals';
import { StallGuard } from '../../src/hub/stall-guard.ts';
import { errorOf } from './setup.ts';

const NEVER = new Promise<string>(() => undefined);
const LONG_MS = 60_000;

describe('waiting for a connection', () => {
  it('ends with the reason of the signal, also when the connection itself never hears of it', async () => {
    const stop = new AbortController();
    using guard = new StallGuard(LONG_MS, stop.signal);
    const waiting = errorOf(guard.until(NEVER));
    const reason = new Error('stopped');
    stop.abort(reason);
    expect(await waiting).toBe(reason);
    expect(await errorOf(guard.until(NEVER))).toBe(reason); // later work of the same connection too
    expect(guard.stalled).toBe(false);
  });

  it('ends after a silence', async () => {
    using guard = new StallGuard(10);
    await errorOf(guard.until(NEVER));
    expect(guard.stalled).toBe(true);
  });

  it('gives what came, or what went wrong', async () => {
    using guard = new StallGuard(LONG_MS);
    expect(await guard.until(Promise.resolve('bytes'))).toBe('bytes');
    const fault = new Error('reset');
    expect(await errorOf(guard.until(Promise.reject(fault)))).toBe(fault);
  });
});
