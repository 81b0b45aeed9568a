/** A cluster for the files of deploy/: the programs that they call, replaced by small ones, and a way to run their commands. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { BINARY } from '../cli/start.ts';

/** Removed when the process ends. */
export const folder = mkdtempSync(join(tmpdir(), 'tracer-deploy-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const bin = join(folder, 'bin');
mkdirSync(bin);
function program(name: string, script: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}
program('tracer', `exec "${process.execPath}" "${BINARY}" "$@"`);
// As in a step of one task: its options are left out. $SRUN_ENDS_WITH stands for a step that Slurm stopped.
program(
  'srun',
  `echo "$@" >> "$CALLS"
while [ "\${1#--}" != "$1" ]; do shift; done
if [ -n "\${SRUN_ENDS_WITH:-}" ]; then exit "$SRUN_ENDS_WITH"; fi
exec "$@"`,
);
program('scontrol', 'echo "scontrol $*" >> "$CALLS"');

export interface Ended {
  readonly code: number;
  readonly output: string;
  /** What was called of Slurm, a line each. */
  readonly calls: readonly string[];
}

/** Runs words with only these variables, and those that programs need. */
export async function run(words: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  const calls = join(mkdtempSync(join(folder, 'calls-')), 'calls');
  writeFileSync(calls, '');
  const { HOME = '', PATH = '', TRACER_DATA_DIR } = process.env;
  const variables = {
    ...{ HOME, PATH: `${bin}${delimiter}${PATH}`, HF_HUB_OFFLINE: '1', CALLS: calls },
    ...(TRACER_DATA_DIR !== undefined && { TRACER_DATA_DIR }),
    ...env,
  };
  const [file, ...args] = words;
  const { code, output } = await new Promise<Omit<Ended, 'calls'>>((resolve) => {
    execFile(file!, args, { env: variables, cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
    });
  });
  return { code, output, calls: readFileSync(calls, 'utf8').split('\n').slice(0, -1) };
}

export async function expectDone(ended: Promise<Ended>): Promise<Ended> {
  const found = await ended;
  expect([found.code, found.output]).toEqual([0, expect.any(String)]);
  return found;
}

export interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: JobSpec;
}

interface JobSpec {
  readonly completionMode?: string;
  readonly completions?: number;
  readonly suspend?: boolean;
  readonly template: { readonly spec: PodSpec };
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly volumes: readonly { name: string; persistentVolumeClaim: { claimName: string } }[];
}

export interface Container {
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env?: readonly { name: string; value: string }[];
  readonly envFrom: readonly { configMapRef: { name: string } }[];
  readonly resources: { limits: Record<string, number | string> };
  readonly volumeMounts: readonly { name: string; mountPath: string }[];
}

/** The resources of a manifest. */
export function resourcesOf(manifest: string): Resource[] {
  return parseAllDocuments(readFileSync(manifest, 'utf8'), { uniqueKeys: true }).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Resource;
  });
}

/** What a container runs, and its own variables. */
export function wordsOf({ command, args }: Container): string[] {
  return [...command, ...args];
}

export function variablesOf({ env = [] }: Container): Record<string, string> {
  return Object.fromEntries(env.map(({ name, value }) => [name, value]));
}
