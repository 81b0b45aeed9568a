/** What a refusal of the real binary has to look like: one document, a message that names the thing, the next step. */
import { expect } from '@jest/globals';
import { fingerprint } from '../support/damage.ts';
import { tracer } from './shared.ts';
import { envelope, type Finished, type StartOptions } from './start.ts';

/** `says` is in the message, `next` in the hint. */
export interface Refusal {
  readonly exitCode: number;
  readonly code: string;
  readonly says: readonly (string | RegExp)[];
  readonly next: string | RegExp;
}

/** The command may be one of two words, such as `graph top`. */
export type CommandLine = readonly [command: string, ...args: string[]];

/** A stack trace, or the sentence that stands for one. */
const MISTAKE = /^\s+at .+:\d+|mistake in tracer/m;

export function expectRefusal(finished: Finished, command: string, refusal: Refusal): void {
  const { stdout, stderr, exitCode } = finished;
  expect({ exitCode, lines: stdout.match(/\n/g)?.length }).toEqual({ exitCode: refusal.exitCode, lines: 1 });
  const { error, ...rest } = envelope(finished);
  expect(rest).toEqual({ schema_version: 1, command });
  expect(error?.code).toBe(refusal.code);
  for (const part of refusal.says) expect(error?.message).toMatch(part);
  expect(error?.hint).toMatch(refusal.next);
  expect(`${stdout}\n${stderr}`).not.toMatch(MISTAKE);
}

/** Runs a command with `--json` that has to be refused, and has to leave every file below `folder` as it is. */
export async function refused(
  folder: string,
  [command, ...args]: CommandLine,
  refusal: Refusal,
  options: StartOptions = {},
): Promise<void> {
  const before = fingerprint(folder);
  expectRefusal(await tracer([...command.split(' '), ...args, '--json'], options), command, refusal);
  expect(fingerprint(folder)).toBe(before);
}
