import { describe, expect, it } from '@jest/globals';
import { backwardContext, featureRows } from '../../src/attribution/backward.ts';
import { planBatches } from '../../src/attribution/batches.ts';
import { prepareComponents } from '../../src/attribution/components.ts';
import { LinearModel } from '../../src/attribution/linear-model.ts';
import { prompts, tolerances } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectValues } from '../support/tensors.ts';

describe('rows of features', () => {
  it.each(['plt-jumprelu', 'plt-relu-skip', 'clt'])(
    'are the same whether tokens are taken forwards through the first attention or rows backwards: %s',
    async (setName) => {
      using loaded = await loadFixture('cpu', 'tiny-a', setName);
      const { replacement } = loaded;
      using components = await prepareComponents(replacement, prompts('tiny-a').p2.token_ids, 1);
      using linear = await LinearModel.freeze(replacement, components.forward);
      using forwards = backwardContext(replacement, linear, components);
      using backwards = backwardContext(replacement, linear, components, { largestTokenWritersBytes: 0 });
      expect(forwards.tokenWriters).not.toBeNull();
      expect(backwards.tokenWriters).toBeNull();
      const all = Int32Array.from({ length: components.layout.n_active }, (_, i) => i);
      for (const batch of planBatches(components.features, all, 40, linear.d_model)) {
        const rows = await featureRows(forwards, batch);
        expectValues('rows', rows, await featureRows(backwards, batch), tolerances('tiny-a').adjacency);
      }
    },
  );

  it('do not depend on how they are batched', async () => {
    using loaded = await loadFixture('cpu', 'tiny-b', 'plt-relu-skip');
    const { replacement } = loaded;
    using components = await prepareComponents(replacement, prompts('tiny-b').p2.token_ids, 1);
    using linear = await LinearModel.freeze(replacement, components.forward);
    using context = backwardContext(replacement, linear, components);
    const all = Int32Array.from({ length: components.layout.n_active }, (_, i) => i);
    const { n_columns } = components.layout;
    const byBatchSize = await Promise.all(
      [1, 7, 512].map(async (batchSize) => {
        const found = new Float32Array(all.length * n_columns);
        for (const batch of planBatches(components.features, all, batchSize, linear.d_model)) {
          const rows = await featureRows(context, batch);
          batch.features.forEach((feature, i) =>
            found.set(rows.subarray(i * n_columns, (i + 1) * n_columns), feature * n_columns),
          );
        }
        return found;
      }),
    );
    expectValues('batches of 1 and 512', byBatchSize[0]!, byBatchSize[2]!, tolerances('tiny-b').adjacency);
    expectValues('batches of 7 and 512', byBatchSize[1]!, byBatchSize[2]!, tolerances('tiny-b').adjacency);
  });
});
