/** What a config.json may say: each key that changes a pass is honoured, or refused by name with its value. */
import { describe, expect, it } from '@jest/globals';
import { BadFileError, EXIT, type TracerError } from '../../src/errors.ts';
import { transformerConfig } from '../../src/model/families.ts';
import { readGoldenJson } from '../support/golden.ts';

type Json = Record<string, unknown>;

/** As transformers 4 saves it: `rope_theta` at the top, all layer types. */
const GOLDEN = readGoldenJson<Json>('tiny-a', 'model', 'config.json');

/** The golden file with other keys; undefined leaves a key out. */
function changed(change: Json): Json {
  return JSON.parse(JSON.stringify({ ...GOLDEN, ...change })) as Json;
}

const read = (change: Json) => transformerConfig(changed(change), 'config.json');
const PLAIN = read({});

function refusal(change: Json): TracerError {
  try {
    read(change);
  } catch (error) {
    expect(error).toBeInstanceOf(BadFileError);
    return error as TracerError;
  }
  throw new Error(`accepted: ${JSON.stringify(change)}`);
}

describe('Rotations', () => {
  const without = { rope_theta: undefined };
  const same: [string, Json][] = [
    ['no word of them', without],
    ['null', { rope_scaling: null, rope_parameters: null }],
    ['an empty object', { rope_scaling: {} }],
    ['the type default', { rope_scaling: { rope_type: 'default' } }],
    ['the type default in its older spelling', { rope_scaling: { type: 'default' } }],
    ['both spellings', { rope_scaling: { rope_type: 'default', type: 'default' } }],
    [
      'the form of transformers 5',
      { ...without, rope_parameters: { rope_type: 'default', rope_theta: 10000 } },
    ],
    [
      'the same base in three places',
      { rope_scaling: { rope_theta: 10000 }, rope_parameters: { rope_theta: 10000 } },
    ],
    ['a factor of one', { rope_parameters: { rope_type: 'default', factor: 1.0, rope_theta: 10000.0 } }],
    ['the length it was trained on', { rope_scaling: { rope_type: 'default', original_max_position_embeddings: 8192 } }], // prettier-ignore
    ['nulls', { rope_parameters: { rope_type: null, rope_theta: null, factor: null } }],
    ['one object a layer type', { ...without, rope_parameters: { sliding_attention: { rope_type: 'default', rope_theta: 10000 }, full_attention: { rope_type: 'default', rope_theta: 10000 } } }], // prettier-ignore
    ['an object for one layer type', { rope_parameters: { full_attention: { rope_type: 'default' } } }],
  ];
  it.each(same)('are plain with %s', (_, change) => {
    expect(read(change)).toEqual(PLAIN);
  });

  it.each([
    ['rope_theta', { rope_theta: 500_000 }],
    ['rope_parameters', { rope_parameters: { rope_type: 'default', rope_theta: 500_000 } }],
    ['rope_scaling', { rope_scaling: { rope_type: 'default', rope_theta: 500_000 } }],
    ['objects a layer type', { rope_parameters: { sliding_attention: { rope_theta: 500_000 }, full_attention: { rope_theta: 500_000 } } }], // prettier-ignore
    ['an object for the only layer type', { layer_types: Array(4).fill('full_attention'), rope_parameters: { full_attention: { rope_theta: 500_000 } } }], // prettier-ignore
  ])('have the base that %s gives', (_, change) => {
    expect(read(change).rotary?.global.base).toBe(500_000);
  });

  const scaled = ['linear', 'dynamic', 'yarn', 'longrope', 'llama3', 'su', 'mrope', 'proportional'];
  it.each(
    scaled.flatMap((type) =>
      [
        { rope_scaling: { rope_type: type, factor: 8 } },
        { rope_scaling: { type, factor: 8 } },
        { rope_parameters: { rope_type: type, factor: 8, rope_theta: 10000 } },
        {
          rope_parameters: {
            sliding_attention: { rope_type: 'default', rope_theta: 10000 },
            full_attention: { rope_type: type, factor: 8, rope_theta: 10000 },
          },
        },
      ].map((change) => [type, change] as const),
    ),
  )('that are scaled are refused (%s, %j)', (type, change) => {
    // prettier-ignore
    const [key] = Object.keys(change);
    const error = refusal(change);
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_config' });
    expect(error.message).toContain(`config.json: ${key}.`);
    expect(error.message).toContain(`type is "${type}", expected "default"`);
    expect(error.hint).toContain('checkpoint');
  });

  const refused: [string, Json, string][] = [
    ['a factor without a type', { rope_parameters: { factor: 8 } }, 'rope_parameters.factor is 8'],
    [
      'a factor beside default',
      { rope_scaling: { rope_type: 'default', factor: 2 } },
      'rope_scaling.factor is 2',
    ],
    [
      'a part of each head',
      { rope_parameters: { partial_rotary_factor: 0.5 } },
      'partial_rotary_factor is 0.5',
    ],
    ['keys of a scaling', { rope_scaling: { beta_fast: 32 } }, 'rope_scaling.beta_fast is 32'],
    ['two bases', { rope_parameters: { sliding_attention: { rope_theta: 10000 }, full_attention: { rope_theta: 1e6 } } }, 'rope_parameters.full_attention.rope_theta is 1000000, expected 10000'], // prettier-ignore
    ['another base for one layer type', { rope_parameters: { full_attention: { rope_theta: 1e6 } } }, 'rope_parameters.full_attention.rope_theta is 1000000, expected 10000 as rope_theta'], // prettier-ignore
    ['two bases in two places', { rope_scaling: { rope_theta: 5 }, rope_parameters: { rope_theta: 6 } }, 'rope_parameters.rope_theta is 6, expected 5'], // prettier-ignore
    ['no rotation in some layers', { rope_parameters: { sliding_attention: {}, full_attention: null } }, 'rope_parameters.full_attention is null'], // prettier-ignore
    ['an unknown layer type', { rope_parameters: { full_attention: {}, chunked_attention: {} } }, 'rope_parameters.chunked_attention is {}'], // prettier-ignore
    ['layer types beside a scaling', { rope_parameters: { full_attention: {}, factor: 8 } }, 'rope_parameters.factor is 8'], // prettier-ignore
    ['a base that is none', { rope_parameters: { rope_theta: -1 } }, 'rope_parameters.rope_theta is -1'],
    ['a text', { rope_scaling: 'linear' }, 'rope_scaling is "linear"'],
    ['a list', { rope_parameters: [1] }, 'rope_parameters is [1]'],
  ];
  it.each(refused)('are refused with %s', (_, change, says) => {
    const error = refusal(change);
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_config' });
    expect(error.message).toContain(says);
  });
});

describe('Keys that change a pass', () => {
  const honoured: [Json, Partial<typeof PLAIN>][] = [
    [{ attn_logit_softcapping: null, final_logit_softcapping: 20 }, { attn_scores_soft_cap: null, output_logits_soft_cap: 20 }], // prettier-ignore
    [{ attn_logit_softcapping: undefined, final_logit_softcapping: undefined }, { attn_scores_soft_cap: 50, output_logits_soft_cap: 30 }], // prettier-ignore
    [{ query_pre_attn_scalar: 144 }, { attn_scale: 12 }],
    [{ rms_norm_eps: 1e-5 }, { eps: 1e-5 }],
    [{ sliding_window: 5 }, { window_size: 5 }],
    [{ sliding_window: undefined }, { window_size: 4096 }],
    [{ tie_word_embeddings: false }, { tie_word_embeddings: false }],
    [{ layer_types: undefined }, { attn_types: ['local', 'global', 'local', 'global'] }],
    [
      { layer_types: null, sliding_window_pattern: 2 },
      { attn_types: ['local', 'global', 'local', 'global'] },
    ],
    [{ layer_types: ['full_attention', 'full_attention', 'sliding_attention', 'full_attention'], sliding_window_pattern: 6 }, { attn_types: ['global', 'global', 'local', 'global'] }], // prettier-ignore
    [{ hidden_activation: undefined, hidden_act: 'gelu' }, {}],
    [{ hidden_activation: null, hidden_act: 'gelu_pytorch_tanh' }, {}],
    [{ hidden_activation: 'gelu_new' }, {}],
    [{ hidden_activation: undefined, hidden_act: undefined }, {}],
    [{ hidden_act: 'silu' }, {}], // not read beside hidden_activation, in transformers neither
  ];
  it.each(honoured)('are honoured: %j', (change, expected) => {
    expect(read(change)).toEqual({ ...PLAIN, ...expected });
  });

  const refused: [string, unknown][] = [
    ['attention_bias', true],
    ['qkv_bias', true],
    ['mlp_bias', true],
    ['lm_head_bias', true],
    ['use_bidirectional_attention', true],
    ['use_bidirectional_attention', 'all'],
    ['is_causal', false],
    ['use_qk_norm', true],
    ['attention_chunk_size', 8192],
    ['partial_rotary_factor', 0.5],
    ['no_rope_layers', [0, 1, 1, 1]],
    ['clip_qkv', 8],
    ['alibi', true],
    ['embedding_multiplier', 12],
    ['residual_multiplier', 0.22],
    ['logits_scaling', 8],
    ['use_parallel_residual', true],
    ['num_local_experts', 8],
    ['num_kv_shared_layers', 2],
    ['pruned_heads', { 0: [1] }],
    ['per_layer_config', { 1: { sliding_window: 4 } }],
    ['transformers_weights', 'other.safetensors'],
    ['sliding_window_size', 4096],
    ['hidden_activation', 'silu'],
    ['hidden_activation', 'gelu'],
    ['num_key_value_heads', 3],
    ['head_dim', 7],
    ['layer_types', ['full_attention']],
  ];
  it.each(refused)('are refused by name: %s %j', (key, value) => {
    const error = refusal({ [key]: value });
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_config' });
    expect(error.message).toContain(`config.json: ${key} is ${JSON.stringify(value)}, expected `);
    expect(error.hint).toContain('checkpoint');
  });

  it.each([
    ['hidden_act is "silu"', { hidden_activation: undefined, hidden_act: 'silu' }],
    ['sliding_window_pattern is 6', { layer_types: undefined, sliding_window_pattern: 6 }],
    ['layer_types[1] is "chunked_attention"', { layer_types: ['full_attention', 'chunked_attention', 'full_attention', 'full_attention'] }], // prettier-ignore
    ['layer_types[0] is "toString"', { layer_types: Array(4).fill('toString') }],
  ])('are refused by name: %s', (says, change) => {
    expect(refusal(change).message).toContain(`config.json: ${says}, expected `);
  });

  it.each([
    ['sliding_window', 'wide'],
    ['final_logit_softcapping', 0],
    ['query_pre_attn_scalar', undefined],
    ['tie_word_embeddings', 'yes'],
    ['model_type', undefined],
  ])('are refused in a type that is none: %s %j', (key, value) => {
    const error = refusal({ [key]: value });
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_field' });
    expect(error.message).toContain(`config.json: field ${key}: expected`);
  });

  it('do not include those of transformers that leave a pass as it is, their neutral values, and keys nobody knows', () => {
    const harmless = {
      _name_or_path: 'x',
      architectures: ['Gemma2ForCausalLM'],
      attention_bias: false,
      attention_dropout: 0.1,
      bos_token_id: 2,
      cache_implementation: 'hybrid',
      dtype: 'bfloat16',
      eos_token_id: [1, 107],
      id2label: { 0: 'x' },
      initializer_range: 0.02,
      is_causal: true,
      mlp_bias: null,
      partial_rotary_factor: 1.0,
      per_layer_config: {},
      pruned_heads: {},
      sliding_window_size: 8,
      torch_dtype: 'bfloat16',
      transformers_version: '5.24.0',
      transformers_weights: 'model.safetensors',
      unsloth_fixed: true,
      use_bidirectional_attention: null,
      use_cache: false,
    };
    expect(read(harmless)).toEqual(PLAIN);
  });
});
