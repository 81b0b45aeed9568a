/** Engine, verb `intervene`, for many prompts with one load; a file of cases can test a claimed circuit. */
import * as v from 'valibot';
import { UsageError, TracerError } from '../../errors.ts';
import { strictJsonObject } from '../../formats/json-object.ts';
import { parseJson } from '../../formats/json.ts';
import { readText } from '../../formats/parsed-text.ts';
import { parseHeadRemoval, parseHeadScale } from '../../intervention/head-change.ts';
import { asUsage, InterventionList, interventionsFromJson } from '../../intervention/json-form.ts';
import { checkExpectation, effectOf, unmet } from './effect.ts';
import { changedNextToken } from './next-token.ts';
import { checkInterventions, planInterventions } from './prepare.ts';
import {
  INTERVENE_DEFAULTS,
  type BatchCase,
  type BatchCaseResult,
  type BatchRequest,
  type BatchResult,
} from './types.ts';
import { inTemplate, noteChat } from '../chat.ts';
import { notePrompts } from '../prompt-notes.ts';
import type { ChatChoice, PromptInput } from '../request.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes } from '../stopwatch.ts';

/** A larger file is most likely not a list of cases. */
const LARGEST_BATCH_BYTES = 64 * 2 ** 20;

const HOW_A_LINE_IS_WRITTEN =
  'A line is {"prompt":"…","interventions":["0:8:104=*-2"],"remove_heads":["5.3:8"],"expect":" Austin"}.';

const Texts = v.union([v.string(), v.array(v.string())]);

const Line = strictJsonObject({
  name: v.optional(v.string()),
  prompt: v.optional(v.string()),
  tokens: v.optional(v.array(v.number())),
  interventions: v.optional(InterventionList, []),
  remove_heads: v.optional(v.array(v.string()), []),
  scale_heads: v.optional(v.array(v.string()), []),
  renormalize: v.optional(v.boolean(), false),
  free_attention: v.optional(v.boolean(), false),
  constrained_layers: v.optional(v.nullable(v.tuple([v.number(), v.number()]))),
  expect: v.optional(Texts),
  expect_not: v.optional(Texts),
  expect_prob: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
});

/** Reads a file of cases, one JSON object a line; `chat` holds for all prompts. Throws `NotFoundError` without it, `UsageError` naming the line. */
export async function readBatch(path: string, chat?: ChatChoice): Promise<BatchCase[]> {
  const lines = (await readText(path, LARGEST_BATCH_BYTES)).split(/\r?\n/);
  const cases: BatchCase[] = [];
  for (const [i, text] of lines.entries()) {
    if (text.trim() === '') continue;
    const name = `${path}, line ${i + 1}`;
    const line = await asUsage(() => parseJson(name, text, Line, i + 1), HOW_A_LINE_IS_WRITTEN);
    const range = line.constrained_layers;
    const heads = [
      ...line.remove_heads.map((head) => parseHeadRemoval(name, head)),
      ...line.scale_heads.map((head) => parseHeadScale(name, head)),
    ];
    if (line.renormalize && heads.length === 0) throw nothingToRenormalize(name);
    cases.push({
      line: i + 1,
      name: line.name,
      input: inputOf(line, name, chat),
      interventions: interventionsFromJson(line.interventions, name),
      heads,
      renormalize: line.renormalize,
      freezeAttention: !line.free_attention,
      constrainedLayers: range ? { from: range[0], to: range[1] } : undefined,
      expect: listed(line.expect),
      expectNot: listed(line.expect_not),
      expectProbability: line.expect_prob,
    });
  }
  if (cases.length > 0) return cases;
  throw new UsageError({
    code: 'empty_batch',
    message: `${path} has no lines`,
    hint: HOW_A_LINE_IS_WRITTEN,
  });
}

function nothingToRenormalize(name: string): UsageError {
  return new UsageError({
    code: 'renormalize_without_head',
    message: `${name}: renormalize is about rows of heads that are changed, but no head is`,
    hint: 'Add remove_heads or scale_heads.',
  });
}

function inputOf(
  { prompt, tokens }: v.InferOutput<typeof Line>,
  name: string,
  chat: ChatChoice | undefined,
): PromptInput {
  if (prompt !== undefined && tokens === undefined) return { prompt, chat };
  if (tokens !== undefined && prompt === undefined) {
    if (!chat) return { tokens };
    throw new UsageError({
      code: 'chat_with_tokens',
      message: `${name}: --chat puts texts into the chat template, but this case gives token ids`,
      hint: 'Give its prompt as text, or keep it in a file of its own.',
    });
  }
  throw new UsageError({
    code: 'missing_prompt',
    message: `${name}: either prompt or tokens is expected`,
    hint: 'Give one of them.',
  });
}

function listed(texts: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof texts === 'string' ? [texts] : texts;
}

/** Loads what the request names and runs all cases. Throws `UsageError` before the first pass when a case does not fit. */
export async function interveneBatch(request: BatchRequest): Promise<BatchResult> {
  using session = await openSession(request);
  return await batchIn(session, request);
}

/** As `interveneBatch`, in a session that is loaded already. */
export async function batchIn(session: Session, request: BatchRequest): Promise<BatchResult> {
  const { signal, onProgress } = request;
  const prepared: Prepared[] = [];
  for (const one of request.cases)
    prepared.push(await atLine(one.line, () => prepare(session, one, onProgress)));
  const read = prepared.map(({ one: { line }, input, tokens }) => ({ input, tokens, line }));
  const noted = notePrompts(read, session.prompts, onProgress);
  const cases: BatchCaseResult[] = [];
  for (const [done, ready] of prepared.entries()) {
    const progress = { kind: 'progress', phase: 'cases', message: 'Running cases' } as const;
    onProgress?.({ ...progress, done, total: prepared.length });
    cases.push(await runCase(session, ready, request.top ?? INTERVENE_DEFAULTS.top, signal));
  }
  return {
    ...session.description,
    ...noted,
    n_cases: cases.length,
    n_failed: cases.filter(({ passed }) => !passed).length,
    cases,
    timings_ms: session.stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

type Prepared = Awaited<ReturnType<typeof prepare>>;

async function prepare(session: Session, one: BatchCase, onProgress: BatchRequest['onProgress']) {
  const { tokenizer } = session;
  const input = await inTemplate(one.input, session.subject.model.files, tokenizer);
  const tokens = session.prompts.passTokens(input);
  return {
    one,
    input,
    chat: noteChat(input, tokens, tokenizer, onProgress, one.line),
    tokens,
    checked: checkInterventions(session, tokens.length, one, (event) =>
      onProgress?.(
        event.kind === 'warning' ? { ...event, message: `line ${one.line}: ${event.message}` } : event,
      ),
    ),
    expectation: checkExpectation(one, tokenizer),
  };
}

async function runCase(
  session: Session,
  { one, tokens, chat, checked, expectation }: Prepared,
  top: number,
  signal: AbortSignal | undefined,
): Promise<BatchCaseResult> {
  const { tokenizer } = session;
  using plan = await planInterventions(session, checked);
  const options = { name: `line ${one.line}`, signal };
  const { before, after } = await changedNextToken(session, tokens, plan, checked.freeze, options);
  const effect = effectOf(before, after, Math.max(1, top), tokenizer);
  const failure = unmet(expectation, effect.top[0]!);
  return {
    line: one.line,
    name: one.name ?? null,
    prompt: tokenizer.decode(tokens),
    ...chat,
    passed: failure === null,
    failure,
    ...effect,
  };
}

/** Adds the line number to an error. */
async function atLine<T>(line: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    const { exitCode, code, message, hint, cause } = error;
    throw new TracerError(exitCode, {
      code,
      message: `line ${line}: ${message}`,
      ...(hint !== undefined && { hint }),
      cause,
    });
  }
}
