/** What a config.json of families other than Gemma 2 may say: keys that are refused by name, defaults, shares of a head. */
import { describe, expect, it } from '@jest/globals';
import { BadFileError, EXIT, type TracerError } from '../../src/errors.ts';
import { transformerConfig } from '../../src/model/families.ts';
import { readGoldenJson, type FamilyFixture } from '../support/golden.ts';

type Json = Record<string, unknown>;
type Fixture = FamilyFixture extends `families/${infer Name}` ? Name : never;

/** The golden file with other keys; undefined leaves a key out. */
function read(fixture: Fixture, change: Json) {
  const golden = readGoldenJson<Json>(`families/${fixture}`, 'model', 'config.json');
  return transformerConfig(JSON.parse(JSON.stringify({ ...golden, ...change })) as Json, 'config.json');
}

function refusal(fixture: Fixture, change: Json): TracerError {
  try {
    read(fixture, change);
  } catch (error) {
    expect(error).toBeInstanceOf(BadFileError);
    return error as TracerError;
  }
  throw new Error(`accepted: ${JSON.stringify(change)}`);
}

describe('Keys are refused by name', () => {
  const PLAIN = { rope_type: 'default', rope_theta: 1e6 };
  const SCALED = { rope_type: 'linear', factor: 2 };
  const cases: [Fixture, Json, string][] = [
    ['mistral', { attention_bias: true }, 'attention_bias is true, expected false or null'],
    ['mistral', { mlp_bias: true }, 'mlp_bias is true, expected false or null'],
    ['qwen2', { mlp_bias: true }, 'mlp_bias is true, expected false or null'],
    ['qwen3', { mlp_bias: true }, 'mlp_bias is true, expected false or null'],
    ['gpt-oss', { rope_parameters: undefined, rope_scaling: undefined, rope_theta: 1 }, 'rope_theta is 1, expected another base for "yarn"'], // prettier-ignore
    [
      'gpt-oss',
      { num_local_experts: 1e9 },
      'num_local_experts is 1000000000, expected at most 100000 experts',
    ],
    ['gemma3', { rope_parameters: { full_attention: PLAIN, chunked_attention: {} } }, 'rope_parameters.chunked_attention is {}'], // prettier-ignore
    [
      'gemma3',
      { rope_parameters: { full_attention: PLAIN, rope_theta: 5 } },
      'rope_parameters.rope_theta is 5',
    ],
    ['gemma3', { rope_parameters: { full_attention: 3 } }, 'rope_parameters.full_attention is 3, expected an object'], // prettier-ignore
    ['gemma3', { rope_parameters: { full_attention: null, sliding_attention: PLAIN } }, 'rope_parameters.full_attention is null'], // prettier-ignore
    ['gemma3', { rope_parameters: { sliding_attention: SCALED } }, 'rope_parameters.sliding_attention.rope_type is "linear"'], // prettier-ignore
    ['gemma3', { rope_scaling: null, rope_parameters: { full_attention: { ...SCALED, factor: 0 } } }, 'rope_parameters.full_attention.factor is 0'], // prettier-ignore
  ];
  it.each(cases)('of %s: %j', (fixture, change, says) => {
    const error = refusal(fixture, change);
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_config' });
    expect(error.message).toContain(`config.json: ${says}`);
  });

  it('and not where they are what the class has anyway', () => {
    expect(read('qwen2', { attention_bias: true }).block).toEqual(read('qwen2', {}).block);
    expect(read('mistral', { attention_bias: false, mlp_bias: null }).block).toEqual(
      read('mistral', {}).block,
    );
  });
});

describe('The size of a head that is not named', () => {
  it.each([
    ['qwen3', { head_dim: undefined }, 128],
    ['qwen3', { head_dim: null }, 8],
    ['llama', { head_dim: undefined }, 12],
    ['mistral', { head_dim: null }, 10],
    ['llama', { model_type: 'gemma', head_dim: undefined, rope_scaling: null, hidden_act: 'gelu' }, 256],
  ] as const)('of %s with %j is that of its class in transformers', (fixture, change, expected) => {
    expect(read(fixture, change).d_head).toBe(expected);
  });
});

describe('The rotated part of a head of 16', () => {
  const share = (rotary_pct: number): Json => ({
    rotary_pct,
    partial_rotary_factor: undefined,
    rope_parameters: undefined,
  });
  it.each([
    [1, 16],
    [0.28, 4],
    [0.42, 6], // 6.72
    [0.125, 2],
  ])('is cut to whole entries, as in transformers: %d gives %d', (given, expected) => {
    expect(read('gpt-neox', share(given)).rotary!.global.dim).toBe(expected);
  });

  it.each([0.35, 0.1, 0.01, 1.5])('has to be an even number of them: %d is refused', (given) => {
    expect(refusal('gpt-neox', share(given)).message).toContain(`rotary_pct is ${given}, expected`);
  });
});
