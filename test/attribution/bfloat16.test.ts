import { describe, expect, it } from '@jest/globals';
import { attribute } from '../../src/attribution/attribute.ts';
import { bfloat16Instructions } from '../../src/backend/processor.ts';
import { selectBackend } from '../../src/backend/select.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { ReplacementModel } from '../../src/replacement/replacement-model.ts';
import { openSet } from '../../src/transcoder/open.ts';
import { describeSet } from '../../src/transcoder/recognise.ts';
import { loadSet } from '../../src/transcoder/transcoder-set.ts';
import { readGolden } from '../graph/golden.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { folder, goldenPath, prompts, setFolder } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';

// Without such instructions the arithmetic is refused (test/backend/select.test.ts), so there is nothing to compare.
const canMultiply = TEST_DEVICES.includes('cpu') && bfloat16Instructions().length > 0;

describe('attribution in bfloat16 arithmetic', () => {
  (canMultiply ? it : it.skip)('agrees with float32 up to the coarseness of its eight bits', async () => {
    const { backend } = await selectBackend({ device: 'cpu', arithmetic: 'bfloat16' });
    using checkpoint = await openCheckpoint(folder(goldenPath('tiny-b', 'model')));
    const files = setFolder(goldenPath('tiny-b', 'transcoders', 'plt-jumprelu'));
    using opened = await openSet(files, await describeSet(files), checkpoint.config);
    using replacement = new ReplacementModel(
      await loadTransformer(backend, checkpoint),
      await loadSet(backend, opened),
    );
    using exact = await loadFixture('cpu', 'tiny-b', 'plt-jumprelu');
    const { graph } = await readGolden('tiny-b', 'graph-plt-jumprelu-p2');
    using result = await attribute(replacement, exact.tokenizer, prompts('tiny-b').p2.token_ids, {
      targets: { kind: 'tokens', ids: [...graph.logit_token_ids] },
      maxFeatureNodes: 0,
      batchSize: 64,
      updateInterval: 4,
      selection: 'reference',
    });
    // Rows of the logits over token nodes: the same columns, whichever features are active at this precision.
    const { columns } = result;
    const N = columns.n_columns + graph.logit_token_ids.length;
    const first = columns.tokenColumn(0);
    let dot = 0;
    let squares = 0;
    let expectedSquares = 0;
    graph.logit_token_ids.forEach((_, logit) => {
      for (let position = 0; position < columns.n_pos; position++) {
        const a = result.edges[(result.selected.length + logit) * N + first + position]!;
        const b =
          graph.edges[
            (graph.layout.n_features + logit) * graph.layout.n_nodes + graph.layout.tokens.start + position
          ]!;
        dot += a * b;
        squares += a * a;
        expectedSquares += b * b;
      }
    });
    // The cosine between the two; eight bits of mantissa leave well above 0.99.
    expect(dot / Math.sqrt(squares * expectedSquares)).toBeGreaterThan(0.99);
    expect(squares).not.toBe(expectedSquares);
  });
});
