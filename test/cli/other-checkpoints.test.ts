/** `tracer run` on checkpoints of other kinds than the golden ones: types on disk, an output matrix of its own, a padded vocabulary. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { TEST_DEVICES } from '../support/backends.ts';
import { copyFixture, editJson, editTensors, type FixtureCopy } from '../support/damage.ts';
import { referencePass, type ReferenceConfig } from '../support/gemma2-reference.ts';
import { goldenPath, prompts, readGoldenJson, tolerances } from '../support/golden.ts';
import { makeCheckpoint, type StoredAs } from '../support/made-checkpoint.ts';
import { expectValues, readTensors } from '../support/tensors.ts';
import { tracer } from './shared.ts';
import { envelope } from './start.ts';

const { text: PROMPT, token_ids: TOKENS } = prompts('tiny-a').p2;
const TOLERANCE = tolerances('tiny-a').logits_and_hooks;
const GOLDEN_CONFIG = readGoldenJson<ReferenceConfig>('tiny-a', 'model', 'config.json');

/** Replaces weights and configuration of a copied model by made ones; the tokenizer stays. */
function remake(copy: FixtureCopy, config: ReferenceConfig, dtype: StoredAs) {
  const tokenizer = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'];
  rmSync(copy.model, { recursive: true });
  const made = makeCheckpoint(copy.model, config, { dtype, seed: 3 });
  for (const file of tokenizer) cpSync(goldenPath('tiny-a', 'model', file), join(copy.model, file));
  return made;
}

async function run(copy: FixtureCopy, device: string, ...more: readonly string[]) {
  const names = ['--model', copy.model, '--transcoders', copy.set, '--device', device];
  const finished = await tracer(['run', PROMPT, ...names, ...more, '--json']);
  expect({ exitCode: finished.exitCode, error: envelope(finished).error }).toEqual({
    exitCode: 0,
    error: undefined,
  });
  return envelope(finished).data!;
}

describe.each(TEST_DEVICES)('tracer run on %s', (device) => {
  it.each([
    ['float16 with an output matrix of its own', 'F16', { tie_word_embeddings: false }],
    ['bfloat16 with one key/value head and no caps', 'BF16', { num_key_value_heads: 1, attn_logit_softcapping: null, final_logit_softcapping: null }], // prettier-ignore
    ['float32 at an odd place of the file', 'F32', {}],
  ] as const)('computes a checkpoint in %s as the formulas say', async (_, dtype, change) => {
    using copy = copyFixture('tiny-a');
    const config = { ...GOLDEN_CONFIG, ...change };
    const { weights } = remake(copy, config, dtype);
    const file = join(copy.path, 'activations.safetensors');
    const data = await run(copy, device, '--save-activations', file);
    expect((data['tokens'] as { id: number }[]).map(({ id }) => id)).toEqual(TOKENS);
    const saved = await readTensors(file);
    for (const [name, values] of referencePass(config, weights, TOKENS)) {
      expectValues(name, saved.get(name)!.values, values, TOLERANCE);
    }
  });

  it('shows tokens of a vocabulary that is larger than the tokenizer', async () => {
    using copy = copyFixture('tiny-a');
    const [best] = (await run(copy, device, '--top', '1'))['top'] as { token_id: number }[];
    const { vocab_size, hidden_size } = GOLDEN_CONFIG;
    // Rows nobody has a text for, as padded vocabularies have; the first is the likeliest token, only more so.
    editTensors(join(copy.model, 'model.safetensors'), (tensors) => {
      const key = 'model.embed_tokens.weight';
      const { dtype, bytes } = tensors.get(key)!;
      const rows = new Float32Array(Uint8Array.from(bytes).buffer);
      const likeliest = rows.subarray(best!.token_id * hidden_size, (best!.token_id + 1) * hidden_size);
      const padded = new Float32Array((vocab_size + 8) * hidden_size);
      padded.set(rows);
      padded.set(likeliest.map((value) => value * 1.5), vocab_size * hidden_size); // prettier-ignore
      tensors.set(key, { dtype, shape: [vocab_size + 8, hidden_size], bytes: new Uint8Array(padded.buffer) });
    });
    editJson(join(copy.model, 'config.json'), (value) => (value['vocab_size'] = vocab_size + 8));
    const data = await run(copy, device, '--top', '3');
    expect(data['output']).toMatchObject({ shape: [1, TOKENS.length, vocab_size + 8] });
    const top = data['top'] as { token_id: number; text: string }[];
    expect(top.map(({ token_id }) => token_id).slice(0, 2)).toEqual([vocab_size, best!.token_id]);
    expect(top[0]!.text).toEqual(expect.any(String));
  });
});
