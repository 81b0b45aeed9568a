/** Engine, verb `intervene` for a list of prompts: the same change in each of them, one after the other, and a table of what follows. */
import { Freeze } from '../../intervention/freeze.ts';
import type { InterventionPlan } from '../../intervention/plan.ts';
import { softmax } from '../../model/logits.ts';
import { metadataColumns, metadataValue } from '../../study/metadata-columns.ts';
import { checkResultFile, writeResultTable } from '../../study/result-table.ts';
import type { Columns } from '../../study/tables.ts';
import { failureOf } from '../failure.ts';
import { readPromptList, type NamedPrompt, type PromptLine } from '../attribute/prompt-list.ts';
import { inTemplate } from '../chat.ts';
import { isOfOnePrompt } from '../prompt-faults.ts';
import { notePrompts } from '../prompt-notes.ts';
import type { CommonOptions } from '../request.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';
import { effectOf } from './effect.ts';
import { changedNextToken } from './next-token.ts';
import { checkInterventions, frozenResult, planInterventions, type CheckedInterventions } from './prepare.ts';
import {
  INTERVENE_DEFAULTS,
  type IntervenedPrompt,
  type IntervenePromptsRequest,
  type IntervenePromptsResult,
} from './types.ts';

/** What one prompt gives besides its metadata. */
const COLUMNS = {
  slug: 'VARCHAR',
  line: 'INTEGER',
  prompt: 'VARCHAR',
  before: 'VARCHAR',
  before_id: 'INTEGER',
  after: 'VARCHAR',
  after_id: 'INTEGER',
  logit_before: 'DOUBLE',
  logit_after: 'DOUBLE',
  probability_before: 'DOUBLE',
  probability_after: 'DOUBLE',
  after_probability: 'DOUBLE',
  kl_divergence: 'DOUBLE',
} as const satisfies Columns;

type Done = Extract<IntervenedPrompt, { ok: true }>;
type UsableLine = PromptLine & NamedPrompt;

/**
 * Loads what the request names and changes every prompt of the list. A line that cannot be used, or that the change does not fit, is
 * reported in the result and does not stop the others; what fits no prompt at all is thrown before the first pass. Errors of the
 * list as `readPromptList`.
 */
export async function intervenePrompts(request: IntervenePromptsRequest): Promise<IntervenePromptsResult> {
  const { output, signal, onProgress } = request;
  if (output !== undefined) await checkResultFile(output);
  const lines = await readPromptList(request.prompts);
  using session = await openSession(request);
  const freeze = new Freeze(request, session.replacement.model.config.n_layers);
  using work = new ListOfPrompts(session, request);
  for (const [done, line] of lines.entries()) {
    signal?.throwIfAborted();
    const progress = { kind: 'progress', phase: 'prompts', message: 'Changing prompts' } as const;
    onProgress?.({ ...progress, done, total: lines.length });
    await work.add(line);
  }
  const done = work.results.filter((one): one is Done => one.ok);
  if (output !== undefined) await writeTable(output, lines, done, signal);
  return {
    ...session.description,
    ...frozenResult(freeze),
    ...notePrompts(work.read, session.prompts, onProgress),
    n_done: done.length,
    n_failed: work.results.length - done.length,
    n_changed: done.filter(({ before, after }) => before.token_id !== after.token_id).length,
    mean_kl_divergence:
      done.length === 0 ? null : done.reduce((sum, one) => sum + one.kl_divergence, 0) / done.length,
    prompts: work.results,
    files: output === undefined ? [] : [await writtenFile(output)],
    timings_ms: session.stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

/** What is planned for prompts of one length serves all of them. Dispose it. */
class ListOfPrompts implements Disposable {
  readonly results: IntervenedPrompt[] = [];
  /** Kept for notes. */
  readonly read: {
    readonly input: { readonly prompt: string };
    readonly tokens: readonly number[];
    readonly line: number;
  }[] = [];
  readonly #session: Session;
  readonly #request: IntervenePromptsRequest;
  readonly #planned = new Map<
    number,
    { readonly plan: InterventionPlan; readonly checked: CheckedInterventions }
  >();
  readonly #warned = new Set<string>();

  constructor(session: Session, request: IntervenePromptsRequest) {
    this.#session = session;
    this.#request = request;
  }

  async add(line: PromptLine): Promise<void> {
    const { line: number, slug } = line;
    try {
      if ('error' in line) throw line.error;
      this.results.push({ line: number, slug: line.slug, ok: true, ...(await this.#change(line)) });
    } catch (error) {
      if (!('error' in line) && !isOfOnePrompt(error)) throw error;
      const failure = failureOf(error);
      this.#request.onProgress?.({
        kind: 'warning',
        message: `${slug ?? `line ${number}`}: ${failure.error.message}`,
      });
      this.results.push({ line: number, slug, ok: false, ...failure });
    }
  }

  async #change({ line, slug, prompt }: UsableLine) {
    const session = this.#session;
    const { tokenizer } = session;
    const { chat, signal, top = INTERVENE_DEFAULTS.top } = this.#request;
    const input = await inTemplate({ prompt, chat }, session.subject.model.files, tokenizer);
    const tokens = session.prompts.passTokens(input);
    const { plan, checked } = await this.#planFor(tokens.length);
    const options = { name: slug, signal };
    const { before, after } = await changedNextToken(session, tokens, plan, checked.freeze, options);
    const effect = effectOf(before, after, Math.max(1, top), tokenizer);
    const [first, then] = [effect.baseline.top[0]!, effect.top[0]!];
    if ('prompt' in input) this.read.push({ input, tokens, line });
    return {
      prompt,
      before: {
        ...{ token_id: first.token_id, text: first.text },
        ...{ logit_before: first.logit, logit_after: after[first.token_id]! },
        probability_before: first.probability,
        probability_after: softmax(after)[first.token_id]!,
      },
      after: { token_id: then.token_id, text: then.text, probability: then.probability },
      ...effect,
    };
  }

  async #planFor(n_pos: number) {
    const known = this.#planned.get(n_pos);
    if (known) return known;
    const checked = checkInterventions(this.#session, n_pos, this.#request, (event) =>
      this.#reportOnce(event),
    );
    const planned = { plan: await planInterventions(this.#session, checked), checked };
    this.#planned.set(n_pos, planned);
    return planned;
  }

  /** The same for all prompts, except where their lengths differ. */
  #reportOnce(event: Parameters<NonNullable<CommonOptions['onProgress']>>[0]): void {
    if (event.kind === 'progress' || this.#warned.has(event.message)) return;
    this.#warned.add(event.message);
    this.#request.onProgress?.(event);
  }

  [Symbol.dispose](): void {
    for (const { plan } of this.#planned.values()) plan[Symbol.dispose]();
  }
}

async function writeTable(
  output: string,
  lines: readonly PromptLine[],
  done: readonly Done[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const byLine = new Map(
    lines.flatMap((line) => ('error' in line ? [] : [[line.line, line.metadata] as const])),
  );
  const metadataOf = ({ line }: Done) => byLine.get(line)!;
  const columns = metadataColumns(done.map(metadataOf));
  const rows = done.map((one) => {
    const { slug, line, prompt, before, after, kl_divergence } = one;
    const { token_id, text, ...numbers } = before;
    const metadata = metadataOf(one);
    return {
      ...{
        slug,
        line,
        prompt,
        before: text,
        before_id: token_id,
        after: after.text,
        after_id: after.token_id,
      },
      ...{ ...numbers, after_probability: after.probability, kl_divergence },
      ...Object.fromEntries(columns.map((column) => [column.column, metadataValue(metadata, column)])),
    };
  });
  const own = Object.fromEntries(columns.map(({ column, type }) => [column, type]));
  await writeResultTable(output, { ...COLUMNS, ...own }, rows, signal);
}
