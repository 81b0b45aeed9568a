/** Copies of golden checkpoints and sets with one thing damaged, given to the real binary; the golden files stay as they were. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { copyFixture, fingerprint, type FixtureCopy } from '../support/damage.ts';
import { goldenPath, FIXTURES, type Fixture } from '../support/golden.ts';
import { gemmaScopePath } from '../formats/support.ts';
import { refused, type CommandLine, type Refusal } from './refusal.ts';

export const WASM = ['--device', 'wasm'];
export const PROMPT = 'The capital of the';
export const W_Q = 'model.layers.1.self_attn.q_proj.weight';
export const W_K = 'model.layers.3.self_attn.k_proj.weight';
export const GAIN = 'model.layers.2.post_attention_layernorm.weight';
export const W_E = 'model.embed_tokens.weight';
export const RUN = ['run', PROMPT, ...WASM] as const;

/** One kind of damage. */
export interface Damage extends Omit<Refusal, 'exitCode'> {
  readonly title: string;
  readonly fixture?: Fixture;
  readonly set?: string;
  readonly damage: (copy: FixtureCopy) => void;
  /** Default: `load`, which reads headers and small vectors. */
  readonly args?: CommandLine;
  /** Default: 4, a damaged or unsuitable file. */
  readonly exitCode?: number;
}

export function refuses(cases: readonly Damage[]): void {
  it.each(cases.map((one) => [one.title, one] as const))('%s', async (_, one) => {
    using copy = copyFixture(one.fixture ?? 'tiny-a', one.set);
    one.damage(copy);
    const [command, ...args] = one.args ?? ['load'];
    const names = ['--model', copy.model, '--transcoders', copy.set];
    await refused(copy.path, [command, ...args, ...names], { exitCode: 4, ...one });
  });
}

export const modelFile = (copy: FixtureCopy): string => join(copy.model, 'model.safetensors');
export const layerFile = (copy: FixtureCopy, layer = 1): string =>
  join(copy.set, `layer_${layer}.safetensors`);
export const shard = (copy: FixtureCopy, number = 2): string =>
  join(copy.model, `model-0000${number}-of-00003.safetensors`);
export const config = (copy: FixtureCopy): string => join(copy.model, 'config.json');
export const setConfig = (copy: FixtureCopy): string => join(copy.set, 'config.yaml');
export const scopeFile = (copy: FixtureCopy): string =>
  join(copy.set, gemmaScopePath('tiny-a', 1).split('gemmascope/')[1]!);

/** For a file of tests: checks at its end that no golden file was touched. */
export function goldenStays(): void {
  let before: string[];
  beforeAll(() => {
    before = FIXTURES.map((fixture) => fingerprint(goldenPath(fixture)));
  });
  afterAll(() => {
    expect(FIXTURES.map((fixture) => fingerprint(goldenPath(fixture)))).toEqual(before);
  });
}
