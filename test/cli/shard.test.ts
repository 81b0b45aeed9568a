/** Which part of a work a process takes, by its flag or by the variables of a job array. */
import { describe, expect, it } from '@jest/globals';
import { shard } from '../../src/cli/shard.ts';
import { partOf } from '../../src/engine/shard.ts';
import { UsageError } from '../../src/errors.ts';

describe('--shard', () => {
  it.each([
    ['1/4', {}, { part: 1, of: 4 }],
    [' 4/4 ', {}, { part: 4, of: 4 }],
    [
      'auto',
      { SLURM_ARRAY_TASK_ID: '0', SLURM_ARRAY_TASK_COUNT: '3', SLURM_ARRAY_TASK_MIN: '0' },
      { part: 1, of: 3 },
    ],
    [
      'auto',
      { SLURM_ARRAY_TASK_ID: '3', SLURM_ARRAY_TASK_COUNT: '3', SLURM_ARRAY_TASK_MIN: '1' },
      { part: 3, of: 3 },
    ],
    [
      'auto',
      {
        SLURM_ARRAY_TASK_ID: '14',
        SLURM_ARRAY_TASK_COUNT: '3',
        SLURM_ARRAY_TASK_MIN: '10',
        SLURM_ARRAY_TASK_STEP: '4',
      },
      { part: 2, of: 3 },
    ],
    ['auto', { JOB_COMPLETION_INDEX: '0', JOB_COMPLETIONS: '8' }, { part: 1, of: 8 }],
    ['auto', { JOB_COMPLETION_INDEX: '7', JOB_COMPLETIONS: '8' }, { part: 8, of: 8 }],
    // What was typed counts, also inside an array.
    ['2/2', { SLURM_ARRAY_TASK_ID: '9' }, { part: 2, of: 2 }],
  ])('%s with %j is %j', (text, env, expected) => {
    expect(shard(env)(text)).toEqual(expected);
  });

  it.each([
    ['2', {}, 'bad_value', 'expected I/N or auto'],
    ['1/-2', {}, 'bad_value', "found '1/-2'"],
    ['0/4', {}, 'out_of_range', 'no part 0 of 4'],
    ['5/4', {}, 'out_of_range', 'no part 5 of 4'],
    ['1/0', {}, 'out_of_range', 'no part 1 of 0'],
    ['auto', {}, 'no_job_array', 'neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX'],
    ['auto', { JOB_COMPLETION_INDEX: '0' }, 'no_job_array', 'JOB_COMPLETIONS, it is not set'],
    ['auto', { JOB_COMPLETION_INDEX: '4', JOB_COMPLETIONS: '4' }, 'out_of_range', 'no part 5 of 4'],
    ['auto', { SLURM_ARRAY_TASK_ID: '1' }, 'no_job_array', 'SLURM_ARRAY_TASK_COUNT, it is not set'],
    [
      'auto', // --array=3,7
      { SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_COUNT: '2', SLURM_ARRAY_TASK_MIN: '3' },
      'uneven_job_array',
      'do not follow one another',
    ],
  ])('%s with %j is refused (%s)', (text, env, code, message) => {
    const read = () => shard(env)(text);
    expect(read).toThrow(UsageError);
    expect(read).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });
});

describe('Parts', () => {
  it.each([
    [30, 4],
    [12, 12],
    [7, 3],
    [2, 5],
  ])('of %d items in %d hold each item once, in order and evenly', (n, of) => {
    const items = Array.from({ length: n }, (_, i) => i);
    const parts = Array.from({ length: of }, (_, i) => partOf(items, { part: i + 1, of }));
    expect(parts.flat()).toEqual(items);
    const lengths = parts.map((part) => part.length);
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
  });
});
