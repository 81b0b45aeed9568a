import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { TracerError } from '../../src/errors.ts';
import type { HostProcess } from '../../src/cli/shell.ts';
import { listenForStop } from '../../src/cli/signals.ts';

function hostOf(emitter: EventEmitter): HostProcess {
  return emitter as unknown as HostProcess;
}

describe('the first Ctrl-C', () => {
  it('asks the command to stop, with the exit code in the reason', () => {
    const host = new EventEmitter();
    const ended: number[] = [];
    using stop = listenForStop(hostOf(host), (exitCode) => ended.push(exitCode));
    host.emit('SIGTERM');
    expect(ended).toEqual([]);
    expect(stop.signal.reason).toBeInstanceOf(TracerError);
    expect(stop.signal.reason).toMatchObject({ exitCode: 143, code: 'interrupted' });
  });
});

describe('the second Ctrl-C', () => {
  it('ends at once', () => {
    const host = new EventEmitter();
    const ended: number[] = [];
    using _stop = listenForStop(hostOf(host), (exitCode) => ended.push(exitCode));
    host.emit('SIGINT');
    host.emit('SIGINT');
    expect(ended).toEqual([130]);
  });
});

describe('Ctrl-Break, on Windows', () => {
  it('stops as Ctrl-C does', () => {
    const host = new EventEmitter();
    using stop = listenForStop(hostOf(host), () => undefined);
    host.emit('SIGBREAK');
    expect(stop.signal.reason).toMatchObject({ exitCode: 130, code: 'interrupted' });
  });
});

describe('after the command', () => {
  it('nobody listens any more', () => {
    const host = new EventEmitter();
    listenForStop(hostOf(host), () => undefined)[Symbol.dispose]();
    expect(host.eventNames()).toEqual([]);
  });
});
