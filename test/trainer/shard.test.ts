/** Layers trained alone, in parts, in passes or from a store are those of one training, byte for byte; parts are joined to that set. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BadFileError, NotFoundError, UsageError } from '../../src/errors.ts';
import { mergeTraining } from '../../src/engine/train/merge.ts';
import { train } from '../../src/engine/train/train.ts';
import type { TrainRequest } from '../../src/engine/train/types.ts';
import { Random } from '../../src/random.ts';
import type { TrainEvent } from '../../src/trainer/log.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { goldenPath } from '../support/golden.ts';

const MODEL = goldenPath('tiny-a', 'model');
const LAYERS = [0, 1, 2, 3];
const WORDS = ['to', 'the', 'of', 'and', 'in', 'is', 'that', 'for', 'it', 'as'];

const folder = mkdtempSync(join(tmpdir(), 'tracer-shard-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const corpus = join(folder, 'corpus.txt');
const random = new Random(4);
const sentence = (): string =>
  Array.from({ length: 6 + random.below(30) }, () => random.pick(WORDS)).join(' ');
writeFileSync(corpus, Array.from({ length: 200 }, () => `${sentence()}\n`).join(''));

function request(output: string, more: Partial<TrainRequest> = {}): TrainRequest {
  return {
    model: MODEL,
    device: TEST_DEVICES[0]!,
    offline: true,
    corpus: [corpus],
    output: join(folder, output),
    context: 16,
    batchTokens: 128,
    tokens: 2000,
    features: 160,
    k: 4,
    seed: 3,
    ...more,
  };
}

const bytesOf = (output: string, name: string): string =>
  readFileSync(join(folder, output, name)).toString('base64');
const layerFile = (layer: number): string => `layer_${layer}.safetensors`;
const layersIn = (output: string): string[] =>
  readdirSync(join(folder, output)).filter((name) => name.startsWith('layer_'));

function expectSameLayers(output: string, whole: string, layers: readonly number[]): void {
  expect(layersIn(output)).toEqual(layers.map(layerFile));
  for (const layer of layers) {
    expect(bytesOf(output, layerFile(layer)) === bytesOf(whole, layerFile(layer))).toBe(true);
  }
}

const common = { device: TEST_DEVICES[0]!, offline: true };
const merge = (names: readonly string[], output: string, more = {}) =>
  mergeTraining({
    ...common,
    ...more,
    parts: names.map((name) => join(folder, name)),
    output: join(folder, output),
  });

/** The whole set, and the same in three parts. */
beforeAll(async () => {
  await train(request('whole/set'));
  for (const part of [1, 2, 3]) await train(request(`parts/${part}`, { shard: { part, of: 3 } }));
}, 120_000);

describe('A part of the layers', () => {
  it.each([
    [1, [0]],
    [2, [1]],
    [3, [2, 3]],
  ])('trained alone has the bytes of all trained together (part %d of 3)', (part, layers) => {
    expectSameLayers(`parts/${part}`, 'whole/set', layers);
    // Features that begin anew draw random numbers.
    const log = readFileSync(join(folder, `parts/${part}/train.jsonl`), 'utf8');
    expect(log.includes('"event":"revive"')).toBe(true);
  });

  it('has them with thresholds and penalties too', async () => {
    const more = { activation: 'jumprelu', optimizer: 'signum', skip: true, tokens: 2000 } as const;
    await train(request('jumprelu/whole', more));
    await train(request('jumprelu/part', { ...more, shard: { part: 2, of: 2 } }));
    expectSameLayers('jumprelu/part', 'jumprelu/whole', [2, 3]);
  });

  it('has them where memory allows one layer at a time', async () => {
    const MIB = 2 ** 20;
    const { passes } = await train(request('passes/set', { maxMemoryBytes: 705 * MIB }));
    expect(passes.length).toBeGreaterThan(1);
    expectSameLayers('passes/set', 'whole/set', LAYERS);
  });

  it('has them from a store of its own', async () => {
    const of = (name: string): Partial<TrainRequest> => ({
      epochs: 2,
      store: join(folder, 'stores', name),
    });
    await train(request('stored/whole', of('whole')));
    await train(request('stored/part', { ...of('part'), shard: { part: 1, of: 2 } }));
    expectSameLayers('stored/part', 'stored/whole', [0, 1]);
  });

  it.each([
    [{ shard: { part: 1, of: 5 } }, 'out_of_range', '4 layers cannot be divided into 5 parts'],
    [{ shard: { part: 1, of: 2 }, kind: 'cross-layer' as const }, 'cross_layer_shard', 'trained together'],
  ])('is refused as %j', async (more, code, message) => {
    const refused = train(request('no-training', more));
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });
});

describe('Parts', () => {
  it('are joined to the set of one training: layers, configuration, card and held-out documents', async () => {
    const result = await merge(['parts/2', 'parts/3', 'parts/1'], 'joined/set');
    expectSameLayers('joined/set', 'whole/set', LAYERS);
    for (const name of ['config.yaml', 'README.md', 'held-out.jsonl']) {
      expect(readFileSync(join(folder, 'joined/set', name), 'utf8')).toBe(
        readFileSync(join(folder, 'whole/set', name), 'utf8'),
      );
    }
    expect(readdirSync(join(folder, 'joined/set'))).toEqual(readdirSync(join(folder, 'whole/set')));
    expect(result.parts.map(({ layers }) => layers)).toEqual([[0], [1], [2, 3]]);
    expect(result.evaluation!.layers.map(({ layer }) => layer)).toEqual(LAYERS);
    expect(result.missing_layers).toEqual([]);
  });

  it('have one log, with the passes of all', async () => {
    await merge(['parts/1', 'parts/2', 'parts/3'], 'logged', { evaluate: false });
    const events = readFileSync(join(folder, 'logged/train.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as TrainEvent);
    expect(events[0]).toMatchObject({
      event: 'begin',
      passes: [[0], [1], [2, 3]],
      recipe: { layers: LAYERS },
    });
    expect(events.at(-1)).toMatchObject({ event: 'end', n_tokens: 2000, ended_early: false });
    const passes = events.filter((event) => event.event === 'pass');
    expect(passes.map(({ pass, layers }) => [pass, layers])).toEqual([
      [1, [0]],
      [2, [1]],
      [3, [2, 3]],
    ]);
    for (const event of events) {
      if (event.event === 'step') {
        expect(event.layers.map(({ layer }) => layer)).toEqual(passes[event.pass - 1]!.layers);
      }
    }
    expect(readFileSync(join(folder, 'logged/README.md'), 'utf8')).toContain('It was not evaluated');
  });

  it('of which one is missing are refused by the names of its layers, or joined without them', async () => {
    const names = ['parts/1', 'parts/3'];
    const refused = merge(names, 'missing');
    await expect(refused).rejects.toThrow(BadFileError);
    await expect(refused).rejects.toMatchObject({
      code: 'missing_layers',
      message: expect.stringContaining('no part has layer 1 '),
    });
    const result = await merge(names, 'missing', { allowMissingLayers: true });
    expect(result.missing_layers).toEqual([1]);
    expectSameLayers('missing', 'whole/set', [0, 2, 3]);
    expect(readFileSync(join(folder, 'missing/README.md'), 'utf8')).toContain('| layers | 0, 2-3, of 0-3 |');
    // The joined part is a part again.
    await merge(['missing', 'parts/2'], 'completed/set', { evaluate: false });
    expectSameLayers('completed/set', 'whole/set', LAYERS);
  });

  it('of other trainings are refused by what differs', async () => {
    const otherCorpus = join(folder, 'other.txt');
    writeFileSync(otherCorpus, `${readFileSync(corpus, 'utf8')}the end\n`);
    const part = { shard: { part: 2, of: 3 }, tokens: 2000 };
    await train(request('others/seed', { ...part, seed: 4 }));
    await train(request('others/corpus', { ...part, corpus: [otherCorpus] }));
    await train(request('others/context', { ...part, context: 8 }));
    for (const [name, what] of [
      ['seed', 'seed of the recipe is 4, expected 3'],
      ['corpus', 'corpus is'],
      ['context', 'rows is'],
    ] as const) {
      const refused = merge(['parts/1', `others/${name}`, 'parts/3'], 'refused');
      await expect(refused).rejects.toThrow(BadFileError);
      await expect(refused).rejects.toMatchObject({
        code: 'other_training',
        message: expect.stringContaining(what),
      });
    }
    expect(readdirSync(folder)).not.toContain('refused');
  });

  it.each([
    [['parts/1', 'parts/1'], UsageError, 'layer_twice'],
    [['whole/set', 'parts/2'], UsageError, 'layer_twice'],
    [['nowhere'], NotFoundError, 'no_training'],
    [[], UsageError, 'no_parts'],
  ])('are refused as %j', async (names, kind, code) => {
    const refused = merge(names, 'refused');
    await expect(refused).rejects.toThrow(kind);
    await expect(refused).rejects.toMatchObject({ code });
  });

  it('that have not ended, or are damaged, are named', async () => {
    cpSync(join(folder, 'parts/2'), join(folder, 'damaged'), { recursive: true });
    writeFileSync(join(folder, 'damaged', layerFile(1)), 'half a file');
    await expect(merge(['parts/1', 'damaged', 'parts/3'], 'refused')).rejects.toThrow(
      expect.objectContaining({ message: expect.stringContaining(join('damaged', layerFile(1))) }),
    );
    rmSync(join(folder, 'damaged/config.yaml'));
    await expect(merge(['parts/1', 'damaged', 'parts/3'], 'refused')).rejects.toMatchObject({
      code: 'training_unfinished',
      message: expect.stringContaining('damaged'),
    });
  });

  it('are joined on by the same call after an interruption, and by no other', async () => {
    const names = ['parts/1', 'parts/2', 'parts/3'];
    const stopped = new AbortController();
    const interrupted = merge(names, 'interrupted/set', {
      signal: stopped.signal,
      onProgress: ({ phase, done }: { phase?: string; done?: number }) => {
        if (phase === 'copy' && done! > 0) stopped.abort(new Error('stopped'));
      },
    });
    await expect(interrupted).rejects.toThrow('stopped');
    expect(layersIn('interrupted/set')).toEqual([layerFile(0)]);
    await expect(
      merge(names.slice(0, 2), 'interrupted/set', { allowMissingLayers: true }),
    ).rejects.toMatchObject({ code: 'other_merge' });
    await merge(names, 'interrupted/set');
    expectSameLayers('interrupted/set', 'whole/set', LAYERS);
    expect(bytesOf('interrupted/set', 'README.md')).toBe(bytesOf('whole/set', 'README.md'));
    expect(readdirSync(join(folder, 'interrupted/set'))).not.toContain('.train');
    await expect(merge(names, 'interrupted/set')).rejects.toMatchObject({ code: 'set_exists' });
  });
});
