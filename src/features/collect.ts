/** Features, building, step 1 of 2: the corpus is run through model and set window by window, and statistics are added up. */
import type { HookName } from '../model/hooks.ts';
import type { Tensor2D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { LayerFeatures } from '../transcoder/activations/activation.ts';
import type { BuildState } from './build-state.ts';

export interface CollectOptions {
  readonly signal?: AbortSignal | undefined;
  /** Throws for numbers that are not finite. */
  readonly checkFinite: (values: Float32Array) => Promise<void>;
}

/**
 * Adds one window, tokens with BOS in front. Position 0 is left out, as everywhere. When it throws the reason of the
 * signal, the state is as it was before the window.
 */
export async function collectWindow(
  replacement: ReplacementModel,
  state: BuildState,
  tokens: readonly number[],
  { signal, checkFinite }: CollectOptions,
): Promise<void> {
  const ignored = replacement.ignoredPositions(tokens);
  const byLayer = await activeFeatures(replacement, state, tokens, ignored, signal);
  for (const { values } of byLayer) await checkFinite(values);
  let offset: Promise<number> | undefined;
  const window = {
    number: state.progress.n_windows,
    offset: () => (offset ??= state.spool.appendWindow(tokens)),
  };
  for (const [i, statistics] of state.layers.entries())
    await statistics.add(byLayer[i]!, window, state.spool);
  const { n_windows, n_tokens, n_windows_of_document } = state.progress;
  state.progress = {
    ...state.progress,
    n_windows: n_windows + 1,
    n_windows_of_document: n_windows_of_document + 1,
    n_tokens: n_tokens + tokens.length - ignored,
  };
}

/** Of the layers of the state, in their order. */
async function activeFeatures(
  replacement: ReplacementModel,
  { layers }: BuildState,
  tokens: readonly number[],
  ignored: number,
  signal: AbortSignal | undefined,
): Promise<LayerFeatures[]> {
  const inputs = new Map(layers.map(({ layer }) => [layer, replacement.inputHook(layer)]));
  const names = new Set<HookName>(inputs.values());
  using pass = await replacement.forward(tokens, {
    capture: (name) => names.has(name),
    logits: 'none',
    ...(signal && { signal }),
  });
  const byLayer: LayerFeatures[] = [];
  for (const [layer, name] of inputs) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    const input = pass.activations.get<Tensor2D>(name);
    byLayer.push(await replacement.transcoders.encode(layer, input, ignored));
  }
  return byLayer;
}
