/** Heads that carry edges, and effects of heads on logits, against the golden data. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { headEffects } from '../../src/attention/effects.ts';
import { PATH_KINDS } from '../../src/attention/head-products.ts';
import type { Link } from '../../src/attention/placed-links.ts';
import { headLoadings, weightOf } from '../../src/attention/loadings.ts';
import { targetBatches } from '../../src/attention/target-walk.ts';
import { TracedPrompt } from '../../src/attention/traced-prompt.ts';
import { chooseTargets } from '../../src/attribution/targets.ts';
import { GOLDEN_DEVICES, casesOn, openBackend } from '../support/backends.ts';
import { loadFixture } from '../support/replacement.ts';
import { attentionRuns } from './golden.ts';

describe.each(GOLDEN_DEVICES)('heads that carry edges on %s', (device) => {
  it.each(casesOn(device, attentionRuns()).map((run) => [run.title, run] as const))(
    'are those of %s, and effects on logits',
    async (_, golden) => {
      const { fixture, run, expectNumbers, expectStored } = golden;
      await openBackend(device);
      const before = tf.memory().numTensors;
      {
        using loaded = await loadFixture(device, fixture, run.set);
        const { replacement, tokenizer } = loaded;
        using prompt = await TracedPrompt.of(replacement, run.token_ids);
        const ids = Array.from({ length: prompt.list.n_sources }, (__, i) =>
          prompt.list.id(i, run.token_ids),
        );
        const logitLayer = replacement.model.config.n_layers + 1;
        const logits = run.logit_token_ids.map((id) => `${logitLayer}_${id}_${prompt.n_pos - 1}`);
        const features = [...new Set(run.edges.map(({ target }) => target))]
          .map((target) => ids.indexOf(target))
          .filter((source) => source >= 0);
        using targets = await chooseTargets(
          { kind: 'tokens', ids: run.logit_token_ids },
          await prompt.pass.lastLogits(),
          replacement,
          tokenizer,
        );
        // Targets: the features, then the logits.
        const batches = targetBatches(prompt, Int32Array.from(features), targets.vectors, 64);
        const sources = Int32Array.from(new Set(run.edges.map(({ source }) => ids.indexOf(source))));
        expect([...sources]).not.toContain(-1);
        const links = run.edges.map(({ source, target }): Link => {
          const feature = features.indexOf(ids.indexOf(target));
          const at = feature >= 0 ? feature : features.length + logits.indexOf(target);
          return { source: sources.indexOf(ids.indexOf(source)), target: at };
        });
        const found = await headLoadings(prompt, {
          sources,
          batches,
          links,
          kinds: PATH_KINDS,
          withPositions: true,
        });
        const size = found.n_layers * found.n_heads;
        for (const [i, edge] of run.edges.entries()) {
          const name = `edges/${edge.id}`;
          expectNumbers(
            `${name} weight`,
            [weightOf(found, i), found.direct[i]!],
            [edge.weight, edge.direct],
            'loadings',
          );
          for (const kind of ['last', 'first', 'through', 'only'] as const)
            await expectStored(`${name}/${kind}`, found[kind].subarray(i * size, (i + 1) * size), 'loadings');
          const wide = size * prompt.n_pos;
          await expectStored(
            `${name}/last_keys`,
            found.lastKeys.subarray(i * wide, (i + 1) * wide),
            'loadings',
          );
          await expectStored(
            `${name}/first_queries`,
            found.firstQueries.subarray(i * wide, (i + 1) * wide),
            'loadings',
          );
        }
        const effects = await headEffects(prompt, targets.vectors, run.cases);
        await expectStored('heads/direct', effects.direct, 'logit effects');
        await expectStored('heads/total', effects.total, 'logit effects');
        const T = prompt.n_pos;
        for (const [i, { id, layer, head, query, key }] of run.cases.entries()) {
          const at = (values: Float32Array): number[] =>
            logits.map((__, target) => values[(target * T + query) * T + key]!);
          await expectStored(`cases/${id}/logit_direct`, at(effects.entries[i]!.direct), 'logit effects');
          await expectStored(`cases/${id}/logit_total`, at(effects.entries[i]!.total), 'logit effects');
          const { n_heads } = replacement.model.config;
          const best = effects.strongest[layer * n_heads + head]!;
          const first = effects.entries[i]!.total.subarray(0, T * T);
          const largest = first.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          expect(Math.abs(best.value)).toBeCloseTo(largest, 5);
          expect(first[best.query * T + best.key]).toBeCloseTo(best.value, 5);
        }
      }
      expect(tf.memory().numTensors - before).toBe(0);
    },
  );
});
