/** Engine, verb `generate`: a continuation, plain or under interventions. */
import { randomInt } from 'node:crypto';
import { UsageError } from '../../errors.ts';
import { writeSafetensors } from '../../formats/safetensors-writer.ts';
import { Endings, type Ending } from '../../generation/ending.ts';
import { generateTokens, type Continuation } from '../../generation/generate.ts';
import { tokenChoice } from '../../generation/sampling.ts';
import type { TransformerConfig } from '../../model/config.ts';
import { readEndTokens } from '../../model/end-tokens.ts';
import type { FileSet } from '../../model/file-set.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { GENERATE_DEFAULTS, type GenerateRequest, type GenerateResult } from './types.ts';
import { checkInterventions, frozenResult, planInterventions } from '../intervene/prepare.ts';
import { observedTensors, tokenResults } from '../intervene/intervene.ts';
import { inTemplate, noteChat, type ReadInput } from '../chat.ts';
import { note, promptNotes } from '../prompt-notes.ts';
import type { PromptReader } from '../prompt-reader.ts';
import type { SavedFileResult } from '../result.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';

const LARGEST_SEED = 2 ** 32 - 1;

/** Loads what the request names and continues the prompt. Throws `UsageError` for what does not fit. */
export async function generate(request: GenerateRequest): Promise<GenerateResult> {
  using session = await openSession(request, {
    mayLackSet: !wantsFeatures(request),
    check: async ({ prompts, config, files }) =>
      prepare(request, await inTemplate(request.input, files, prompts.tokenizer), prompts, config, files),
  });
  return await generateIn(session, request);
}

function wantsFeatures({ interventions, supernodes, preActivations }: GenerateRequest): boolean {
  return [...(interventions ?? []), ...(supernodes ?? [])].length > 0 || (preActivations ?? false);
}

interface Prepared {
  readonly tokens: readonly number[];
  /** None with `stopAtEos: false`, or where the model's files name none. */
  readonly endTokens: readonly number[];
  readonly endings: Endings;
}

/** Derived from the request and all files except weights. Throws `UsageError`, and `BadFileError` for invalid token ids. */
async function prepare(
  { stopAtEos = true, stop = [] }: GenerateRequest,
  input: ReadInput,
  prompts: PromptReader,
  config: TransformerConfig,
  files: FileSet,
): Promise<Prepared> {
  if (stop.includes('')) {
    throw new UsageError({
      code: 'empty_stop',
      message: '--stop: expected a text, found an empty one',
      hint: "Give the text that is to end the continuation: --stop '.'.",
    });
  }
  const tokens = prompts.passTokens(input);
  const endTokens = stopAtEos ? await readEndTokens(files, config) : [];
  return {
    tokens,
    endTokens,
    endings: new Endings(prompts.tokenizer, tokens, { endTokens, stopTexts: stop }),
  };
}

/** What is to be said of the tokens that end a text. */
function endNotes(endTokens: readonly number[], { d_vocab }: TransformerConfig): string[] {
  if (endTokens.length === 0) return ['no token ends the text: the files of the model name no eos_token_id'];
  return endTokens
    .filter((id) => id >= d_vocab)
    .map((id) => `no text ends with token ${id}: the model has ${d_vocab}, but names it as eos_token_id`);
}

function endingResult(
  ending: Ending | null,
  tokenizer: Tokenizer,
): Pick<GenerateResult, 'stopped_at' | 'stopped_by'> {
  switch (ending?.kind) {
    case 'eos':
      return { stopped_at: 'eos', stopped_by: tokenizer.tokenStrings([ending.token])[0]! };
    case 'text':
      return { stopped_at: 'stop', stopped_by: ending.text };
    case undefined:
      return { stopped_at: 'length', stopped_by: null };
  }
}

/** As `generate`, in a session that is loaded already. */
export async function generateIn(session: Session, request: GenerateRequest): Promise<GenerateResult> {
  const { replacement, tokenizer, stopwatch } = session;
  const { signal, onProgress } = request;
  const temperature = request.temperature ?? GENERATE_DEFAULTS.temperature;
  const maxNewTokens = request.maxNewTokens ?? GENERATE_DEFAULTS.maxNewTokens;
  const isDrawn = temperature !== 0;
  const seed = request.seed ?? (isDrawn ? randomInt(LARGEST_SEED + 1) : 0);
  const choose = tokenChoice({ temperature, topK: request.topK, topP: request.topP, seed });
  if (!isDrawn && (request.topK !== undefined || request.topP !== undefined)) {
    const message = 'top-k and top-p do nothing at temperature 0: the most likely token is always taken';
    onProgress?.({ kind: 'warning', message });
  }
  const { config, files: modelFiles } = session.subject.model;
  const input = await inTemplate(request.input, modelFiles, tokenizer);
  const { tokens, endTokens, endings } = await prepare(request, input, session.prompts, config, modelFiles);
  const chat = noteChat(input, tokens, tokenizer, onProgress);
  const aboutEnd = (request.stopAtEos ?? true) ? endNotes(endTokens, config) : [];
  const noted = note([...promptNotes([{ input, tokens }], session.prompts), ...aboutEnd], onProgress);
  const checked = checkInterventions(session, tokens.length, request, onProgress, maxNewTokens - 1);
  using plan = await planInterventions(session, checked);
  const phase = { kind: 'progress', phase: 'forward', message: `Reading ${tokens.length} tokens` } as const;
  onProgress?.(phase);

  const stream = tokenizer.decodeStream({ skipSpecialTokens: true });
  let text = tokens.map((id) => stream.push(id)).join('');
  let continuation = '';
  const say = async (piece: string): Promise<void> => {
    continuation += piece;
    if (piece !== '') await request.onText?.(piece);
  };
  const arrivals: number[] = [];
  const startMs = performance.now();
  using generated = await stopwatch.time('generate', () =>
    generateTokens(replacement, tokens, {
      maxNewTokens,
      choose,
      plan,
      freeze: checked.freeze,
      keepPasses: request.output !== undefined,
      checkFinite: (row) => session.checkFinite(row, 'the logits'),
      endings,
      async onToken(id) {
        arrivals.push(performance.now());
        if (arrivals.length === 1 && text !== '') await request.onText?.(text);
        await say(stream.push(id));
      },
      signal,
    }),
  );
  await say(stream.end());
  text += continuation;

  const all = [...tokens, ...generated.newTokens];
  const files: SavedFileResult[] = [];
  if (request.output !== undefined) {
    await writeContinuation(session, request, request.output, tokens, generated);
    files.push(await writtenFile(request.output));
  }
  const nLater = arrivals.length - 1;
  return {
    ...session.description,
    ...noted,
    ...chat,
    ...frozenResult(checked.freeze),
    tokens: tokenResults(session, all),
    n_prompt_tokens: tokens.length,
    text,
    continuation,
    ...endingResult(generated.ending, tokenizer),
    seed: isDrawn ? seed : null,
    files,
    first_token_ms: arrivals[0]! - startMs,
    ms_per_token: nLater > 0 ? (arrivals.at(-1)! - arrivals[0]!) / nLater : null,
    timings_ms: stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

async function writeContinuation(
  { replacement }: Session,
  { preActivations, signal }: GenerateRequest,
  file: string,
  tokens: readonly number[],
  { newTokens, logits, inputs }: Continuation,
): Promise<void> {
  const options = { ignored: replacement.ignoredPositions(tokens), signal };
  const all = Int32Array.from([...tokens, ...newTokens]);
  await writeSafetensors(
    file,
    [
      {
        name: 'logits',
        dtype: 'F32',
        shape: [logits.length, replacement.model.config.d_vocab],
        data: () => logits,
      },
      ...(await observedTensors(replacement, inputs!, preActivations ?? false, options)),
      { name: 'tokens', dtype: 'I32', shape: [all.length], data: all },
    ],
    {},
    { signal },
  );
}
