import { describe, expect, it } from '@jest/globals';
import type { Tensor2D } from '../../src/backend/backend.ts';
import { attribute } from '../../src/attribution/attribute.ts';
import { Freeze } from '../../src/intervention/freeze.ts';
import type { Change } from '../../src/intervention/intervention.ts';
import { changedPass, originalPass } from '../../src/intervention/intervene.ts';
import { observePreActivations } from '../../src/intervention/observe.ts';
import { InterventionPlan } from '../../src/intervention/plan.ts';
import { resolveInterventions } from '../../src/intervention/resolve.ts';
import type { HookName } from '../../src/model/hooks.ts';
import type { ForwardResult } from '../../src/model/transformer.ts';
import type { ReplacementModel } from '../../src/replacement/replacement-model.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { prompts, tolerances, type Fixture } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectValues } from '../support/tensors.ts';

const CASES: readonly { fixture: Fixture; set: string }[] = [
  { fixture: 'tiny-a', set: 'plt-jumprelu' },
  { fixture: 'tiny-a', set: 'plt-relu-skip' },
  { fixture: 'tiny-a', set: 'plt-topk' },
  { fixture: 'tiny-a', set: 'clt' },
  { fixture: 'tiny-b', set: 'gemmascope' },
  { fixture: 'tiny-b', set: 'clt' },
];

/** Features that are doubled, evenly spread over all active ones. */
const N_DOUBLED = 5;
const BEFORE_CAP: HookName = 'unembed.hook_post';

/** Everything that a graph measures: all pre-activations, and z minus its mean at the last position. */
async function measure(
  replacement: ReplacementModel,
  pass: ForwardResult,
): Promise<{ pre: Float32Array; centred: Float32Array; shape: readonly number[] }> {
  const { values, shape } = await observePreActivations(replacement, pass.activations, { ignored: 0 });
  const z = pass.activations.get<Tensor2D>(BEFORE_CAP);
  const [n_pos, d_vocab] = z.shape;
  const last = (await z.data<'float32'>()).slice((n_pos - 1) * d_vocab);
  const mean = last.reduce((sum, value) => sum + value, 0) / d_vocab;
  return { pre: values, centred: last.map((value) => value - mean), shape };
}

describe.each(TEST_DEVICES)('with everything constrained, on %s', (device) => {
  it.each(CASES)(
    'doubling an active feature of $fixture $set changes every pre-activation and centred logit by its column',
    async ({ fixture, set }) => {
      using loaded = await loadFixture(device, fixture, set);
      const { replacement, tokenizer } = loaded;
      const { n_layers, d_vocab } = replacement.model.config;
      const { featureCounts } = replacement.transcoders;
      const d_transcoder = featureCounts[0]!;
      const tokens = prompts(fixture).p2.token_ids;
      const tolerance = tolerances(fixture).interventions_and_generation;
      using graph = await attribute(replacement, tokenizer, tokens, {
        targets: { kind: 'tokens', ids: Array.from({ length: d_vocab }, (_, id) => id) },
        maxFeatureNodes: 0,
        batchSize: 64,
        updateInterval: 4,
        selection: 'reference',
      });
      const { indices, values } = graph.features;
      const n = values.length;
      const n_columns = graph.edges.length / (n + d_vocab);
      const freeze = new Freeze({ constrainedLayers: { from: 0, to: n_layers } }, n_layers);
      const options = { capture: (name: HookName) => name === BEFORE_CAP };
      using original = await originalPass(replacement, tokens, freeze, options);
      const before = await measure(replacement, original);
      let movedInactive = 0;
      for (let i = 0; i < N_DOUBLED; i++) {
        const doubled = Math.floor(((i + 0.5) * n) / N_DOUBLED);
        const [layer, pos, feature] = [...indices.subarray(3 * doubled, 3 * doubled + 3)] as [
          number,
          number,
          number,
        ];
        const changedBy = async (change: Change): Promise<Awaited<ReturnType<typeof measure>>> => {
          const extent = { featureCounts, n_pos: tokens.length };
          const resolved = resolveInterventions([{ layer, pos, feature, change }], extent);
          using plan = await InterventionPlan.of(replacement, resolved);
          using changed = await changedPass(replacement, tokens, plan, freeze, original, options);
          return await measure(replacement, changed);
        };
        const after = await changedBy({ kind: 'scale', factor: 2 });
        const column = (row: number): number => graph.edges[row * n_columns + doubled]!;
        const name = `${fixture} ${set} feature ${layer}:${pos}:${feature}`;
        const at = (target: number): number => {
          const [l, p, f] = [...indices.subarray(3 * target, 3 * target + 3)] as [number, number, number];
          return (l * tokens.length + p) * d_transcoder + f;
        };
        expectValues(
          `${name}, pre-activations`,
          Array.from({ length: n }, (_, target) => after.pre[at(target)]! - before.pre[at(target)]!),
          Array.from({ length: n }, (_, target) => column(target)),
          tolerance,
        );
        expectValues(
          `${name}, centred logits`,
          after.centred.map((value, token) => value - before.centred[token]!),
          Array.from({ length: d_vocab }, (_, token) => column(n + token)),
          tolerance,
        );
        // Features that are not active have no row in the graph, but move in proportion all the same.
        const twice = await changedBy({ kind: 'set', value: 3 * values[doubled]! });
        expectValues(
          `${name}, twice the change`,
          twice.pre.map((value, j) => (value - before.pre[j]!) / 2),
          after.pre.map((value, j) => value - before.pre[j]!),
          tolerance,
        );
        const active = new Set(Array.from({ length: n }, (_, target) => at(target)));
        movedInactive += after.pre.filter(
          (value, j) => !active.has(j) && Math.abs(value - before.pre[j]!) > 0.01,
        ).length;
      }
      expect(movedInactive).toBeGreaterThan(0);
    },
  );
});
