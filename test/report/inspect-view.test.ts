import { describe, expect, it } from '@jest/globals';
import type {
  InspectFeatureResult,
  InspectLayerResult,
  InspectSummaryResult,
} from '../../src/engine/inspect/types.ts';
import { inspectView } from '../../src/report/inspect-view.ts';
import { lineOf, plain, subject } from './shown.ts';

describe('the views of inspect', () => {
  const source = { name: 'embedded', kind: 'preset' as const };
  const summary: InspectSummaryResult = {
    ...subject,
    view: 'summary',
    sources: { model: source, transcoders: { ...source, repository: 'owner/name', commit: 'abc' } },
    model_details: {
      architecture: 'Gemma2ForCausalLM', n_layers: 4, d_model: 32, n_heads: 4, n_key_value_heads: 2, d_head: 12, d_mlp: 72,
      d_vocab: 560, n_ctx: 256, window_size: 8, n_parameters: 52224, dtype: 'float32', bytes: 208896, n_hooks: 90,
    },
    transcoder_details: {
      model_kind: 'cross_layer_transcoder', layout: 'circuit-tracer', model_name: 'golden/tiny-a', n_transcoders: 4, activation: 'relu', d_transcoder: 128, n_features: 512,
      n_skip_connections: 0, feature_input_hook: 'ln2.hook_normalized', feature_output_hook: 'hook_mlp_out', scan: 'a/b', dtype: 'float32', bytes: 1024,
    },
  }; // prettier-ignore

  it('show where a name led to', () => {
    const text = inspectView(summary, { ...plain, columns: 120 });
    expect(text).toContain('embedded, owner/name, commit abc');
    expect(text).toContain('cross-layer');
  });

  it('say how many features the widest layer has where they differ', () => {
    const of = (change: object): string[] => {
      const transcoder_details = { ...summary.transcoder_details!, ...change };
      return lineOf(inspectView({ ...summary, transcoder_details }, { ...plain, columns: 120 }), 'features');
    };
    expect(of({})).toEqual(['features', '128 a layer, 512 in all']);
    expect(of({ n_features: 424 })).toEqual(['features', 'up to 128 a layer, 424 in all']);
  });

  it('say that a layer keeps its own MLP where the set has none for it', () => {
    const bare = { ...subject, view: 'layer', layer: 2, hooks: [], weights: [], transcoder: null } as const;
    expect(inspectView(bare, plain)).toMatch(/Transcoder\nnone: the layer keeps its own MLP$/);
    expect(inspectView({ ...bare, transcoders: 'none' }, plain)).not.toContain('Transcoder');
  });

  it('show hooks, weights and the transcoder of a layer', () => {
    const layer: InspectLayerResult = {
      ...subject,
      view: 'layer',
      layer: 2,
      hooks: [{ name: 'blocks.2.hook_resid_pre', shape: ['pos', 32] }],
      weights: [{ name: 'blocks.2.attn.W_Q', shape: [4, 32, 12], dtype: 'float32', bytes: 6144 }],
      transcoder: {
        layer: 2, activation: 'relu', threshold: null, d_transcoder: 128, has_skip: true, dtype: 'float32', bytes: 2048,
        encoder_norm: { min: 1, median: 2, max: 3 }, decoder_norm: { min: 1, median: 1, max: 1 }, encoder_bias: { min: -1, median: 0, max: 1 },
      },
    }; // prettier-ignore
    const text = inspectView(layer, plain);
    expect(lineOf(text, 'blocks.2.hook_resid_pre')).toEqual(['blocks.2.hook_resid_pre', '[pos, 32]']);
    expect(lineOf(text, 'blocks.2.attn.W_Q')).toEqual([
      'blocks.2.attn.W_Q',
      '[4, 32, 12]',
      'float32',
      '6.00 KiB',
    ]);
    expect(lineOf(text, 'encoder norm')).toEqual(['encoder norm min / median / max', '1 / 2 / 3']);
    expect(text).not.toContain('threshold');
  });

  it('show what a feature promotes and suppresses', () => {
    const feature: InspectFeatureResult = {
      ...subject, view: 'feature', layer: 1, feature: 17, activation: 'jumprelu', encoder_norm: 1.5, decoder_norm: 2, threshold: 0.25, bias: -0.5,
      promotes: [{ token_id: 5, text: ' Austin', effect: 0.75 }], suppresses: [{ token_id: 6, text: '\t', effect: -0.5 }],
      decoder_norms: [{ layer: 1, norm: 1 }, { layer: 2, norm: 1.7 }],
    }; // prettier-ignore
    const text = inspectView(feature, plain);
    expect(text).toContain('Layer 1, feature 17');
    expect(lineOf(text, '·Austin')).toEqual(['·Austin', '5', '0.75']);
    expect(lineOf(text, '\\t')).toEqual(['\\t', '6', '-0.5']);
    expect(lineOf(text, 'decoder norm into layer 2')).toEqual(['decoder norm into layer 2', '1.7']);
  });

  it('count the hooks and weights of a pattern', () => {
    const hooks = [{ name: 'hook_embed', shape: ['pos', 32] }];
    expect(inspectView({ ...subject, view: 'hooks', pattern: 'hook_e*', hooks }, plain)).toMatch(/\n1 hook$/);
    const weights = [{ name: 'embed.W_E', shape: [560, 32], dtype: 'bfloat16', bytes: 35840 }];
    const text = inspectView({ ...subject, view: 'weights', pattern: null, weights, bytes: 35840 }, plain);
    expect(text).toMatch(/\n1 weight, 35\.0 KiB$/);
  });
});
