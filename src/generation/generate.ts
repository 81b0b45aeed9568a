/** Generation, step 3 of 3, and the room's entry: a continuation token by token, with keys and values kept (golden README, section 8). */
import { UsageError } from '../errors.ts';
import { FeatureChanges } from '../intervention/changes.ts';
import { Freeze } from '../intervention/freeze.ts';
import {
  changedPass,
  needsOriginal,
  originalPass,
  type InterventionPassOptions,
} from '../intervention/intervene.ts';
import { joinInputs } from '../intervention/observe.ts';
import type { InterventionPlan } from '../intervention/plan.ts';
import type { ActivationCache } from '../model/activation-cache.ts';
import type { HookName } from '../model/hooks.ts';
import { KeyValueCache } from '../model/kv-cache.ts';
import type { ForwardResult } from '../model/transformer.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { Ending, Endings } from './ending.ts';
import type { TokenChoice } from './sampling.ts';

export interface GenerateOptions {
  readonly maxNewTokens: number;
  readonly choose: TokenChoice;
  /** What ends the continuation; the token that does is its last one. Left out: only the limit. */
  readonly endings?: Endings | undefined;
  /** Changes in the pass over the prompt; open ranges continue in generated tokens. */
  readonly plan: InterventionPlan;
  readonly freeze: Freeze;
  /** Keeps logits and feature inputs of every pass for the result: megabytes a token. */
  readonly keepPasses?: boolean | undefined;
  /** Throws for numbers that are not finite; called with the logits of each pass. */
  readonly checkFinite?: ((logits: Float32Array) => Promise<void>) | undefined;
  /** Called with each token as soon as it is known. */
  readonly onToken?: ((id: number) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Dispose it, or take it with `using`. */
export interface Continuation extends Disposable {
  readonly newTokens: readonly number[];
  /** One row a generated token, [n_new][d_vocab]: the logits that it was chosen from; empty unless kept. */
  readonly logits: readonly Float32Array[];
  /** Null: the limit was reached. */
  readonly ending: Ending | null;
  /** Feature inputs of the prompt and of every generated token but the last, which is not run; null unless kept. */
  readonly inputs: ActivationCache | null;
}

/** Throws `UsageError` when prompt and continuation are longer than the context, and what `forward` throws. */
export async function generateTokens(
  replacement: ReplacementModel,
  tokens: readonly number[],
  options: GenerateOptions,
): Promise<Continuation> {
  checkLength(tokens.length, options.maxNewTokens, replacement.model.config.n_ctx);
  const { choose, onToken, endings, maxNewTokens, keepPasses = false } = options;
  using cache = new KeyValueCache();
  const passes: ForwardResult[] = [];
  const newTokens: number[] = [];
  const logits: Float32Array[] = [];
  let ending: Ending | null;
  try {
    let pass = await promptPass(replacement, tokens, cache, options);
    for (;;) {
      const row = await pass.lastLogits();
      if (keepPasses) {
        passes.push(pass);
        logits.push(row);
      } else pass[Symbol.dispose]();
      await options.checkFinite?.(row);
      const token = choose(row);
      newTokens.push(token);
      await onToken?.(token);
      ending = endings?.next(token) ?? null;
      if (newTokens.length >= maxNewTokens || ending !== null) break;
      pass = await tokenPass(replacement, token, cache, options);
    }
    const inputs = keepPasses
      ? joinInputs(
          replacement,
          passes.map(({ activations }) => activations),
        )
      : null;
    return {
      newTokens,
      logits,
      ending,
      inputs,
      [Symbol.dispose]: () => inputs?.[Symbol.dispose](),
    };
  } finally {
    for (const pass of passes) pass[Symbol.dispose]();
  }
}

/** The pass over the prompt: an intervention as any other. */
async function promptPass(
  replacement: ReplacementModel,
  tokens: readonly number[],
  cache: KeyValueCache,
  { plan, freeze, keepPasses, signal }: GenerateOptions,
): Promise<ForwardResult> {
  const options: InterventionPassOptions = {
    logits: 'last',
    cache,
    inputLayers: keepPasses ? undefined : [],
    ...(signal && { signal }),
  };
  if (!needsOriginal(plan, freeze)) {
    return await changedPass(replacement, tokens, plan, freeze, undefined, options);
  }
  const { inputLayers } = plan;
  using original = await originalPass(replacement, tokens, freeze, {
    logits: 'none',
    inputLayers,
    ...(signal && { signal }),
  });
  return await changedPass(replacement, tokens, plan, freeze, original, options);
}

/** One generated token: only open ranges act, nothing is held fixed, no position counts as inactive. */
async function tokenPass(
  replacement: ReplacementModel,
  token: number,
  cache: KeyValueCache,
  { plan, keepPasses, signal }: GenerateOptions,
): Promise<ForwardResult> {
  const inputs = new Set<HookName>();
  if (keepPasses) {
    for (const { layer } of replacement.transcoders.layers) inputs.add(replacement.inputHook(layer));
  }
  const nothing = new Freeze({ freezeAttention: false }, replacement.model.config.n_layers);
  using changes = await FeatureChanges.of(replacement, plan, nothing, {
    first: cache.length,
    n_pos: 1,
    ignored: 0,
  });
  return await replacement.forward([token], {
    cache,
    logits: 'last',
    edits: changes.edits,
    beforeLayer: changes.beforeLayer,
    capture: (name) => inputs.has(name),
    ...(signal && { signal }),
  });
}

/** The last token is not run, so that it may be the first one beyond the context. */
function checkLength(n_pos: number, maxNewTokens: number, n_ctx: number): void {
  if (n_pos + maxNewTokens - 1 <= n_ctx) return;
  throw new UsageError({
    code: 'continuation_too_long',
    message: `${n_pos} tokens of the prompt and ${maxNewTokens} new ones are more than the model's context of ${n_ctx}`,
    hint: `At most ${Math.max(0, n_ctx - n_pos + 1)} new tokens are possible.`,
  });
}
