/** Engine, verb `intervene`, over a range of values: one load and one original pass for all of them. */
import { writeFileAtomic } from '../../formats/atomic.ts';
import { changedPass, originalPass } from '../../intervention/intervene.ts';
import { positionsText } from '../../intervention/intervention.ts';
import { softmax } from '../../model/logits.ts';
import { effectOf } from './effect.ts';
import { checkInterventions, frozenResult, planInterventions } from './prepare.ts';
import { INTERVENE_DEFAULTS, type SweepPoint, type SweepRequest, type SweepResult } from './types.ts';
import { tokenResults } from './intervene.ts';
import { inTemplate, noteChat } from '../chat.ts';
import { notePrompts } from '../prompt-notes.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';

/** Loads what the request names and tries every value of the range. Throws `UsageError` for what does not fit. */
export async function sweep(request: SweepRequest): Promise<SweepResult> {
  using session = await openSession(request);
  return await sweepIn(session, request);
}

/** As `sweep`, in a session that is loaded already. */
export async function sweepIn(session: Session, request: SweepRequest): Promise<SweepResult> {
  const { replacement, tokenizer, stopwatch } = session;
  const { signal, onProgress } = request;
  const { address, changes } = request.sweep;
  const input = await inTemplate(request.input, session.subject.model.files, tokenizer);
  const tokens = session.prompts.passTokens(input);
  const chat = noteChat(input, tokens, tokenizer, onProgress);
  const noted = notePrompts([{ input, tokens }], session.prompts, onProgress);
  const options = { logits: 'last' as const, ...(signal && { signal }) };
  const listed = request.interventions ?? [];
  // All values are checked before the first pass; what is worth a warning is the same for each.
  const [first, ...others] = changes.map((change, i) =>
    checkInterventions(
      session,
      tokens.length,
      { ...request, interventions: [...listed, { ...address, change }] },
      i === 0 ? onProgress : undefined,
    ),
  );
  const { freeze } = first!;
  const inputLayers = new Set(first!.resolved.map(({ layer }) => layer)); // those of all values
  using original = await stopwatch.time('original', () =>
    originalPass(replacement, tokens, freeze, { ...options, inputLayers }),
  );
  const before = await original.lastLogits();
  await session.checkFinite(before, 'the logits');
  const k = Math.max(1, request.top ?? INTERVENE_DEFAULTS.top);
  const points: SweepPoint[] = [];
  for (const [i, checked] of [first!, ...others].entries()) {
    onProgress?.({
      kind: 'progress',
      phase: 'sweep',
      message: 'Trying values',
      done: i,
      total: changes.length,
    });
    using plan = await planInterventions(session, checked);
    using changed = await stopwatch.time('changed', () =>
      changedPass(replacement, tokens, plan, freeze, original, { ...options, inputLayers: [] }),
    );
    const after = await changed.lastLogits();
    await session.checkFinite(after, 'the logits after the intervention');
    const { baseline, top, kl_divergence } = effectOf(before, after, k, tokenizer);
    const { token_id } = baseline.top[0]!;
    points.push({
      value: numberOf(changes[i]!),
      top,
      kl_divergence,
      baseline_token: {
        logit: after[token_id]!,
        logit_change: after[token_id]! - before[token_id]!,
        probability: softmax(after)[token_id]!,
      },
    });
  }
  const { baseline } = effectOf(before, before, k, tokenizer);
  const files = [];
  if (request.csv !== undefined) {
    await writeFileAtomic(request.csv, csvText(points), { signal });
    files.push(await writtenFile(request.csv));
  }
  return {
    ...session.description,
    ...noted,
    ...chat,
    ...frozenResult(freeze),
    tokens: tokenResults(session, tokens),
    sweep: {
      layer: address.layer,
      position: positionsText(address.pos),
      feature: address.feature,
      kind: changes[0]!.kind,
    },
    baseline,
    points,
    files,
    timings_ms: stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

function numberOf(change: SweepRequest['sweep']['changes'][number]): number {
  return change.kind === 'set' ? change.value : change.kind === 'scale' ? change.factor : change.amount;
}

const CSV_COLUMNS = [
  'value',
  'top_token_id',
  'top_text',
  'top_probability',
  'kl_divergence',
  'baseline_token_logit',
  'baseline_token_logit_change',
  'baseline_token_probability',
] as const;

/** RFC 4180, one line a value. */
function csvText(points: readonly SweepPoint[]): string {
  const rows = points.map(({ value, top, kl_divergence, baseline_token }) => [
    value,
    top[0]!.token_id,
    `"${top[0]!.text.replaceAll('"', '""')}"`,
    top[0]!.probability,
    kl_divergence,
    baseline_token.logit,
    baseline_token.logit_change,
    baseline_token.probability,
  ]);
  return [CSV_COLUMNS, ...rows].map((row) => `${row.join(',')}\r\n`).join('');
}
