/** Engine, verb `inspect`: what a model and its set consist of, from headers; norms and tokens from single layers. */
import { UsageError, unreachable } from '../../errors.ts';
import type { CheckpointWeight } from '../../model/checkpoint.ts';
import { numberOf } from '../../model/parameters.ts';
import { hookNames, hookShape, matchHooks, type HookName } from '../../model/hooks.ts';
import { nearest } from '../../nearest.ts';
import { kindOf, readVector } from '../../transcoder/activations/read.ts';
import { featureCounts, sourceOf } from '../../transcoder/open.ts';
import { tensorsOf } from '../../transcoder/sources/source.ts';
import { describeLayer } from '../load/load.ts';
import { inspectFeature } from './feature.ts';
import { decoderNorms, encoderNorms } from './norms.ts';
import { plainType } from '../plain-type.ts';
import type { InspectRequest } from './types.ts';
import type {
  HookResult,
  HookShape,
  InspectLayerResult,
  InspectResult,
  InspectSummaryResult,
  WeightResult,
} from './types.ts';

import { hubClient } from '../names.ts';
import { openSubject, type OpenedSubject } from '../opened-subject.ts';
import { spreadOf } from '../spread.ts';

/** Shows the part of a model and set that `request.show` names. No weight is read but those of a layer that is shown. */
export async function inspect(request: InspectRequest): Promise<InspectResult> {
  const { show } = request;
  // Headers and the rows that are shown are read over the network; nothing large is downloaded.
  const client = hubClient(request);
  using opened = await openSubject(request, {
    dryRun: true,
    client,
    mayLackSet: show.view !== 'feature',
  });
  const subject = {
    model: opened.subject.model.source.name,
    transcoders: opened.subject.transcoders.source.name,
  };
  switch (show.view) {
    case 'summary':
      return { ...subject, ...summary(opened) };
    case 'layer':
      return { ...subject, ...(await layerView(opened, checkedLayer(opened, show.layer))) };
    case 'feature': {
      const layer = checkedLayer(opened, show.layer);
      const feature = inRange(
        '--feature',
        show.feature,
        featureCounts(opened.set)[layer]!,
        `layer ${layer} has`,
        'features',
      );
      return { ...subject, ...(await inspectFeature(request, opened, client, layer, feature, show.top)) };
    }
    case 'hooks': {
      const pattern = show.pattern ?? null;
      return { ...subject, view: 'hooks', pattern, hooks: hooksOf(opened, pattern) };
    }
    case 'weights': {
      const pattern = show.pattern ?? null;
      const weights = matchingWeights(allWeights(opened), pattern);
      const bytes = weights.reduce((sum, weight) => sum + weight.bytes, 0);
      return { ...subject, view: 'weights', pattern, weights, bytes };
    }
    default:
      return unreachable(show);
  }
}

function summary({
  subject,
  checkpoint,
  set,
}: OpenedSubject): Omit<InspectSummaryResult, 'model' | 'transcoders'> {
  const { config, weights } = checkpoint;
  const tensors = set.layers.flatMap(tensorsOf);
  const [activation, ...otherKinds] = new Set(set.layers.map((layer) => kindOf(layer.activation)));
  const counts = featureCounts(set);
  return {
    view: 'summary',
    sources: { model: subject.model.source, transcoders: subject.transcoders.source },
    model_details: {
      architecture: config.family.architecture,
      n_layers: config.n_layers,
      d_model: config.d_model,
      n_heads: config.n_heads,
      n_key_value_heads: config.n_kv_heads,
      d_head: config.d_head,
      d_mlp: config.d_mlp,
      d_vocab: config.d_vocab,
      n_ctx: config.n_ctx,
      window_size: config.attn_types.includes('local') ? config.window_size : null,
      n_parameters: weights.reduce((sum, { shape }) => sum + numberOf(shape), 0),
      dtype: plainType(weights[0]!.info.dtype),
      bytes: weights.reduce((sum, { byteLength }) => sum + byteLength, 0),
      n_hooks: hookNames(config, set.config.feature_output_hook).length,
    },
    transcoder_details:
      set.layers.length === 0
        ? null
        : {
            model_kind: set.config.kind,
            model_name: set.config.model_name,
            n_transcoders: set.layers.length,
            layout: set.config.layout,
            activation: otherKinds.length > 0 ? 'mixed' : activation!,
            d_transcoder: counts.reduce((a, b) => Math.max(a, b), 0),
            n_features: counts.reduce((sum, count) => sum + count, 0),
            n_skip_connections: set.layers.filter((layer) => layer.W_skip).length,
            feature_input_hook: set.config.feature_input_hook,
            feature_output_hook: set.config.feature_output_hook,
            scan: set.config.scan,
            dtype: plainType(set.layers[0]!.W_enc.info.dtype),
            bytes: tensors.reduce((sum, [, { info }]) => sum + info.byteLength, 0),
          },
  };
}

async function layerView(
  opened: OpenedSubject,
  layer: number,
): Promise<Omit<InspectLayerResult, 'model' | 'transcoders'>> {
  const { set } = opened;
  const source = sourceOf(set, layer);
  const parts = source ? tensorsOf(source) : [];
  return {
    view: 'layer',
    layer,
    hooks: hooksOf(opened, `blocks.${layer}.*`),
    weights: layerWeights(opened, layer),
    transcoder: source
      ? {
          ...(await describeLayer(source, true)),
          encoder_norm: spreadOf(await encoderNorms(source)),
          decoder_norm: spreadOf(await decoderNorms(source)),
          encoder_bias: spreadOf(await readVector(source.b_enc)),
          bytes: parts.reduce((sum, [, { info }]) => sum + info.byteLength, 0),
        }
      : null,
  };
}

/** Shapes of the hooks that match a pattern, with numbers where the configuration fixes them. */
function hooksOf({ checkpoint: { config }, set }: OpenedSubject, pattern: string | null): HookResult[] {
  const output = set.config.feature_output_hook;
  const matched = matchHooks([pattern ?? '*'], config, [], output);
  const sizes = { ...config, ...config.block.experts } as unknown as Readonly<Record<string, unknown>>;
  // `pos * n_heads` becomes `pos * 8`, `n_heads * d_head` a number.
  const sizeOf = (text: string): number | string => {
    const factors = text.split(' * ').map((word) => (typeof sizes[word] === 'number' ? sizes[word] : word));
    const numbers = factors.map(Number);
    return numbers.some(Number.isNaN) ? factors.join(' * ') : numbers.reduce((a, b) => a * b, 1);
  };
  return hookNames(config, output)
    .filter((name) => matched.has(name))
    .map((name: HookName) => {
      const shape: HookShape = hookShape(name, config.block).slice(1, -1).split(', ').map(sizeOf);
      return { name, shape };
    });
}

function allWeights(opened: OpenedSubject): WeightResult[] {
  const model = opened.checkpoint.weights;
  const outside = (parameter: string): boolean => !parameter.startsWith('blocks.');
  const before = model.filter(({ parameter }) => parameter === 'embed.W_E');
  const after = model.filter(({ parameter }) => outside(parameter) && parameter !== 'embed.W_E');
  return [
    ...before.map(modelWeight),
    ...Array.from({ length: opened.checkpoint.config.n_layers }, (_, layer) =>
      layerWeights(opened, layer),
    ).flat(),
    ...after.map(modelWeight),
  ];
}

/** Parameters of a layer: the model's, then its transcoder's. */
function layerWeights({ checkpoint, set }: OpenedSubject, layer: number): WeightResult[] {
  const ofModel = checkpoint.weights.filter((weight) => weight.layer === layer).map(modelWeight);
  const source = sourceOf(set, layer);
  if (!source) return ofModel;
  const ofTranscoder = tensorsOf(source).map(([name, { file, info }]): WeightResult => ({
    name: `transcoders.${layer}.${name}`,
    shape: info.shape,
    dtype: plainType(info.dtype),
    bytes: info.byteLength,
    file: file.name,
  }));
  return [...ofModel, ...ofTranscoder];
}

function modelWeight({ parameter, shape, info, byteLength, fileName }: CheckpointWeight): WeightResult {
  return { name: parameter, shape, dtype: plainType(info.dtype), bytes: byteLength, file: fileName };
}

function matchingWeights(weights: readonly WeightResult[], pattern: string | null): WeightResult[] {
  if (pattern === null) return [...weights];
  const escaped = pattern.split('*').map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(`^${escaped.join('.*')}$`);
  const hits = weights.filter(({ name }) => expression.test(name));
  if (hits.length > 0) return hits;
  const near = nearest(
    pattern,
    weights.map(({ name }) => name),
  );
  throw new UsageError({
    code: 'unknown_weight',
    message: `no weight matches '${pattern}'`,
    hint: near
      ? `Did you mean '${near}'?`
      : '`tracer inspect --weights` lists all names; `*` stands for any text.',
  });
}

function checkedLayer({ checkpoint }: OpenedSubject, layer: number): number {
  return inRange('--layer', layer, checkpoint.config.n_layers, 'the model has', 'layers');
}

function inRange(flag: string, value: number, count: number, whoHas: string, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value < count) return value;
  if (count === 0) {
    throw new UsageError({
      code: 'out_of_range',
      message: `${flag} ${value}: ${whoHas} no ${what}`,
      hint: 'The set has no transcoder for this layer. Name another layer.',
    });
  }
  throw new UsageError({
    code: 'out_of_range',
    message: `${flag} ${value}: ${whoHas} ${count} ${what}`,
    hint: `Give a number from 0 to ${count - 1}.`,
  });
}
