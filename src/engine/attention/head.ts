/** Engine, verb `attention`: why a head looks from a query to a key. */
import { headEffects } from '../../attention/effects.ts';
import { scoreParts, type ScoreParts } from '../../attention/score-parts.ts';
import {
  capFactor,
  checkContrast,
  checkVisible,
  contrastTotal,
  headPattern,
  queryScores,
  strongestKey,
  type Against,
} from '../../attention/scores.ts';
import { GROUPINGS } from '../../attention/source-list.ts';
import { availableMemoryBytes } from '../../backend/budget.ts';
import { ExhaustedError, UsageError } from '../../errors.ts';
import type { TensorToWrite } from '../../formats/safetensors-writer.ts';
import type { Graph } from '../../graph/graph.ts';
import type { TransformerConfig } from '../../model/config.ts';
import type { Session } from '../session.ts';
import { checkOutput, floats, ints, writeAttention } from './files.ts';
import { sourceResults } from './sources.ts';
import { openAttention, traceSubject, type TracedSubject } from './traced-subject.ts';
import { ATTENTION_DEFAULTS, type HeadRequest, type HeadResult } from './types.ts';

const FLOAT32_BYTES = 4;
const BYTES_PER_MB = 1e6;

/** Loads what the request names and explains a score. Throws `UsageError` for heads, positions and keys that do not exist. */
export async function attentionHead(request: HeadRequest): Promise<HeadResult> {
  await checkOutput(request);
  const { session, graph } = await openAttention(request);
  using opened = session;
  return await attentionHeadIn(opened, request, graph);
}

/** As `attentionHead`, in a session that is loaded already. @param graph what `request.graph` names, where it was read */
export async function attentionHeadIn(
  session: Session,
  request: HeadRequest,
  graph?: Graph,
): Promise<HeadResult> {
  await checkOutput(request);
  const { layer, head, by, matrix = false, top = ATTENTION_DEFAULTS.top } = request;
  checkHead(session.replacement.model.config, layer, head);
  if (matrix && request.output === undefined) throw matrixWithoutFile();
  using subject = await traceSubject(session, request, [layer], graph);
  const { prompt, tokens, stopwatch, targets } = subject;
  const query = positionOf('--query', request.query ?? -1, tokens.length);
  const of = await queryScores(prompt, layer, head, query);
  const key = request.key === undefined ? strongestKey(of) : positionOf('--key', request.key, tokens.length);
  checkVisible(of, key);
  const against: Against =
    typeof request.against === 'number'
      ? positionOf('--against', request.against, tokens.length)
      : (request.against ?? null);
  checkContrast(of, key, against);
  const reach = {
    queries: prompt.list.reaching(layer, query),
    keys: keyReach(subject, layer, against, key, query),
  };
  if (matrix) checkRoom(reach.queries.length, reach.keys.length);

  request.onProgress?.({ kind: 'progress', phase: 'attention', message: `Explaining head ${layer}.${head}` });
  const [parts] = await stopwatch.time('sources', () => scoreParts(prompt, layer, [{ of, key, against }]));
  parts!.check();
  const nPairs = request.output === undefined ? top : Math.max(top, ATTENTION_DEFAULTS.filePairs);
  const pairs = await stopwatch.time('pairs', () => parts!.pairs(nPairs));
  const effects = await stopwatch.time('effects', () =>
    headEffects(prompt, targets.vectors, [{ layer, head }]),
  );
  const entry = (values: Float32Array, target: number): number =>
    values[(target * prompt.n_pos + query) * prompt.n_pos + key]!;
  const shown = pairs.slice(0, top);
  const strongest = (values: Float64Array) =>
    Array.from(values.keys())
      .filter((source) => values[source] !== 0)
      .sort((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!) || a - b)
      .slice(0, top);
  const [ofQuery, ofKey] = [strongest(parts!.queryMarginal), strongest(parts!.keyMarginal)];
  const sources = await sourceResults(subject, [
    ...ofQuery,
    ...ofKey,
    ...shown.flatMap((pair) => [pair.query, pair.key]),
  ]);
  const groups = { layer: prompt.list.groups('layer'), position: prompt.list.groups('position') };
  const tensors =
    request.output === undefined ? [] : await fileTensors(subject, parts!, pairs, matrix ? reach : null);
  const files = await writeAttention(request, subject, tensors);
  const place = (position: number) => ({
    position,
    token: subject.nodes.provenance.token_strings[position]!,
  });
  const i = key - of.visible[0];
  return {
    ...subject.described(files),
    layer,
    head,
    query: place(query),
    key: place(key),
    visible: of.visible,
    window: of.window,
    score: of.scores[i]!,
    capped: of.capped[i]!,
    cap_factor: capFactor(of, key),
    pattern: of.pattern[i]!,
    pattern_row: Array.from(of.pattern),
    ...(request.wholePattern && {
      pattern_rows: triangle(await headPattern(prompt, layer, head), prompt.n_pos),
    }),
    contrasts: { mean: contrastTotal(of, key, 'mean'), pattern: contrastTotal(of, key, 'pattern') },
    against,
    total: parts!.total,
    n_sources: prompt.list.n_sources,
    pairs: shown.map((pair) => ({
      query: sources.get(pair.query)!,
      key: sources.get(pair.key)!,
      value: pair.value,
    })),
    rest: shown.reduce((rest, { value }) => rest - value, parts!.total),
    query_marginal: ofQuery.map((source) => ({
      ...sources.get(source)!,
      value: parts!.queryMarginal[source]!,
    })),
    key_marginal: ofKey.map((source) => ({ ...sources.get(source)!, value: parts!.keyMarginal[source]! })),
    groups: { layer: groups.layer.names, position: groups.position.names },
    ...(by && { by: { grouping: by, values: rowsOf(parts!.grouped(groups[by]), groups[by].names.length) } }),
    logit_effects: targets.ids.map((token_id, target) => ({
      token_id,
      text: targets.labels[target]!,
      direct: entry(effects.entries[0]!.direct, target),
      total: entry(effects.entries[0]!.total, target),
    })),
  };
}

async function fileTensors(
  { prompt }: TracedSubject,
  parts: ScoreParts,
  pairs: Awaited<ReturnType<ScoreParts['pairs']>>,
  matrix: { readonly queries: Int32Array; readonly keys: Int32Array } | null,
): Promise<TensorToWrite[]> {
  const n = prompt.list.n_sources;
  const groups = GROUPINGS.map((by) => {
    const found = prompt.list.groups(by);
    return floats(`by_${by}`, [found.names.length, found.names.length], parts.grouped(found));
  });
  const tensors = [
    floats('query_marginal', [n], parts.queryMarginal),
    floats('key_marginal', [n], parts.keyMarginal),
    ...groups,
    ints(
      'pairs',
      [pairs.length, 2],
      pairs.flatMap(({ query, key }) => [query, key]),
    ),
    floats(
      'pair_values',
      [pairs.length],
      pairs.map(({ value }) => value),
    ),
  ];
  if (!matrix) return tensors;
  const { queries, keys } = matrix;
  return [
    ...tensors,
    ints('query_sources', [queries.length], queries),
    ints('key_sources', [keys.length], keys),
    floats('matrix', [queries.length, keys.length], await parts.matrix(queries, keys)),
  ];
}

/** Key sources of a contrast may act through any visible key. */
function keyReach(
  { prompt }: TracedSubject,
  layer: number,
  against: Against,
  key: number,
  query: number,
): Int32Array {
  const last = against === null ? key : typeof against === 'number' ? Math.max(key, against) : query;
  return prompt.list.reaching(layer, last);
}

function rowsOf(values: Float64Array, n: number): number[][] {
  return Array.from({ length: n }, (_, row) => Array.from(values.subarray(row * n, (row + 1) * n)));
}

/** Rows of a pattern up to their query: what is behind it is zero. */
function triangle(values: Float32Array, n: number): number[][] {
  return Array.from({ length: n }, (_, query) =>
    Array.from(values.subarray(query * n, query * n + query + 1)),
  );
}

/** @throws UsageError for a layer or a head that the model does not have */
export function checkHead({ n_layers, n_heads }: TransformerConfig, layer: number, head: number): void {
  const check = (name: string, index: number, count: number): void => {
    if (Number.isInteger(index) && index >= 0 && index < count) return;
    throw new UsageError({
      code: `${name}_out_of_range`,
      message: `head ${layer}.${head}: ${name} ${index} does not exist; the model has ${count} ${name}s${name === 'head' ? ' a layer' : ''}`,
      hint: `Give a ${name} from 0 to ${count - 1}.`,
    });
  };
  check('layer', layer, n_layers);
  check('head', head, n_heads);
}

/** A position from the start, of one that may be counted from the end. @throws UsageError outside the prompt */
function positionOf(flag: string, position: number, n_pos: number): number {
  const absolute = position < 0 ? n_pos + position : position;
  if (Number.isInteger(absolute) && absolute >= 0 && absolute < n_pos) return absolute;
  throw new UsageError({
    code: 'position_out_of_range',
    message: `${flag}: position ${position} does not exist; the prompt has ${n_pos} tokens`,
    hint: `Give a position from 0 to ${n_pos - 1}, or from -${n_pos} to -1 counted from the end.`,
  });
}

function matrixWithoutFile(): UsageError {
  return new UsageError({
    code: 'matrix_without_file',
    message: '--matrix writes all pairs into the file of --output, which is missing',
    hint: 'Add --output FILE.',
  });
}

/** @throws ExhaustedError when the matrix has no room, before it is computed */
function checkRoom(queries: number, keys: number): void {
  // The product, and the copy that is written.
  const bytes = 2 * queries * keys * FLOAT32_BYTES;
  if (bytes <= availableMemoryBytes()) return;
  throw new ExhaustedError({
    code: 'matrix_memory',
    message: `--matrix of ${queries} query and ${keys} key sources takes ${Math.ceil(bytes / BYTES_PER_MB)} MB, more than is free`,
    hint: 'Leave it out: pairs, marginals and groups need no matrix.',
  });
}
