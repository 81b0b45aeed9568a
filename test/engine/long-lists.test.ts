/** Lists that are longer than the arguments that a call can have (about 120,000). */
import { describe, expect, it } from '@jest/globals';
import { selectFeatures } from '../../src/attribution/selection.ts';
import { checkInterventions } from '../../src/engine/intervene/prepare.ts';
import type { Session } from '../../src/engine/session.ts';
import { KnownRows } from '../../src/graph/known-rows.ts';
import { RowColumns } from '../../src/graph/row-columns.ts';
import { wantedOf } from '../../src/intervention/changes.ts';
import type { PlannedLayer } from '../../src/intervention/plan.ts';
import { boxCaption } from '../../src/picture/boxes.ts';
import type { PictureGraph } from '../../src/picture/picture-graph.ts';
import type { RunResult } from '../../src/engine/run/types.ts';
import { runView } from '../../src/report/run-view.ts';
import { batchOf } from '../../src/training/batch.ts';
import { plain } from '../report/shown.ts';

const MANY = 200_000;
const numbers = (n = MANY): number[] => Array.from({ length: n }, (_, i) => i);

describe('a list of 200,000', () => {
  it('features is selected in one round', async () => {
    const n = MANY + 1;
    const columns = new RowColumns(Int32Array.from(numbers(n)), new Int32Array(n), 1, 1);
    const known = new KnownRows(columns, () => 0, [1]);
    known.appendLogits(new Float32Array(columns.n_columns).map((_, i) => i + 1));
    const options = {
      maxFeatureNodes: MANY,
      batchSize: MANY,
      updateInterval: 1,
      selection: 'reference' as const,
    };
    const selected = await selectFeatures(known, options, () => Promise.resolve());
    // The last ones have the largest edges; the first one is left out.
    expect(selected).toEqual(Int32Array.from(numbers(), (i) => i + 1));
  });

  it('logits has its rows', () => {
    const columns = new RowColumns(Int32Array.of(0), Int32Array.of(0), 1, 1);
    const known = new KnownRows(columns, () => 0, new Float32Array(MANY).fill(1));
    known.appendLogits(new Float32Array(MANY * columns.n_columns).fill(2));
    expect(known.influence()[0]).toBeCloseTo(MANY / columns.n_columns, 3);
  });

  const session = {
    replacement: {
      model: { config: { n_layers: 1 } },
      transcoders: { featureCounts: [MANY], lastLayerWritten: () => 0 },
    },
  } as unknown as Session;

  it('interventions is checked, and the later ones count', () => {
    const change = { kind: 'set', value: 1 } as const;
    const interventions = numbers().map((i) => ({ layer: 0, pos: 1, feature: i % (MANY / 2), change }));
    const warnings: string[] = [];
    const { resolved } = checkInterventions(session, 3, { interventions }, ({ message }) =>
      warnings.push(message),
    );
    expect(resolved).toHaveLength(MANY);
    expect(warnings).toEqual([
      ...[0, 1, 2].map((f) => `0:1:${f} is named more than once: the last one counts`),
      `and ${MANY / 2 - 3} more are named twice`,
    ]);
    const features = Int32Array.from(numbers(MANY / 2));
    const { mask } = wantedOf({ layer: 0, features } as PlannedLayer, resolved, { first: 0, n_pos: 3 });
    expect(mask.reduce((sum, one) => sum + one, 0)).toBe(MANY / 2);
  });

  it('supernode ids is checked', () => {
    const supernodes = [{ name: 'all', ids: numbers().map((i) => `0_${i}_1`), factor: 2 }];
    expect(checkInterventions(session, 3, { supernodes }, undefined).resolved).toHaveLength(MANY);
  });

  it('passes is summed up', () => {
    const result: RunResult = {
      model: 'm',
      transcoders: 't',
      backend: 'wasm',
      device: 'wasm',
      dtype: 'float32',
      tokens: [{ position: 0, id: 2, text: '<bos>' }],
      output: { shape: [1, 1, 9], dtype: 'float32' },
      top: [],
      timings_ms: {},
      repeats_ms: numbers().map((i) => i + 1),
      peak_rss_bytes: 1,
    };
    expect(runView(result, plain)).toMatch(/median .*, 1.* ms to .*, 200000 passes/);
  });

  it('nodes is one box, with the layers that it spans', () => {
    const nodes = numbers().map((i) => ({ row: i % 5, kind: 'feature' }));
    const picture = { nodes, layers: 5 } as unknown as PictureGraph;
    const caption = boxCaption(picture, { members: numbers() } as never, 60);
    expect(caption).toMatch(/^200000 nodes, .*–.*$/);
  });

  it('rows is one batch', () => {
    const batch = batchOf(numbers().map((i) => (i === 9 ? [0, 1, 2] : [0, 1])));
    expect([batch.n_rows, batch.length, batch.inner.length]).toEqual([MANY, 3, MANY + 1]);
  });
});
