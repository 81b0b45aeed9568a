/** Models in GGUF files, converted from the golden checkpoints by ggml's Python package: every hook is that of the reference. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BadFileError } from '../../src/errors.ts';
import { openCheckpoint, readConfig, weightOf } from '../../src/model/checkpoint.ts';
import { hookNames } from '../../src/model/hooks.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { readEndTokens } from '../../src/model/end-tokens.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { gguf, GGUF_FAMILIES, ggufModel, type GgufFamily } from '../support/gguf.ts';
import { folder, goldenPath, prompts, tolerances } from '../support/golden.ts';
import { changedGguf } from '../support/gguf-writer.ts';
import { expectTensor, readTensors } from '../support/tensors.ts';

const NAMES = Object.keys(GGUF_FAMILIES) as GgufFamily[];
const made = mkdtempSync(path.join(tmpdir(), 'tracer-gguf-'));
afterAll(() => rmSync(made, { recursive: true, force: true }));

describe.each(TEST_DEVICES)('GGUF files on %s', (device) => {
  it.each(NAMES)('%s: logits and every hook are those of the reference', async (name) => {
    const [fixture] = GGUF_FAMILIES[name];
    const backend = await openBackend(device);
    const expected = await readTensors(goldenPath(fixture, 'expected', 'activations.safetensors'));
    const tolerance = tolerances(fixture).logits_and_hooks;
    using checkpoint = await openCheckpoint(ggufModel(gguf(name)));
    using model = await loadTransformer(backend, checkpoint);
    let compared = 0;
    for (const prompt of ['p1', 'p2', 'p3'] as const) {
      using result = await model.forward(prompts(fixture)[prompt].token_ids, { capture: () => true });
      await expectTensor(`${prompt}/logits`, result.logits, expected.get(`${prompt}/logits`)!, tolerance);
      for (const hook of hookNames(model.config)) {
        const golden = expected.get(`${prompt}/${hook}`);
        if (!golden) continue;
        await expectTensor(`${prompt}/${hook}`, result.activations.get(hook), golden, tolerance);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(0);
  });
});

describe.each(NAMES)('the configuration of %s', (name) => {
  it('is that of the converted checkpoint, but for what is stored in another way', async () => {
    const [fixture] = GGUF_FAMILIES[name];
    const found = await readConfig(ggufModel(gguf(name)));
    const own = await readConfig(folder(goldenPath(fixture, 'model')));
    const plain = ({ family, block, rotary, eps, attn_scale, ...rest }: typeof own) => ({
      ...rest,
      architecture: family.architecture,
      block: { ...block, norm: block.norm.kind },
      base: rotary?.global.base,
      eps: eps.toPrecision(6),
      attn_scale: attn_scale.toPrecision(6),
    });
    expect(plain(found)).toEqual(plain(own));
    expect(found.block.norm).toEqual({ kind: 'rms', gainOffset: 0 });
    const scalings = own.rotary!.global.scaling ? 'divisors' : undefined;
    expect(found.rotary!.global.scaling?.kind).toBe(scalings);
    const ids = await readEndTokens(folder(goldenPath(fixture, 'model')), own);
    expect(await readEndTokens(ggufModel(gguf(name)), found)).toEqual(ids);
  });

  it('counts bytes as they are stored', async () => {
    using checkpoint = await openCheckpoint(ggufModel(gguf(name)));
    const W_Q = weightOf(checkpoint, 'blocks.0.attn.W_Q');
    expect(W_Q).toMatchObject({ key: 'blk.0.attn_q.weight', path: `${name}.gguf` });
    expect(W_Q.byteLength).toBe(checkpoint.file.tensors.get(W_Q.key)!.byteLength);
  });
});

describe('a GGUF file that cannot be traced as it is', () => {
  const REFUSED: [what: string, change: Parameters<typeof changedGguf>[1], message: RegExp][] = [
    [
      'of another architecture',
      { values: { 'general.architecture': 'mamba' } },
      /general\.architecture is "mamba"; known are "llama", "qwen2"/,
    ],
    ['without a key', { without: ['llama.block_count'] }, /has no llama\.block_count/],
    [
      'with a wrong type',
      { values: { 'llama.block_count': 'three' } },
      /llama\.block_count is "three", expected a number/,
    ],
    ['with experts', { values: { 'llama.expert_count': 8 } }, /num_local_experts is 8/],
    [
      'with heads of another size',
      { values: { 'llama.rope.dimension_count': 6 } },
      /llama\.rope\.dimension_count is 6, expected 12/,
    ],
    [
      'with yarn',
      { values: { 'llama.rope.scaling.type': 'yarn' } },
      /rope\.scaling\.type is "yarn", expected "none" or "linear"/,
    ],
    [
      'with two scalings',
      { values: { 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 2 } },
      /rope_freqs\.weight too/,
    ],
    [
      'with fewer layers',
      { values: { 'llama.block_count': 4 } },
      /no tensor blk\.3\.attn_norm\.weight \[48\]/,
    ],
    [
      'with another width',
      { values: { 'llama.feed_forward_length': 81 } },
      /blk\.0\.ffn_gate\.weight is \[80, 48\], expected \[81, 48\]/,
    ],
  ];

  it.each(REFUSED)('%s is refused by name', async (_what, change, message) => {
    const file = path.join(made, 'changed.gguf');
    writeFileSync(file, await changedGguf(gguf('llama'), change));
    const opening = openCheckpoint(ggufModel(file)).then((checkpoint) => checkpoint[Symbol.dispose]());
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toBeInstanceOf(BadFileError);
  });

  it('with matrices of a type that is not read names the tensor and the type', async () => {
    const file = path.join(made, 'iq.gguf');
    const change = { retype: { 'blk.1.ffn_up.weight': { type: 10, shape: [80, 256], bytes: 80 * 84 } } };
    writeFileSync(file, await changedGguf(gguf('llama'), change));
    await expect(openCheckpoint(ggufModel(file))).rejects.toThrow(
      /blk\.1\.ffn_up\.weight is stored as Q2_K, so it is quantised in a way that is not read/,
    );
  });
});
