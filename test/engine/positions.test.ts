/** Which positions get logits: only those that a verb asks for go through the unembedding. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import type { HeldWeight, Weight } from '../../src/backend/backend.ts';
import { traceGraph } from '../../src/engine/attribute/attribute.ts';
import { generateIn } from '../../src/engine/generate/generate.ts';
import { batchIn } from '../../src/engine/intervene/batch.ts';
import { interveneIn } from '../../src/engine/intervene/intervene.ts';
import { sweepIn } from '../../src/engine/intervene/sweep.ts';
import { runIn } from '../../src/engine/run/run.ts';
import type { Session } from '../../src/engine/session.ts';
import { validateIn } from '../../src/engine/validate/validate.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { prompts } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';
import { goldenSession } from './golden-session.ts';

const scratch = scratchFolder();
let session: Session;
/** Rows of each product with the transposed unembedding since the test began. */
let products: number[] = [];

beforeAll(async () => {
  session = await goldenSession('tiny-a', 'plt-jumprelu');
  const weights = session.replacement.model.weights as { W_U: Weight };
  const { W_U } = weights;
  weights.W_U = Object.assign(Object.create(W_U) as Weight, {
    dispose: undefined,
    rows: (indices: Int32Array) => W_U.rows(indices),
    async acquire(): Promise<HeldWeight> {
      const held = await W_U.acquire();
      return {
        shape: held.shape,
        rows: (indices) => held.rows(indices),
        matMul(x, options) {
          if (options?.transpose) products.push(x.shape[0]);
          return held.matMul(x, options);
        },
        [Symbol.dispose]: () => held[Symbol.dispose](),
      };
    },
  });
});
beforeEach(() => {
  products = [];
});
afterAll(() => {
  session[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

const TOKENS = prompts('tiny-a').p3.token_ids;
const T = TOKENS.length;
const input = { tokens: TOKENS };
const interventions = [{ layer: 1, pos: 3, feature: 22, change: { kind: 'set', value: 4 } }] as const;
/** The last position, and some beside it for the sake of equal digits. */
const FEW = 16;

async function shapesIn(file: string): Promise<Record<string, readonly number[]>> {
  using opened = await openSafetensors(file);
  return Object.fromEntries([...opened.tensors].map(([name, { shape }]) => [name, shape]));
}

describe('a prompt longer than what is asked for', () => {
  it('has more positions than get logits', () => expect(T).toBeGreaterThan(FEW));

  it('is run with logits of its end, and the shape of all is told', async () => {
    const { output, top } = await runIn(session, { input, features: 2 });
    expect(products).toEqual([FEW]);
    expect(output.shape).toEqual([1, T, session.replacement.model.config.d_vocab]);
    products = [];
    expect((await runIn(session, { input, repeat: 2 })).top).toEqual(top);
    expect(products).toEqual([FEW, FEW, FEW]);
  });

  it('is run with all logits where they are saved, and only then', async () => {
    const d_vocab = session.replacement.model.config.d_vocab;
    const file = join(scratch.path, 'saved.safetensors');
    const saved = async (...names: string[]) => {
      products = [];
      await runIn(session, { input, saveActivations: { file, names } });
      return { products, shapes: await shapesIn(file) };
    };
    expect(await saved('unembed.hook_pre', 'hook_embed')).toEqual({
      products: [FEW],
      shapes: { 'unembed.hook_pre': [T, 32], hook_embed: [T, 32] },
    });
    expect(await saved('logits')).toEqual({ products: [FEW, T], shapes: { logits: [T, d_vocab] } });
    expect(await saved('unembed.*')).toEqual({
      products: [FEW, T],
      shapes: { 'unembed.hook_pre': [T, 32], 'unembed.hook_post': [T, d_vocab] },
    });
  });

  it('is continued, swept and held to a batch with logits of one position a pass', async () => {
    const sweep = { address: { layer: 1, pos: 3, feature: 22 }, changes: [interventions[0].change] };
    await sweepIn(session, { input, sweep });
    expect(products).toEqual([1, 1]);
    products = [];
    await batchIn(session, { cases: [{ line: 1, input, interventions }] });
    expect(products).toEqual([1, 1]);
    products = [];
    await generateIn(session, { input, interventions, maxNewTokens: 3, stopAtEos: false });
    expect(products).toEqual([1, 1, 1]);
  });

  it('is traced and validated with logits of one position a pass', async () => {
    const graph = await traceGraph(session, { tokens: TOKENS.slice(0, 8) }, { maxFeatureNodes: 20 });
    expect(new Set(products)).toEqual(new Set([1]));
    products = [];
    const { features } = await validateIn(session, graph, graph.layout.logits.start, { file: '', top: 2 });
    expect(products).toEqual(Array.from({ length: features.length + 1 }, () => 1));
  });

  it('is intervened on with logits of all positions, since the largest change of any is told', async () => {
    const output = join(scratch.path, 'changed.safetensors');
    await interveneIn(session, { input, interventions });
    expect(products).toEqual([T, T]);
    products = [];
    await interveneIn(session, { input, interventions, output });
    expect(products).toEqual([T, T, T]);
    expect((await shapesIn(output))['logits']).toEqual([T, session.replacement.model.config.d_vocab]);
  });
});
