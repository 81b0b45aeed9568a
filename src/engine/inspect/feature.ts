/** Engine, a part of `inspect`: one feature, its vectors, and the tokens that its decoder promotes and suppresses. */
import { selectBackend } from '../../backend/select.ts';
import type { HubClient } from '../../hub/resolve.ts';
import { firstNonFinite, widen } from '../../formats/dtype.ts';
import { largestIndices } from '../../model/logits.ts';
import { notFinite } from '../../model/not-finite.ts';
import { throughPostNorm, tokenEffects } from '../../model/token-effects.ts';
import type { FeaturePage } from '../../transcoder/feature-page.ts';
import { readActivation, readVector } from '../../transcoder/activations/read.ts';
import { sourceOf } from '../../transcoder/open.ts';
import { decoderRow, type LayerSource, type Located } from '../../transcoder/sources/source.ts';
import { openFeatureSource, scanOf } from '../features/source.ts';
import { fetchTokenizer } from '../names.ts';
import type { InspectRequest } from './types.ts';
import { REQUEST_DEFAULTS } from '../request.ts';
import type { FeaturePageResult, InspectFeatureResult, TokenEffectResult } from './types.ts';
import { openTokenizer, type OpenedSubject } from '../opened-subject.ts';

/** Reads only the rows of the feature, the tokenizer, and the unembedding once. */
export async function inspectFeature(
  request: InspectRequest,
  opened: OpenedSubject,
  client: HubClient,
  layer: number,
  feature: number,
  top: number = REQUEST_DEFAULTS.featureTokens,
): Promise<Omit<InspectFeatureResult, 'model' | 'transcoders'>> {
  const { checkpoint, set, subject } = opened;
  const source = sourceOf(set, layer)!;
  const tokenizer = await openTokenizer(await fetchTokenizer(request, subject.model, client));
  const activation = await readActivation(source);
  const encoder = await encoderRow(source, feature);
  const decoders = await decoderRows(source, feature);
  const { backend } = await selectBackend({
    device: request.device ?? REQUEST_DEFAULTS.device,
    arithmetic: request.dtype ?? REQUEST_DEFAULTS.dtype,
  });
  // What the feature writes into the residual stream altogether: the direct path ends at the last layer either way.
  const isBeforeNorm = set.config.feature_output_hook === 'mlp.hook_out';
  const entering = isBeforeNorm
    ? await Promise.all(decoders.map((row, i) => throughPostNorm(checkpoint, layer + i, row)))
    : decoders;
  const written = entering.reduce((sum, row) => sum.map((value, i) => value + row[i]!));
  const effects = await tokenEffects(backend, checkpoint, written);
  const describe = (ids: number[]): TokenEffectResult[] => {
    const texts = tokenizer.tokenStrings(ids);
    return ids.map((token_id, i) => ({ token_id, text: texts[i]!, effect: effects[token_id]! }));
  };
  const norms = decoders.map((row, i) => ({ layer: layer + i, norm: Math.hypot(...row) }));
  const features = await openFeatureSource({
    ...request,
    folder: request.features,
    scan: scanOf(subject.transcoders),
    set: subject.transcoders.source,
    client,
  });
  const page = await features.page(layer, feature);
  const label = await features.label(layer, feature);
  return {
    view: 'feature',
    layer,
    feature,
    activation: activation.kind,
    encoder_norm: Math.hypot(...encoder),
    decoder_norm: Math.hypot(...norms.map(({ norm }) => norm)),
    ...(source.W_dec.n_written_layers > 1 && { decoder_norms: norms }),
    threshold: activation.threshold?.[feature] ?? null,
    bias: (await readVector(source.b_enc))[feature]!,
    promotes: describe(largestIndices(effects, top)),
    suppresses: describe(
      largestIndices(
        effects.map((effect) => -effect),
        top,
      ),
    ),
    ...(label && { label }),
    ...(page && { page: pageResult(page) }),
  };
}

function pageResult({
  label,
  activation_frequency,
  act_max,
  examples_quantiles,
  fetched,
}: FeaturePage): FeaturePageResult {
  const examples = examples_quantiles[0]?.examples ?? []; // the strongest come first
  return {
    label,
    activation_frequency,
    largest_activation: act_max,
    examples: examples.map(({ tokens, tokens_acts_list, train_token_ind }) => ({
      tokens,
      activations: tokens_acts_list,
      position: train_token_ind,
    })),
    ...(fetched && { fetched }),
  };
}

async function encoderRow({ W_enc, d_transcoder }: LayerSource, feature: number): Promise<Float32Array> {
  const { file, info, transposed } = W_enc;
  if (!transposed) return finite(W_enc, widen(await file.readRows(info.name, [feature]), info.dtype));
  const all = widen(await file.read(info.name), info.dtype);
  const row = Float32Array.from({ length: info.shape[0]! }, (_, i) => all[i * d_transcoder + feature]!);
  return finite(W_enc, row);
}

/** One row for each layer written, [n_written_layers][d_model]. */
async function decoderRows({ W_dec }: LayerSource, feature: number): Promise<Float32Array[]> {
  const { file, info, n_written_layers } = W_dec;
  const rows: Float32Array[] = [];
  for (let j = 0; j < n_written_layers; j++) {
    const bytes = await file.readVectors(info.name, [decoderRow(W_dec, feature, j)]);
    rows.push(finite(W_dec, widen(bytes, info.dtype)));
  }
  return rows;
}

/** The numbers of a row, or `BadFileError`: a NaN would be shown as if it were a norm. */
function finite({ file, info }: Located, row: Float32Array): Float32Array {
  if (firstNonFinite(row) >= 0) throw notFinite(file.name, info.name);
  return row;
}
