import { describe, expect, it } from '@jest/globals';
import { featureRows, type BackwardContext } from '../../src/attribution/backward.ts';
import { planBatches } from '../../src/attribution/batches.ts';
import { LinearModel } from '../../src/attribution/linear-model.ts';
import { TokenSources } from '../../src/attribution/token-sources.ts';
import { prompts, tolerances } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectValues } from '../support/tensors.ts';
import { prepare } from './prepare.ts';

describe('rows of features', () => {
  it.each(['plt-jumprelu', 'plt-relu-skip', 'clt'])(
    'are the same whether tokens are taken forwards through the first attention or rows backwards: %s',
    async (setName) => {
      using loaded = await loadFixture('cpu', 'tiny-a', setName);
      const { replacement } = loaded;
      using prepared = await prepare(replacement, prompts('tiny-a').p2.token_ids);
      const { pass } = prepared;
      const linear = new LinearModel(replacement, pass);
      using tokenSources = TokenSources.of(linear, pass, replacement.budget);
      expect(tokenSources).not.toBeNull();
      expect(TokenSources.of(linear, pass, replacement.budget, 0)).toBeNull();
      const backwards: BackwardContext = { ...prepared, replacement, linear, tokenSources: null };
      const all = Int32Array.from({ length: prepared.columns.n_features }, (_, i) => i);
      for (const batch of planBatches(pass.features, all, 40, linear.d_model)) {
        const rows = await featureRows({ ...backwards, tokenSources }, batch);
        expectValues('rows', rows, await featureRows(backwards, batch), tolerances('tiny-a').adjacency);
      }
    },
  );

  it('do not depend on how they are batched', async () => {
    using loaded = await loadFixture('cpu', 'tiny-b', 'plt-relu-skip');
    const { replacement } = loaded;
    using prepared = await prepare(replacement, prompts('tiny-b').p2.token_ids);
    const { pass, columns } = prepared;
    const linear = new LinearModel(replacement, pass);
    using tokenSources = TokenSources.of(linear, pass, replacement.budget);
    const context: BackwardContext = { ...prepared, replacement, linear, tokenSources };
    const all = Int32Array.from({ length: columns.n_features }, (_, i) => i);
    const { n_columns } = columns;
    const byBatchSize = await Promise.all(
      [1, 7, 512].map(async (batchSize) => {
        const found = new Float32Array(all.length * n_columns);
        for (const batch of planBatches(pass.features, all, batchSize, linear.d_model)) {
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
