/** The files of deploy/ do what they say: they are run here as a cluster would, with its commands replaced by small ones. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FIXTURE } from '../cli/start.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import {
  expectDone,
  folder,
  resourcesOf,
  run,
  variablesOf,
  wordsOf,
  type Container,
  type Resource,
} from './cluster.ts';

const ROOT = join(import.meta.dirname, '../..');
const SLURM = join(ROOT, 'deploy/slurm');
const MANIFEST = join(ROOT, 'deploy/kubernetes/train.yaml');

const corpus = join(folder, 'corpus.txt');
const WORDS = ['to', 'the', 'of', 'and', 'in', 'is', 'that', 'for'];
const line = (i: number): string =>
  Array.from({ length: 8 + (i % 9) }, (_, j) => WORDS[(i * i + 3 * j) % WORDS.length]).join(' ');
writeFileSync(corpus, Array.from({ length: 80 }, (_, i) => `${line(i)}\n`).join(''));

const OPTIONS = '--context 16 --batch-tokens 64 --tokens 400 --features 32 --k 4 --seed 2';

function settings(output: string): Record<string, string> {
  return {
    MODEL: join(FIXTURE, 'model'),
    CORPUS: corpus,
    OUTPUT: output,
    OPTIONS,
    DEVICE: TEST_DEVICES[0]!,
  };
}

function expectSetOfAllLayers(output: string): void {
  const files = [0, 1, 2, 3].map((layer) => `layer_${layer}.safetensors`);
  expect(readdirSync(output)).toEqual(
    ['README.md', 'config.yaml', 'held-out.jsonl', ...files, 'train.jsonl'].sort(),
  );
  expect(readFileSync(join(output, 'README.md'), 'utf8')).toContain('| layers | 0-3 |');
}

describe('deploy/slurm', () => {
  const train = join(SLURM, 'train.sbatch');
  const merge = join(SLURM, 'merge.sbatch');
  const task = (id: number): Record<string, string> => ({
    SLURM_JOB_ID: String(700 + id),
    SLURM_ARRAY_TASK_ID: String(id),
    SLURM_CPUS_PER_TASK: '2',
    PARTS: '2',
  });

  it.each([train, merge])('%s is a script, with its options before the first command', async (script) => {
    await expectDone(run(['bash', '-n', script], {}));
    const lines = readFileSync(script, 'utf8').split('\n');
    const isCommand = (text: string): boolean => text !== '' && !text.startsWith('#');
    const options = [...lines.keys()].filter((i) => lines[i]!.startsWith('#SBATCH '));
    expect(options.length).toBeGreaterThan(5);
    expect(Math.max(...options)).toBeLessThan(lines.findIndex(isCommand));
  });

  it('trains as many parts as the array has tasks', () => {
    const script = readFileSync(train, 'utf8');
    const [, tasks] = /^#SBATCH --array=1-(\d+)/m.exec(script)!;
    expect(script).toContain(`PARTS=\${PARTS:-${tasks}}`);
  });

  it('trains parts, leaves those alone that are there, and joins them', async () => {
    const output = join(folder, 'slurm/set');
    const env = settings(output);
    for (const id of [1, 2]) {
      const { calls } = await expectDone(run(['bash', train], { ...env, ...task(id) }));
      expect(calls).toEqual([expect.stringContaining(`--shard ${id}/2 `)]);
      expect(existsSync(join(`${output}-parts`, String(id), 'config.yaml'))).toBe(true);
    }
    const again = await expectDone(run(['bash', train], { ...env, ...task(2) }));
    expect([again.calls, again.output]).toEqual([[], expect.stringContaining('is there already')]);
    await expectDone(run(['bash', merge], env));
    expectSetOfAllLayers(output);
    expect((await expectDone(run(['bash', merge], env))).calls).toEqual([]);
  }, 120_000);

  it('queues a task again that was stopped, and no task that failed', async () => {
    const env = { ...settings(join(folder, 'stopped/set')), ...task(2) };
    const stopped = await run(['bash', train], { ...env, SRUN_ENDS_WITH: '143' });
    expect([stopped.code, stopped.calls.at(-1)]).toEqual([143, 'scontrol requeue 702']);
    const failed = await run(['bash', train], { ...env, SRUN_ENDS_WITH: '4' });
    expect([failed.code, failed.calls]).toEqual([4, [expect.stringContaining('tracer train ')]]);
  });

  it('names a setting that is missing', async () => {
    const { CORPUS: _corpus, ...env } = settings(join(folder, 'missing/set'));
    const { code, output, calls } = await run(['bash', train], { ...env, ...task(1) });
    expect([code, output, calls]).toEqual([1, expect.stringContaining('CORPUS'), []]);
  });
});

describe('deploy/kubernetes', () => {
  const resources = resourcesOf(MANIFEST);
  const named = (kind: string, name: string): Resource | undefined =>
    resources.find((one) => one.kind === kind && one.metadata.name === name);
  const jobs = resources.filter(({ kind }) => kind === 'Job');
  const containerOf = (name: string): Container => named('Job', name)!.spec!.template.spec.containers[0]!;
  it('has jobs whose image, settings and volumes are there', () => {
    expect(jobs.map(({ metadata }) => metadata.name)).toEqual(['tracer-train', 'tracer-merge']);
    const containers = readFileSync(join(ROOT, 'docs/containers.md'), 'utf8');
    for (const { spec } of jobs) {
      const { containers: list, volumes } = spec!.template.spec;
      for (const { image, envFrom, volumeMounts, resources: needs } of list) {
        expect(containers).toContain(`--tag ${image} `);
        for (const { configMapRef } of envFrom) expect(named('ConfigMap', configMapRef.name)).toBeDefined();
        expect(needs.limits['nvidia.com/gpu']).toBe(1);
        expect(volumeMounts.map(({ mountPath }) => mountPath)).toEqual(['/work', '/cache']);
        expect(volumeMounts.map(({ name }) => name)).toEqual(volumes.map(({ name }) => name));
      }
      for (const { persistentVolumeClaim: claim } of volumes) {
        expect(named('PersistentVolumeClaim', claim.claimName)).toBeDefined();
      }
    }
    expect(named('Job', 'tracer-merge')!.spec!.suspend).toBe(true);
    const output = named('ConfigMap', 'tracer-train')!.data!['OUTPUT']!;
    expect(output.startsWith('/work/')).toBe(true);
  });

  it('tells pods how many parts there are', () => {
    const { completionMode, completions } = named('Job', 'tracer-train')!.spec!;
    expect([completionMode, variablesOf(containerOf('tracer-train'))]).toEqual([
      'Indexed',
      { JOB_COMPLETIONS: String(completions) },
    ]);
  });

  it('trains parts, leaves those alone that are there, and joins them', async () => {
    const output = join(folder, 'kubernetes/set');
    const settingsOfMap = named('ConfigMap', 'tracer-train')!.data!;
    expect(Object.keys(settingsOfMap).sort()).toEqual(Object.keys(settings(output)).sort());
    const pod = containerOf('tracer-train');
    const env = { ...settings(output), ...variablesOf(pod), JOB_COMPLETIONS: '2' };
    for (const index of ['0', '1']) {
      await expectDone(run(wordsOf(pod), { ...env, JOB_COMPLETION_INDEX: index }));
      expect(existsSync(join(`${output}-parts`, index, 'config.yaml'))).toBe(true);
    }
    const card = readFileSync(join(`${output}-parts`, '1', 'README.md'), 'utf8');
    expect(card).toContain('| layers | 2-3, of 0-3 |');
    await expectDone(run(wordsOf(pod), { ...env, JOB_COMPLETION_INDEX: '1' }));
    expect(readFileSync(join(`${output}-parts`, '1', 'README.md'), 'utf8')).toBe(card);
    await expectDone(run(wordsOf(containerOf('tracer-merge')), settings(output)));
    expectSetOfAllLayers(output);
  }, 120_000);
});
