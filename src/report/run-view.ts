/** View of `run`: tokens, shape of the output, most likely next tokens, strongest features of each token. */
import type { NextTokenResult, TokenResult } from '../engine/result.ts';
import type { FeatureResult, RunResult } from '../engine/run/types.ts';
import { formatBytes, formatDecimal, formatDuration, formatProbability, formatShape } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

/** Length of the bar of a probability of 1, in characters. */
const BAR_COLUMNS = 24;

const right = 'right' as const;

/** Most likely first, with a bar in proportion to the probability. */
export function nextTokenTable(top: readonly NextTokenResult[], screen: Screen): string {
  const columns: Column[] = [
    { title: '#', align: right },
    { title: 'token' },
    { title: 'id', align: right },
    { title: 'probability', align: right },
    { title: '' },
    { title: 'logit', align: right },
  ];
  const rows = top.map((next, place) => [
    String(place + 1),
    visibleToken(next.text),
    String(next.token_id),
    formatProbability(next.probability),
    { text: '█'.repeat(Math.round(next.probability * BAR_COLUMNS)), paint: screen.paint.cyan },
    formatDecimal(next.logit),
  ]);
  return table(columns, rows, screen);
}

export function featureTable(
  features: readonly FeatureResult[],
  tokens: readonly TokenResult[],
  screen: Screen,
): string {
  const columns: Column[] = [
    { title: 'position', align: right },
    { title: 'token' },
    { title: 'layer', align: right },
    { title: 'feature', align: right },
    { title: 'activation', align: right },
  ];
  const rows = features.map((feature, index) => {
    // A position is printed once, at its strongest feature.
    const isFirst = features[index - 1]?.position !== feature.position;
    return [
      isFirst ? String(feature.position) : '',
      isFirst ? visibleToken(tokens[feature.position]?.text ?? '') : '',
      String(feature.layer),
      String(feature.feature),
      formatDecimal(feature.activation),
    ];
  });
  return table(columns, rows, screen);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function repeatText(repeatsMs: readonly number[]): string {
  const fastest = repeatsMs.reduce((a, b) => Math.min(a, b));
  const slowest = repeatsMs.reduce((a, b) => Math.max(a, b));
  return `median ${formatDuration(median(repeatsMs))}, ${formatDuration(fastest)} to ${formatDuration(slowest)}, ${repeatsMs.length} ${repeatsMs.length === 1 ? 'pass' : 'passes'}`;
}

function timingText(timings: Readonly<Record<string, number>>): string {
  return Object.entries(timings)
    .map(([name, durationMs]) => `${printable(name)} ${formatDuration(durationMs)}`)
    .join(', ');
}

/** wasm is both backend and device. */
export function backendText({
  backend,
  device,
  dtype,
}: Pick<RunResult, 'backend' | 'device' | 'dtype'>): string {
  return printable(backend === device ? `${backend}, ${dtype}` : `${backend} on ${device}, ${dtype}`);
}

export function runView(result: RunResult, screen: Screen): string {
  const head = facts(
    [
      ['model', printable(result.model)],
      ['transcoders', printable(result.transcoders)],
      ['backend', backendText(result)],
      ['tokens', result.tokens.map((token) => visibleToken(token.text)).join(' ')],
      ['token ids', result.tokens.map((token) => token.id).join(' ')],
      ['output', `${formatShape(result.output.shape)} ${printable(result.output.dtype)}`],
    ],
    screen,
  );
  const tail = facts(
    [
      ['time', timingText(result.timings_ms)],
      ...(result.repeats_ms?.length ? [['later passes', repeatText(result.repeats_ms)] as const] : []),
      ['peak memory', formatBytes(result.peak_rss_bytes)],
      ...(result.files ?? []).map(
        (file) => ['written', `${printable(file.path)} (${formatBytes(file.bytes)})`] as const,
      ),
    ],
    screen,
  );
  const { features } = result;
  const featureText =
    features === undefined
      ? null
      : features.length === 0
        ? 'No feature is active.'
        : featureTable(features, result.tokens, screen);
  return sections(
    [
      [null, head],
      ['Most likely next tokens', result.top.length === 0 ? null : nextTokenTable(result.top, screen)],
      ['Strongest features a token', featureText],
      [null, tail],
    ],
    screen,
  );
}
