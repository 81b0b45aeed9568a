/** The job `contrast`, in the built program: it runs in a process of its own. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { collect } from '../../src/engine/study/collect.ts';
import { contrast } from '../../src/engine/study/contrast.ts';
import type { ServeResult } from '../../src/report/serve-view.ts';
import type { ContrastJob, JobStatus, StudyContrast } from '../../src/viewer/api.ts';
import { madeFolder, randomPrompts, type MadeFeature, type MadePrompt } from '../study/made-graphs.ts';
import { scratchFolder } from '../support/scratch.ts';
import { answer, ask, listenTo, type Reply } from './opened.ts';

const BINARY = path.join(import.meta.dirname, '../../bin/tracer.js');
const PLANTED: MadeFeature = [1, -1, 777];
const QUESTION: ContrastJob = { kind: 'contrast', study: 'study', by: 'group', a: 'even', b: 'odd' };

const scratch = scratchFolder();
const study = path.join(scratch.path, 'study');
let server: ChildProcess;
let served: ServeResult;

beforeAll(async () => {
  const prompts = randomPrompts(40, 5).map((prompt, i): MadePrompt => {
    return { ...prompt, features: i % 2 === 0 ? [...prompt.features, PLANTED] : prompt.features };
  });
  const folders = [await madeFolder(path.join(scratch.path, 'graphs'), prompts)];
  await collect({ folders, output: study, nodeThreshold: 1, edgeThreshold: 1 });
  server = spawn(process.execPath, [BINARY, 'serve', scratch.path, '--offline', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = (await once(server.stdout!, 'data')) as [Buffer];
  served = (JSON.parse(String(text)) as { data: ServeResult }).data;
});
afterAll(async () => {
  server.kill('SIGTERM');
  await once(server, 'exit');
  scratch[Symbol.dispose]();
});

const authorization = () => `Bearer ${served.token}`;

function send(method: string, address: string, body?: unknown): Promise<Reply> {
  return ask(served.port, address, {
    method,
    headers: { authorization: authorization(), 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

async function start(job: ContrastJob): Promise<JobStatus> {
  return answer<JobStatus>(await send('POST', '/api/jobs', job));
}

async function end(status: JobStatus): Promise<JobStatus> {
  return await listenTo({ viewer: { port: served.port } }, status).last;
}

describe('a contrast', () => {
  it('has the numbers of the command, of more features and links, and twice the same', async () => {
    expect(served.n_studies).toBe(1);
    const listening = listenTo({ viewer: { port: served.port } }, await start(QUESTION));
    const { state, result } = await listening.last;
    expect(state).toBe('done');
    const shown = (result as { result: StudyContrast }).result;
    const all = await contrast({ study, groups: QUESTION, top: 2000 });
    const { files: _files, study: _study, features, ...expected } = all;
    expect(shown).toMatchObject({ ...expected, study: 'study' });
    expect(shown.features).toEqual(features.map(({ label: _label, ...numbers }) => numbers));
    expect(shown.features[0]).toMatchObject({ layer: PLANTED[0], feature: PLANTED[2] });
    expect(shown.n_all.features + shown.n_all.links).toBe(shown.n_tested);
    const again = await end(await start(QUESTION));
    expect(again.result).toEqual(result);
    expect(again.state).toBe('done');
  });

  it('can be cancelled', async () => {
    const status = await start({ ...QUESTION, by: 'answer', a: ' answer1', b: ' answer2' });
    const listening = listenTo({ viewer: { port: served.port } }, status);
    await listening.until(({ state }) => state === 'running');
    await send('DELETE', `/api/jobs/${status.id}`);
    expect((await listening.last).state).toBe('cancelled');
  });

  it('of groups that are not there, or are one, fails with what is wrong', async () => {
    const unknown = await end(await start({ ...QUESTION, b: 'od' }));
    expect(unknown).toMatchObject({ state: 'failed', error: { code: 'unknown_group' } });
    const same = await end(await start({ ...QUESTION, b: 'even' }));
    expect(same).toMatchObject({ state: 'failed', error: { code: 'groups_overlap' } });
  });

  it('needs the token, as every job does', async () => {
    const { status } = await ask(served.port, '/api/jobs', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(QUESTION),
    });
    expect(status).toBe(401);
  });
});
