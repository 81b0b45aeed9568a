/** The files of deploy/ that trace a list of prompts, run as a cluster would. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FIXTURE } from '../cli/start.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { expectDone, folder, resourcesOf, run, variablesOf, wordsOf } from './cluster.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const SCRIPT = join(DEPLOY, 'slurm/attribute.sbatch');

const prompts = join(folder, 'prompts.jsonl');
const SLUGS = ['one', 'two', 'three', 'four', 'five'];
writeFileSync(
  prompts,
  SLUGS.map((slug) => `${JSON.stringify({ slug, prompt: `The number ${slug}` })}\n`).join(''),
);

function settings(output: string): Record<string, string> {
  return {
    MODEL: join(FIXTURE, 'model'),
    TRANSCODERS: join(FIXTURE, 'transcoders/plt-jumprelu'),
    PROMPTS: prompts,
    OUTPUT: output,
    OPTIONS: '--max-feature-nodes 20 --store nodes',
    DEVICE: TEST_DEVICES[0]!,
  };
}

function expectAll(output: string): void {
  const graphs = SLUGS.map((slug) => `${slug}.safetensors`);
  expect(readdirSync(output).sort()).toEqual(
    ['manifest-1-of-2.jsonl', 'manifest-2-of-2.jsonl', ...graphs].sort(),
  );
}

describe('deploy/slurm/attribute.sbatch', () => {
  const task = (id: number): Record<string, string> => ({
    SLURM_JOB_ID: String(700 + id),
    SLURM_ARRAY_TASK_ID: String(id),
    SLURM_CPUS_PER_TASK: '2',
    PARTS: '2',
  });

  it('traces as many parts as the array has tasks', async () => {
    await expectDone(run(['bash', '-n', SCRIPT], {}));
    const script = readFileSync(SCRIPT, 'utf8');
    const [, tasks] = /^#SBATCH --array=1-(\d+)/m.exec(script)!;
    expect(script).toContain(`PARTS=\${PARTS:-${tasks}}`);
  });

  it('traces each prompt once, and queues a task again that was stopped', async () => {
    const output = join(folder, 'slurm-graphs');
    const env = settings(output);
    await Promise.all([1, 2].map((id) => expectDone(run(['bash', SCRIPT], { ...env, ...task(id) }))));
    expectAll(output);
    const before = readFileSync(join(output, 'manifest-2-of-2.jsonl'), 'utf8');
    const again = await expectDone(run(['bash', SCRIPT], { ...env, ...task(2) }));
    expect(again.output).toContain('finished before');
    expect(readFileSync(join(output, 'manifest-2-of-2.jsonl'), 'utf8')).toBe(before);
    const stopped = await run(['bash', SCRIPT], { ...env, ...task(2), SRUN_ENDS_WITH: '143' });
    expect([stopped.code, stopped.calls.at(-1)]).toEqual([143, 'scontrol requeue 702']);
  });
});

describe('deploy/kubernetes/attribute.yaml', () => {
  const resources = resourcesOf(join(DEPLOY, 'kubernetes/attribute.yaml'));
  const { spec } = resources.find(({ kind }) => kind === 'Job')!;
  const [pod] = spec!.template.spec.containers;

  it('has its settings and volumes, and tells pods how many parts there are', () => {
    const names = resources.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    for (const { configMapRef } of pod!.envFrom) expect(names).toContain(`ConfigMap ${configMapRef.name}`);
    for (const { persistentVolumeClaim: claim } of spec!.template.spec.volumes)
      expect(names).toContain(`PersistentVolumeClaim ${claim.claimName}`);
    expect([spec!.completionMode, variablesOf(pod!)]).toEqual([
      'Indexed',
      { JOB_COMPLETIONS: String(spec!.completions) },
    ]);
    const { data } = resources.find(({ kind }) => kind === 'ConfigMap')!;
    expect(Object.keys(data!).sort()).toEqual(Object.keys(settings('')).sort());
  });

  it('traces each prompt once', async () => {
    const output = join(folder, 'kubernetes-graphs');
    const env = { ...settings(output), JOB_COMPLETIONS: '2' };
    for (const index of ['0', '1'])
      await expectDone(run(wordsOf(pod!), { ...env, JOB_COMPLETION_INDEX: index }));
    expectAll(output);
  });
});
