/** `--shard I/N`: which part of a work a process takes. `auto` reads what a job array tells its tasks. */
import type { Shard } from '../engine/shard.ts';
import { UsageError } from '../errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export const SHARD_FLAG = '--shard <part>';
export const SHARD_HELP =
  'I/N: the I-th of N parts, counted from 1; auto: from the variables of a Slurm or Kubernetes job array';

const AUTO = 'auto';
const PART = /^(\d+)\/(\d+)$/;
/** More is a mistake: no cluster has so many tasks in an array. */
const MOST_PARTS = 1_000_000;

/** A parser for commander. It throws `UsageError` for parts that do not exist, and for `auto` outside a job array. */
export function shard(env: Environment): (text: string) => Shard {
  return (text) => {
    if (text.trim() === AUTO) return ofJobArray(env);
    const [, part, of] = PART.exec(text.trim()) ?? [];
    if (part === undefined) {
      throw new UsageError({
        code: 'bad_value',
        message: `--shard: expected I/N or auto, found '${text}'`,
        hint: 'Write it as --shard 1/4 for the first of four parts.',
      });
    }
    return checked({ part: Number(part), of: Number(of) }, `--shard ${text.trim()}`);
  };
}

function ofJobArray(env: Environment): Shard {
  if (env['SLURM_ARRAY_TASK_ID'] !== undefined) return ofSlurm(env);
  if (env['JOB_COMPLETION_INDEX'] !== undefined) return ofKubernetes(env);
  throw new UsageError({
    code: 'no_job_array',
    message:
      '--shard auto: this is no task of a job array: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set',
    hint: 'Start it with sbatch --array or in an Indexed Job, or write --shard I/N.',
  });
}

/** Slurm sets all of these (sbatch, section "job array"); the first task may have any number, and tasks a step between them. */
function ofSlurm(env: Environment): Shard {
  const id = number(env, 'SLURM_ARRAY_TASK_ID');
  const of = number(env, 'SLURM_ARRAY_TASK_COUNT');
  const first = number(env, 'SLURM_ARRAY_TASK_MIN');
  const step = env['SLURM_ARRAY_TASK_STEP'] === undefined ? 1 : number(env, 'SLURM_ARRAY_TASK_STEP');
  const part = (id - first) / step + 1;
  if (!Number.isInteger(part) || part > of) {
    throw new UsageError({
      code: 'uneven_job_array',
      message: `--shard auto: task ${id} of a job array of ${of} that begins at ${first}, with steps of ${step}: its tasks do not follow one another`,
      hint: 'Give the array as --array=1-N. To start some tasks again, give the whole array again, or --shard I/N to each.',
    });
  }
  return checked({ part, of }, '--shard auto');
}

/** Kubernetes counts pods of an Indexed Job from 0, and does not tell them how many there are: the manifest has to. */
function ofKubernetes(env: Environment): Shard {
  const part = number(env, 'JOB_COMPLETION_INDEX') + 1;
  return checked({ part, of: number(env, 'JOB_COMPLETIONS') }, '--shard auto, from JOB_COMPLETION_INDEX');
}

function number(env: Environment, name: string): number {
  const text = env[name];
  if (text !== undefined && /^\d+$/.test(text)) return Number(text);
  const found = text === undefined ? 'it is not set' : `found '${text}'`;
  const isOfManifest = name === 'JOB_COMPLETIONS';
  throw new UsageError({
    code: 'no_job_array',
    message: `--shard auto: expected a whole number in ${name}, ${found}`,
    hint: isOfManifest
      ? "Set JOB_COMPLETIONS in the container's env to the number in spec.completions."
      : 'Write --shard I/N.',
  });
}

function checked(shard: Shard, from: string): Shard {
  const { part, of } = shard;
  if (of >= 1 && of <= MOST_PARTS && part >= 1 && part <= of) return shard;
  throw new UsageError({
    code: 'out_of_range',
    message: `${from}: there is no part ${part} of ${of}`,
    hint: `Parts are counted from 1: --shard 1/${Math.max(1, of)} is the first.`,
  });
}
