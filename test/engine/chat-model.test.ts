/** Gemma 3 tuned on chats: four leading positions are left out, and BOS stands in front of `<start_of_turn>`. Told by its name. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { attribute } from '../../src/engine/attribute/attribute.ts';
import { generate } from '../../src/engine/generate/generate.ts';
import { intervene } from '../../src/engine/intervene/intervene.ts';
import { run } from '../../src/engine/run/run.ts';
import { validate } from '../../src/engine/validate/validate.ts';
import { writeSafetensors, type TensorToWrite } from '../../src/formats/safetensors-writer.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { readGraph } from '../../src/graph/files.ts';
import { goldenPath, prompts } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';

const FIXTURE = 'families/gemma3';
const SET = goldenPath(FIXTURE, 'transcoders', 'plt-jumprelu');
const CHAT = [2, 105, 2364, 107];
const TOKENS = [...CHAT, ...prompts(FIXTURE).p2.token_ids.slice(1)];
const N_IGNORED = CHAT.length;
const D_VOCAB = 2400;

const scratch = scratchFolder();
afterAll(() => scratch[Symbol.dispose]());
const [base, chat] = ['gemma-3-4b-pt', 'gemma-3-4b-it'].map((name) => path.join(scratch.path, name)) as [
  string,
  string,
];
const common = { transcoders: SET, device: 'wasm' } as const;

/** The fixture with a vocabulary that has the ids of the beginning; other rows are those of its first tokens. */
beforeAll(async () => {
  cpSync(goldenPath(FIXTURE, 'model'), base, { recursive: true });
  const file = path.join(base, 'model.safetensors');
  using stored = await openSafetensors(file);
  const tensors = await Promise.all(
    [...stored.tensors.values()].map(async ({ name, dtype, shape }): Promise<TensorToWrite> => {
      const data = await stored.read(name);
      if (name !== 'model.embed_tokens.weight') return { name, dtype: dtype as 'F32', shape, data };
      const [rows, width] = [shape[0]!, data.byteLength / shape[0]!];
      const grown = new Uint8Array(D_VOCAB * width);
      for (let row = 0; row < D_VOCAB; row++)
        grown.set(data.subarray((row % rows) * width, ((row % rows) + 1) * width), row * width);
      return { name, dtype: dtype as 'F32', shape: [D_VOCAB, shape[1]!], data: grown };
    }),
  );
  await writeSafetensors(file, tensors);
  const config = path.join(base, 'config.json');
  const document = JSON.parse(readFileSync(config, 'utf8')) as object;
  writeFileSync(config, JSON.stringify({ ...document, vocab_size: D_VOCAB }));
  cpSync(base, chat, { recursive: true });
});

async function graphOf(model: string) {
  const output = path.join(scratch.path, `${path.basename(model)}.safetensors`);
  const result = await attribute({ ...common, model, input: { tokens: TOKENS }, output, verify: 20 });
  return { result, graph: await readGraph(output) };
}

describe('a chat model of Gemma 3', () => {
  it('has no features and no errors at the first four positions, and its rows still add up', async () => {
    const [of, other] = [await graphOf(chat), await graphOf(base)];
    expect(of.result.verification).toMatchObject({ ok: true });
    const listed = ({ active_features, activation_values }: typeof of.graph) =>
      Array.from(activation_values, (value, i) => [...active_features.subarray(3 * i, 3 * i + 3), value]);
    const kept = listed(other.graph).filter(([, position]) => position! >= N_IGNORED);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(listed(other.graph).length);
    expect(listed(of.graph)).toEqual(kept);
    const { layout, edges } = of.graph;
    const n_rows = edges.length / layout.n_nodes;
    const sizeAt = (layer: number, position: number): number => {
      const column = layout.n_features + layer * layout.n_pos + position;
      return Array.from({ length: n_rows }, (_, row) =>
        Math.abs(edges[row * layout.n_nodes + column]!),
      ).reduce((a, b) => Math.max(a, b));
    };
    for (let position = 0; position < N_IGNORED; position++) expect(sizeAt(0, position)).toBe(0);
    expect(sizeAt(0, N_IGNORED)).toBeGreaterThan(0);
  });

  it('is told by its graph when that is validated, whatever the model is called by then', async () => {
    const { graph } = await graphOf(chat);
    expect(graph.provenance.options).toMatchObject({ ignored_positions: N_IGNORED });
    const file = path.join(scratch.path, `${path.basename(chat)}.safetensors`);
    const of = async (model: string) => await validate({ ...common, file, model, top: 3 });
    const [own, renamed] = [await of(chat), await of(base)];
    expect(own.features.length).toBe(3);
    expect(renamed.features).toEqual(own.features);
  });

  it('is traced from prompts that begin as its chats do, and from no others', async () => {
    const refused = attribute({ ...common, model: chat, input: { prompt: 'The capital' } });
    await expect(refused).rejects.toMatchObject({ code: 'prompt_beginning', exitCode: 2 });
    const late = attribute({ ...common, model: chat, input: { tokens: CHAT.slice(0, 3) } });
    await expect(late).rejects.toMatchObject({ message: expect.stringContaining('ids 2, 105, 2364, 107') });
  });

  it('has BOS in front of a special token that is not BOS, in every command', async () => {
    const input = { prompt: '<start_of_turn>user' };
    const ids = async (model: string) =>
      (await run({ ...common, model, input })).tokens.map(({ id }) => id).slice(0, 2);
    expect(await ids(chat)).toEqual([2, 5]);
    expect((await ids(base))[0]).toBe(5);
    const continued = await generate({ ...common, model: chat, input, maxNewTokens: 1 });
    expect(continued.tokens[0]!.id).toBe(2);
    const twice = await run({ ...common, model: chat, input: { prompt: '<bos>x' } });
    expect(twice.tokens.filter(({ id }) => id === 2)).toHaveLength(1);
  });

  it('takes activations at these positions for zero when they are changed', async () => {
    const { graph } = await graphOf(base);
    const at = (position: number): readonly [number, number] => {
      const { active_features } = graph;
      for (let i = 0; i < active_features.length; i += 3)
        if (active_features[i + 1] === position) return [active_features[i]!, active_features[i + 2]!];
      throw new Error(`no feature is active at position ${position}`);
    };
    const [layer, feature] = at(N_IGNORED - 1);
    const doubled = async (model: string) =>
      await intervene({
        ...common,
        model,
        input: { tokens: TOKENS },
        interventions: [{ layer, feature, pos: N_IGNORED - 1, change: { kind: 'scale', factor: 2 } }],
      });
    const [changed] = (await doubled(base)).interventions;
    expect(changed!.before).toBeGreaterThan(0);
    const found = await doubled(chat);
    expect(found.interventions[0]).toMatchObject({ before: 0, after: 0 });
    expect(found.max_abs_logit_change).toBe(0);
  });
});
