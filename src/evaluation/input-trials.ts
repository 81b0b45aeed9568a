/** Evaluation: a set that rebuilds badly is tried with the values at other hooks as its input, on a small part of the corpus. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { blockHook, hookNames, type BlockSite, type HookName } from '../model/hooks.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { LayerFeatures } from '../transcoder/activations/activation.ts';
import type { Transcoder } from '../transcoder/transcoder-set.ts';
import { fidelityOf, LayerSums } from './layer-sums.ts';
import { OwnedTensors } from './owned-tensors.ts';
import { encodeInBlocks, reconstruct } from './reconstruct.ts';
import { CORPUS_START, windowBatches, type WindowSource } from './windows.ts';

/** Enough to tell 0.9 from below zero. */
const TRIAL_TOKENS = 256;

/** Where transcoders and autoencoders of the field read. */
const CANDIDATES: readonly BlockSite[] = [
  'hook_resid_pre',
  'hook_attn_out',
  'hook_resid_mid',
  'ln2.hook_normalized',
  'mlp.hook_in',
  'mlp.hook_out',
  'hook_mlp_out',
  'hook_resid_post',
];

export interface InputTrial {
  readonly hook: BlockSite;
  /** Whether the encoder was read in the other orientation, which only a square one allows. */
  readonly isTransposed: boolean;
  /** By layer; those where it is not defined are left out. */
  readonly explained: ReadonlyMap<number, number>;
}

interface Candidate {
  readonly hook: BlockSite;
  readonly isTransposed: boolean;
  readonly sums: Map<number, LayerSums>;
}

/** The hook of the set's own configuration is the first. Throws the reason of the signal. */
export async function inputTrials(
  replacement: ReplacementModel,
  source: WindowSource,
  signal?: AbortSignal,
): Promise<InputTrial[]> {
  const candidates = candidatesOf(replacement);
  for await (const { rows } of windowBatches({ ...source, maxTokens: TRIAL_TOKENS }, CORPUS_START)) {
    for (const row of rows) await tryWindow(replacement, candidates, row, source.n_ignored, signal);
  }
  return candidates.map(({ hook, isTransposed, sums }) => ({
    hook,
    isTransposed,
    explained: new Map(
      [...sums.values()]
        .map(fidelityOf)
        .flatMap(({ layer, explained_variance: ev }) => (ev === null ? [] : [[layer, ev] as const])),
    ),
  }));
}

function candidatesOf({ model, transcoders }: ReplacementModel): Candidate[] {
  const own = transcoders.config.feature_input_hook;
  const existing = new Set<string>(hookNames(model.config));
  const hooks = CANDIDATES.filter((site) => site !== own && existing.has(blockHook(0, site)));
  const candidate = (hook: BlockSite, isTransposed = false): Candidate => ({
    hook,
    isTransposed,
    sums: new Map(
      transcoders.layers.map(({ layer, d_transcoder }) => [
        layer,
        new LayerSums(layer, model.config.d_model, d_transcoder),
      ]),
    ),
  });
  const isSquare = transcoders.layers.every(({ W_enc: { shape } }) => shape[0] === shape[1]);
  return [
    candidate(own),
    ...hooks.map((hook) => candidate(hook)),
    ...(isSquare ? [candidate(own, true)] : []),
  ];
}

async function tryWindow(
  replacement: ReplacementModel,
  candidates: readonly Candidate[],
  row: readonly number[],
  n_ignored: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { transcoders } = replacement;
  const histories = candidates.map(() => new Map<number, LayerFeatures>());
  const captured = (layer: number): HookName[] =>
    transcoders.at(layer)
      ? [replacement.outputHook(layer), ...candidates.map(({ hook }) => blockHook(layer, hook))]
      : [];
  const names = new Set(transcoders.layers.flatMap(({ layer }) => captured(layer)));
  const n = row.length - n_ignored;
  using _pass = await replacement.forward(row, {
    logits: 'none',
    capture: (name) => names.has(name),
    ...(signal && { signal }),
    afterLayer: async (layer, activations) => {
      const transcoder = transcoders.at(layer);
      if (!transcoder) return;
      using owned = new OwnedTensors();
      const measured = (name: HookName): Tensor2D => {
        const values = activations.get<Tensor2D>(name);
        return owned.own(tf.slice<tf.Rank.R2, Tensor2D>(values, [n_ignored, 0], [n, values.shape[1]]));
      };
      const y = await measured(replacement.outputHook(layer)).data<'float32'>();
      for (const [i, { hook, isTransposed, sums }] of candidates.entries()) {
        const input = measured(blockHook(layer, hook));
        const encode = (rows: Tensor2D): Promise<LayerFeatures> =>
          isTransposed ? encodeTransposed(transcoder, rows) : transcoders.encode(layer, rows);
        const features = await encodeInBlocks(transcoder.d_transcoder, input, encode, signal);
        histories[i]!.set(layer, features);
        const [rebuilt] = await reconstruct(transcoders, layer, [{ input, features: histories[i]! }], signal);
        sums.get(layer)!.add(y, await owned.own(rebuilt!).data<'float32'>(), features);
      }
      for (const name of new Set(captured(layer))) activations.take(name).dispose();
    },
  });
}

/** Features of a square encoder read as its transpose. */
async function encodeTransposed({ W_enc, b_enc, finder }: Transcoder, x: Tensor2D): Promise<LayerFeatures> {
  using held = await W_enc.acquire();
  using owned = new OwnedTensors();
  const pre = owned.own(tf.tidy(() => tf.add<Tensor2D>(held.matMul(x), b_enc)));
  const { rows, columns, values } = await finder.find(pre, 0);
  return { positions: rows, features: columns, values };
}
