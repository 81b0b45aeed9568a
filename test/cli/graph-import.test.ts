import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GOLDEN } from '../formats/support.ts';
import { fileOf, global, pickle, text } from '../graph/torch-files.ts';
import { tracer } from './shared.ts';
import { envelope, FIXTURE } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-cli-import-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const graph = (...args: string[]) => tracer(['graph', ...args], { cwd: folder });
const ptOf = (name: string) => path.join(GOLDEN, 'pt', `${name}.pt`);

describe('tracer graph import', () => {
  it('writes a graph file that the other commands read', async () => {
    for (const name of ['a-plt', 'a-plt-top60']) {
      const imported = envelope(
        await graph('import', ptOf(name), '--output', `${name}.safetensors`, '--json'),
      );
      expect(imported).toMatchObject({
        command: 'graph import',
        data: { scan: 'acme/plt-jumprelu', n_layers: 4 },
      });
    }
    const commands = [
      ['top', 'a-plt.safetensors'],
      ['paths', 'a-plt.safetensors'],
      ['scores', 'a-plt.safetensors', 'a-plt-top60.safetensors'],
      ['diff', 'a-plt.safetensors', 'a-plt-top60.safetensors'],
      ['merge', 'a-plt.safetensors', 'a-plt-top60.safetensors'],
      ['prune', 'a-plt.safetensors', '--output', 'pruned.safetensors'],
      ...['neuronpedia', 'svg', 'html', 'graphml', 'dot', 'csv'].map((format) => [
        ...['export', 'a-plt.safetensors', '--format', format],
      ]),
    ];
    for (const command of commands) {
      const { exitCode, stderr } = await graph(...command);
      expect({ command, exitCode, stderr }).toEqual({ command, exitCode: 0, stderr: '' });
    }
  });

  it('names tokens by their ids, or by the tokenizer of a model', async () => {
    await graph('import', ptOf('a-clt'), '--output', 'ids.safetensors');
    expect((await graph('top', 'ids.safetensors', '--k', '1')).stdout).toContain('#315');
    const model = path.join(FIXTURE, 'model');
    const named = await graph('import', ptOf('a-clt'), '--output', 'named.safetensors', '--model', model);
    expect(named.stderr).toBe('');
    expect((await graph('top', 'named.safetensors', '--k', '1')).stdout).toContain('·is');
    const other = await graph(
      'import',
      ptOf('a-clt'),
      '--output',
      'other.safetensors',
      '--model',
      'embedded',
    );
    expect(other.exitCode).toBe(0);
    expect(other.stderr).toContain('is it the model of the graph?');
  });

  it('refuses a pickle that would run something with exit code 4, runs nothing and writes nothing', async () => {
    const trace = path.join(folder, 'was-run');
    const evil = pickle(global('posix', 'system'), text(`touch ${trace}`), 'TUPLE1', 'REDUCE', 'STOP');
    writeFileSync(path.join(folder, 'evil.pt'), fileOf(evil));
    const { exitCode, stdout, stderr } = await graph('import', 'evil.pt', '--output', 'evil.safetensors');
    expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
    expect(stderr).toContain('evil.pt: its pickle is refused at byte 2: it names posix.system');
    expect([existsSync(trace), existsSync(path.join(folder, 'evil.safetensors'))]).toEqual([false, false]);
  });

  it('never replaces the file itself, and says what was missing', async () => {
    writeFileSync(path.join(folder, 'own.pt'), 'x');
    expect(await graph('import', 'own.pt', '--output', 'own.pt')).toMatchObject({ exitCode: 2 });
    expect(await graph('import', 'nowhere.pt', '--output', 'x.safetensors')).toMatchObject({ exitCode: 3 });
    expect(await graph('import', 'own.pt')).toMatchObject({ exitCode: 2 });
  });

  it('is what the other commands name for a file of PyTorch', async () => {
    const { exitCode, stderr } = await graph('top', ptOf('a-clt'));
    expect(exitCode).toBe(4);
    expect(stderr).toContain(`tracer graph import ${ptOf('a-clt')} --output `);
  });
});
