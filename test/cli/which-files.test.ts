/** Which files a checkpoint is read from, with the real binary: numbers, summary and the provenance of graphs. */
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readGraph } from '../../src/graph/files.ts';
import { copyFixture, editTensors, type FixtureCopy, type StoredTensors } from '../support/damage.ts';
import { shard, SHARDS } from '../support/sharding.ts';
import { tracer } from './shared.ts';
import { envelope } from './start.ts';

/** Of "Hello, world!" on the golden checkpoint, as transformers 4.57.3 computes it. */
const TOP_LOGIT = 14.9207;
const LAYERS = [0, 1, 2, 3].map((layer) => `layer_${layer}.safetensors`);

async function dataOf({ model, set }: FixtureCopy, ...args: string[]): Promise<Record<string, unknown>> {
  const finished = await tracer([
    ...args,
    '--model',
    model,
    '--transcoders',
    set,
    '--device',
    'wasm',
    '--json',
  ]);
  expect({ exitCode: finished.exitCode, error: envelope(finished).error }).toEqual({ exitCode: 0, error: undefined }); // prettier-ignore
  return envelope(finished).data!;
}

async function expectTopLogit(copy: FixtureCopy): Promise<void> {
  const data = await dataOf(copy, 'run', 'Hello, world!');
  expect((data['top'] as { logit: number }[])[0]!.logit).toBeCloseTo(TOP_LOGIT, 3);
}

/** Every number one and a half times as large. */
function scaled(tensors: StoredTensors): StoredTensors {
  return new Map(
    [...tensors].map(([key, { dtype, shape, bytes }]) => {
      const values = new Float32Array(Uint8Array.from(bytes).buffer).map((value) => value * 1.5);
      return [key, { dtype, shape, bytes: new Uint8Array(values.buffer) }];
    }),
  );
}

describe('A whole model.safetensors beside an index of older shards', () => {
  it('is what is computed, summed up and recorded', async () => {
    using copy = copyFixture('tiny-a');
    shard(copy.model, { tensors: scaled, keepWhole: true });
    await expectTopLogit(copy);
    const expected = { model: ['model.safetensors'], transcoders: LAYERS };
    expect(await dataOf(copy, 'configure')).toMatchObject({ weight_files: expected });
    const file = join(copy.path, 'graph.safetensors');
    await dataOf(copy, 'attribute', 'Hello', '--output', file);
    const { model, transcoders } = (await readGraph(file)).provenance;
    expect({ model: model.weight_files, transcoders: transcoders.weight_files }).toEqual(expected);
    const weights = (await dataOf(copy, 'inspect', '--weights'))['weights'] as {
      name: string;
      file: string;
    }[];
    const files = weights.filter(({ name }) => !name.startsWith('transcoders.')).map((weight) => weight.file);
    expect([...new Set(files)]).toEqual([join(copy.model, 'model.safetensors')]);
  });
});

describe('Shards', () => {
  it('are summed up by those that hold parameters, wherever the index says that they are', async () => {
    using copy = copyFixture('tiny-a');
    const paths = [`parts/${SHARDS[0]}`, `parts/${SHARDS[1]}`] as const;
    shard(copy.model, {
      paths: [...paths],
      index: (map) => {
        for (const key of Object.keys(map)) map[key] = paths[0];
        map['model.norm.weight'] = paths[1];
        map['lm_head.weight'] = 'parts/head.safetensors';
      },
    });
    await expectTopLogit(copy);
    expect(await dataOf(copy, 'configure')).toMatchObject({ weight_files: { model: paths } });
    const weights = (await dataOf(copy, 'inspect', '--weights', 'ln_final.w'))['weights'] as {
      file: string;
    }[];
    expect(paths.map((path) => join(copy.model, path))).toContain(weights[0]!.file);
  });
});

describe('Keys without their usual prefix', () => {
  it('are read all the same', async () => {
    using copy = copyFixture('tiny-a');
    editTensors(join(copy.model, 'model.safetensors'), (tensors) => {
      const all = [...tensors];
      tensors.clear();
      for (const [key, tensor] of all) tensors.set(key.replace(/^model\./, ''), tensor);
    });
    await expectTopLogit(copy);
    const feature = await dataOf(copy, 'inspect', '--layer', '1', '--feature', '7');
    expect(feature['promotes']).toHaveLength(10);
  });
});
