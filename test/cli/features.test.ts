import { afterAll, describe, expect, it } from '@jest/globals';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ViewerGraph } from '../../src/graph/neuronpedia.ts';
import { goldenPath } from '../support/golden.ts';
import { tracer } from './shared.ts';
import { envelope, finish, start, type Finished } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-features-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A copy of a golden set, so that pages can be written beside its weights. */
const SET = path.join(folder, 'set');
cpSync(goldenPath('tiny-a', 'transcoders', 'plt-jumprelu'), SET, { recursive: true });
const SUBJECT = ['--model', goldenPath('tiny-a', 'model'), '--transcoders', SET, '--device', 'wasm'];
const env = { TRACER_LABELS_DIR: path.join(folder, 'labels') };

const CORPUS = path.join(folder, 'corpus.txt');
writeFileSync(
  CORPUS,
  Array.from(
    { length: 250 },
    (_, i) => `The capital of the state ${i} containing Dallas is number ${i * i}.\n`,
  ).join(''),
);
const SHORT = path.join(folder, 'short.txt');
writeFileSync(SHORT, readFileSync(CORPUS, 'utf8').split('\n').slice(0, 20).join('\n'));

const features = (...args: string[]): Promise<Finished> => tracer(['features', ...args, ...SUBJECT], { env });
const contents = (place: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(place).map((file) => [file, readFileSync(path.join(place, file), 'base64')]),
  );

const POLL_MS = 20;
const PATIENCE_MS = 50_000;
/** Five starts, one after the other, on a machine that may be busy. */
const LONG_TEST_MS = 150_000;

async function until(condition: () => boolean): Promise<void> {
  const giveUp = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > giveUp) throw new Error('it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

describe('tracer features build', () => {
  it('writes pages beside the weights of a local set, where inspect finds them', async () => {
    const built = await features('build', '--corpus', SHORT, '--context', '16', '--json');
    expect(built.exitCode).toBe(0);
    expect(envelope(built)).toMatchObject({
      command: 'features build',
      data: { n_documents: 20, output: path.join(SET, 'features') },
    });
    const shown = await tracer(['inspect', '--layer', '1', '--feature', '5', '--json', ...SUBJECT], { env });
    expect(envelope(shown).data?.['page']).toHaveProperty('activation_frequency');
    const table = await features('build', '--corpus', SHORT, '--context', '16', '--layers', '0:1');
    expect(table.stdout).toMatch(/corpus +20 documents/);
    expect(table.stdout).toContain('ever active');
    expect(table.stderr).toContain('Reading the corpus');
  });

  it(
    'goes on after it was killed, and after Ctrl-C, to the same files',
    async () => {
      const args = ['build', '--corpus', CORPUS, '--context', '32', '--logits', '2'];
      const whole = path.join(folder, 'whole');
      const place = path.join(folder, 'killed');
      const state = path.join(place, '.build/state.safetensors');
      const begin = () =>
        start(['features', ...args, '--output', place, '--resume', '--json', '--quiet', ...SUBJECT], { env });
      const killed = begin();
      await until(() => existsSync(state));
      killed.kill('SIGKILL');
      expect((await finish(killed)).exitCode).toBeNull();
      expect(readdirSync(place).filter((name) => !name.startsWith('.'))).toEqual([]);

      const saved = readFileSync(state);
      const stopped = begin();
      await until(() => !existsSync(state) || !readFileSync(state).equals(saved));
      stopped.kill('SIGINT');
      const answer = await finish(stopped);
      expect(answer.exitCode).toBe(130);
      expect(envelope(answer).error).toMatchObject({ code: 'interrupted' });

      const again = await features(...args, '--output', place, '--json');
      expect(again.exitCode).toBe(2);
      expect(envelope(again).error).toMatchObject({ code: 'build_interrupted' });
      const resumed = await features(...args, '--output', place, '--resume', '--json');
      expect(resumed.exitCode).toBe(0);
      expect(envelope(resumed).data?.['n_resumed_windows']).toBeGreaterThan(0);
      expect((await features(...args, '--output', whole, '--quiet')).exitCode).toBe(0);
      expect(contents(place)).toEqual(contents(whole));
    },
    LONG_TEST_MS,
  );

  it.each([
    [['build'], 2, '--corpus'],
    [['build', '--corpus', 'none.txt'], 3, 'none.txt'],
    [['build', '--corpus', SHORT, '--layers', '1-2'], 2, 'FROM:TO'],
    [['build', '--corpus', SHORT, '--layers', '0:9'], 2, '4 layers'],
    [['build', '--corpus', SHORT, '--max-memory', '4KiB', '--output', path.join(folder, 'x')], 5, '--layers'],
    [['label', '0', '128', 'x'], 2, 'the layer has 128 features'],
    [['label', '4', '0', 'x'], 2, '4 layers'],
    [['label', '0', '0', 'two\nlines'], 2, 'several lines'],
    [['labels', '--import', 'none.json'], 3, 'none.json'],
  ])('and the like refuse what cannot be: %j', async (args, exitCode, said) => {
    const refused = await features(...args);
    expect({ exitCode: refused.exitCode, stdout: refused.stdout }).toEqual({ exitCode, stdout: '' });
    expect(refused.stderr).toContain(said);
  });
});

describe('labels', () => {
  it('that several processes write at once are all kept', async () => {
    const writers = Array.from({ length: 4 }, (_, i) =>
      finish(start(['features', 'label', '3', String(i), `writer ${i}`, '--json', ...SUBJECT], { env })),
    );
    expect((await Promise.all(writers)).map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0]);
    const { data } = envelope(await features('labels', '--json'));
    const written = (data?.['labels'] as { layer: number; text: string }[]).filter(
      ({ layer }) => layer === 3,
    );
    expect(written.map(({ text }) => text)).toEqual(['writer 0', 'writer 1', 'writer 2', 'writer 3']);
  });

  it('are shown, taken back, exported and imported', async () => {
    expect((await features('label', '0', '7', "Texas' <b>cities</b>")).stdout).toContain(
      "Texas' <b>cities</b>",
    );
    const inspected = await tracer(['inspect', '--layer', '0', '--feature', '7', ...SUBJECT], { env });
    expect(inspected.stdout).toMatch(/label +Texas' <b>cities<\/b>/);
    const file = path.join(folder, 'export.json');
    expect((await features('labels', '--export', file)).stdout).toContain('export.json');
    expect((await features('label', '0', '7', '')).stdout).toContain('no label');
    const taken = envelope(await features('label', '0', '7', '--json'));
    expect(taken.data).toMatchObject({ label: null, layer: 0, feature: 7 });
    const imported = envelope(await features('labels', '--import', file, '--json'));
    expect(imported.data?.['labels']).toContainEqual({ layer: 0, feature: 7, text: "Texas' <b>cities</b>" });
  });

  it('are in the table of attribute and in viewer files, and only where there are any', async () => {
    const graphs = path.join(folder, 'graphs');
    const prompt = 'The capital of the state containing Dallas is';
    const args = ['attribute', prompt, ...SUBJECT, '--graph-dir', graphs, '--json', '--quiet', '--slug'];
    const clerps = (slug: string) => {
      const { nodes } = JSON.parse(readFileSync(path.join(graphs, `${slug}.json`), 'utf8')) as ViewerGraph;
      const shown = nodes.filter(({ feature_type }) => feature_type === 'cross layer transcoder');
      return new Map(shown.map(({ jsNodeId, clerp }) => [jsNodeId.split('-')[0]!, clerp]));
    };
    const plain = await tracer([...args, 'plain'], { env: { TRACER_LABELS_DIR: path.join(folder, 'none') } });
    expect(plain.exitCode).toBe(0);
    expect(new Set(clerps('plain').values())).toEqual(new Set(['']));
    const [best] = envelope(plain).data?.['top_features'] as { layer: number; feature: number }[];
    const { layer, feature } = best!;
    await features('label', String(layer), String(feature), 'what matters most');
    const saved = path.join(folder, 'labelled.safetensors');
    const labelled = await tracer([...args, 'labelled', '--output', saved], { env });
    const [first] = envelope(labelled).data?.['top_features'] as object[];
    expect(first).toMatchObject({ layer, feature, label: 'what matters most' });
    const found = clerps('labelled');
    expect(found.get(`${layer}_${feature}`)).toBe('what matters most');
    expect([...found.values()].filter((text) => text === '').length).toBeGreaterThan(0);
    const exportArgs = ['graph', 'export', saved, '--format', 'neuronpedia', '--graph-dir', graphs];
    expect((await tracer([...exportArgs, '--slug', 'exported'], { env })).exitCode).toBe(0);
    expect(clerps('exported')).toEqual(found);
  });
});
