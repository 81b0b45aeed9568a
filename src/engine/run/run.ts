/** Engine, verb `run`: one forward pass of the replacement model, and the requested values of it. */
import { ExpectationError } from '../../errors.ts';
import { writeSafetensors } from '../../formats/safetensors-writer.ts';
import type { Tensor, Tensor2D } from '../../backend/backend.ts';
import { checkTokens } from '../../model/check-tokens.ts';
import type { TransformerConfig } from '../../model/config.ts';
import { blockHook, matchHooks, type HookName } from '../../model/hooks.ts';
import { BEFORE_UNEMBEDDING, lastLogits } from '../../model/logit-blocks.ts';
import type { ForwardResult, Transformer } from '../../model/transformer.ts';
import type { ActiveFeatures } from '../../replacement/replacement-model.ts';
import { inTemplate, noteChat, type ReadInput } from '../chat.ts';
import { blockNumbers } from '../logit-numbers.ts';
import { mostLikely } from '../next-tokens.ts';
import { notePrompts } from '../prompt-notes.ts';
import { REQUEST_DEFAULTS } from '../request.ts';
import type { RunRequest } from './types.ts';
import type { NextTokenResult, SavedFileResult } from '../result.ts';
import type { FeatureResult, RunResult } from './types.ts';
import { openSession, type Session, type Unloaded } from '../session.ts';
import { peakRssBytes, Stopwatch } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';

/** The name under which `saveActivations` writes the logits; not a hook. */
const LOGITS = 'logits';

/**
 * Loads what the request names and runs it. Throws `UsageError` for a prompt that cannot be run, `ExpectationError` when
 * an expectation was not met; requested files are written before expectations are checked.
 */
export async function run(request: RunRequest): Promise<RunResult> {
  using session = await openSession(request, {
    mayLackSet: !wantsFeatures(request),
    check: async (opened) =>
      prepare(request, await inTemplate(request.input, opened.files, opened.prompts.tokenizer), opened),
  });
  return await runIn(session, request);
}

/** As `run`, in a session that is loaded already. */
export async function runIn(session: Session, request: RunRequest): Promise<RunResult> {
  const { replacement, tokenizer, stopwatch } = session;
  const input = await inTemplate(request.input, session.subject.model.files, tokenizer);
  const { tokens, names, expectedIds } = prepare(request, input, {
    prompts: session.prompts,
    config: replacement.model.config,
    set: replacement.transcoders.config,
  });
  const chat = noteChat(input, tokens, tokenizer, request.onProgress);
  const noted = notePrompts([{ input, tokens }], session.prompts, request.onProgress);
  const saved = request.saveActivations;
  const { savePatterns } = request;
  const patterns = new Set(savePatterns === undefined ? [] : hooksOfPatterns(replacement.model.config));
  const { model } = replacement;
  const options = {
    ...(request.signal && { signal: request.signal }),
    logits: 'none' as const,
    capture: (name: HookName): boolean =>
      name === BEFORE_UNEMBEDDING || patterns.has(name) || (names?.has(name) ?? false),
  };
  request.onProgress?.({
    kind: 'progress',
    phase: 'forward',
    message: tokens.length === 1 ? 'Running one token' : `Running ${tokens.length} tokens`,
  });
  const pass = async (): Promise<Pass> => {
    const { forward, features } = wantsFeatures(request)
      ? await replacement.run(tokens, options)
      : { forward: await replacement.forward(tokens, options), features: undefined };
    try {
      return {
        forward,
        features,
        last: await lastLogits(model, forward.activations.get(BEFORE_UNEMBEDDING)),
      };
    } catch (error) {
      forward[Symbol.dispose]();
      throw error;
    }
  };

  const { forward, features, last } = await stopwatch.time('forward', pass);
  using result = forward;
  await session.checkFinite(last, 'the logits');
  if (features) await session.checkFinite(features.values, 'the activations of features');
  const repeats_ms: number[] = [];
  for (let i = 0; i < (request.repeat ?? 0); i++) {
    const watch = new Stopwatch();
    const again = await watch.time('repeat', pass);
    again.forward[Symbol.dispose]();
    repeats_ms.push(watch.timings_ms['repeat']!);
  }
  const files: SavedFileResult[] = [];
  if (saved && names) files.push(await saveActivations(saved.file, names, result, model, request.signal));
  if (savePatterns !== undefined)
    files.push(await saveActivations(savePatterns, patterns, result, model, request.signal));
  if (request.saveFeatures !== undefined && features)
    files.push(await saveFeatures(request.saveFeatures, features));

  const top = mostLikely(last, Math.max(1, request.top ?? REQUEST_DEFAULTS.top), tokenizer);
  checkExpectations(request, top[0]!, expectedIds);
  const texts = tokenizer.tokenStrings(tokens);
  return {
    ...session.description,
    ...noted,
    ...chat,
    tokens: tokens.map((id, position) => ({ position, id, text: texts[position]! })),
    output: { shape: [1, tokens.length, model.config.d_vocab], dtype: 'float32' },
    top: request.top === 0 ? [] : top,
    ...(request.features !== undefined && features && { features: strongest(features, request.features) }),
    ...(files.length > 0 && { files }),
    ...(hasExpectation(request) && {
      expectation: { expected: request.expect ?? [], min_probability: request.expectProbability ?? null },
    }),
    timings_ms: { ...stopwatch.timings_ms },
    ...(repeats_ms.length > 0 && { repeats_ms }),
    peak_rss_bytes: peakRssBytes(),
  };
}

function wantsFeatures({ features, saveFeatures }: RunRequest): boolean {
  return features !== undefined || saveFeatures !== undefined;
}

interface Pass {
  readonly forward: ForwardResult;
  readonly features: ActiveFeatures | undefined;
  /** Logits of the last position, [d_vocab]. */
  readonly last: Float32Array;
}

interface Prepared {
  readonly tokens: readonly number[];
  /** Names of what is saved. */
  readonly names: ReadonlySet<string> | undefined;
  /** Ids of the texts that are expected. */
  readonly expectedIds: readonly number[];
}

/** Derived from the request, the tokenizer and the configuration alone. Throws `UsageError` for an invalid request. */
function prepare(
  request: RunRequest,
  input: ReadInput,
  { prompts, config, set }: Pick<Unloaded, 'prompts' | 'config' | 'set'>,
): Prepared {
  const tokens = prompts.passTokens(input);
  checkTokens(tokens, config);
  const saved = request.saveActivations;
  return {
    tokens,
    names:
      saved &&
      matchHooks(saved.names.length > 0 ? saved.names : ['*'], config, [LOGITS], set.feature_output_hook),
    expectedIds: (request.expect ?? []).map((text) => prompts.tokenizer.singleToken(text)),
  };
}

function hooksOfPatterns({ n_layers }: TransformerConfig): HookName[] {
  return Array.from({ length: n_layers }, (_, layer) => blockHook(layer, 'attn.hook_pattern'));
}

/** The k strongest features of each position, by position, then by activation. */
function strongest({ indices, values }: ActiveFeatures, k: number): FeatureResult[] {
  const all = Array.from(values, (activation, i): FeatureResult => {
    const [layer, position, feature] = indices.subarray(3 * i, 3 * i + 3);
    return { layer: layer!, position: position!, feature: feature!, activation };
  });
  all.sort((a, b) => a.position - b.position || b.activation - a.activation);
  let rank = 0;
  return all.filter(({ position }, i) => {
    rank = all[i - 1]?.position === position ? rank + 1 : 0;
    return rank < k;
  });
}

/** Each tensor is read in its turn, and what is as wide as the vocabulary made in blocks: little is in memory twice. */
async function saveActivations(
  file: string,
  names: ReadonlySet<string>,
  { activations }: ForwardResult,
  model: Transformer,
  signal: AbortSignal | undefined,
): Promise<SavedFileResult> {
  const rows = activations.get<Tensor2D>(BEFORE_UNEMBEDDING);
  const captured = [...activations.entries()]
    .filter(([name]) => names.has(name))
    .map(([name, value]) => ({ name, shape: value.shape, data: () => numbersOf(value) }));
  const unembedded = (['unembed.hook_post', LOGITS] as const)
    .filter((site) => names.has(site))
    .map((site) => ({
      name: site,
      shape: [rows.shape[0], model.config.d_vocab],
      data: () => blockNumbers(model, rows, site, { signal }),
    }));
  await writeSafetensors(
    file,
    [...captured, ...unembedded].map((tensor) => ({ ...tensor, dtype: 'F32' })),
    {},
    { signal },
  );
  return await writtenFile(file);
}

async function* numbersOf(tensor: Tensor): AsyncGenerator<Float32Array, void, undefined> {
  yield await tensor.data<'float32'>();
}

async function saveFeatures(file: string, { indices, values }: ActiveFeatures): Promise<SavedFileResult> {
  await writeSafetensors(file, [
    { name: 'indices', dtype: 'I32', shape: [values.length, 3], data: indices },
    { name: 'values', dtype: 'F32', shape: [values.length], data: values },
  ]);
  return await writtenFile(file);
}

function hasExpectation({ expect, expectProbability }: RunRequest): boolean {
  return (expect?.length ?? 0) > 0 || expectProbability !== undefined;
}

function checkExpectations(request: RunRequest, best: NextTokenResult, expectedIds: readonly number[]): void {
  const { expect = [], expectProbability } = request;
  const found = `the most likely next token is ${JSON.stringify(best.text)} (p=${best.probability.toFixed(3)})`;
  const hint = '`tracer run` without --expect shows the most likely tokens; spaces count.';
  if (expect.length > 0 && !expectedIds.includes(best.token_id)) {
    const expected = expect.map((text) => JSON.stringify(text)).join(' or ');
    throw new ExpectationError({ code: 'unexpected_token', message: `${found}; expected ${expected}`, hint });
  }
  if (expectProbability !== undefined && !(best.probability >= expectProbability)) {
    const message = `${found}; expected a probability of at least ${expectProbability}`;
    throw new ExpectationError({ code: 'unexpected_probability', message, hint });
  }
}
