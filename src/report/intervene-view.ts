/** View of `intervene`: the interventions, the next token before and after, and the features that changed most. */
import type {
  Computed,
  FeatureChangeResult,
  FrozenResult,
  HeadsChangeResult,
  InterveneResult,
  TokenChangeResult,
} from '../engine/intervene/types.ts';
import type { SavedFileResult, TokenResult } from '../engine/result.ts';
import { formatBytes, formatDecimal, formatDuration, formatProbability } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Cell, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

const right = 'right' as const;

/** Largest number of lines: an open range over a long prompt has one for each position. */
const MOST_INTERVENTIONS = 20;

export function interveneView(result: InterveneResult, screen: Screen): string {
  const { interventions, tokens, features } = result;
  return sections(
    [
      [null, facts(headFacts(result, tokens), screen)],
      [
        'Changed',
        result.heads && interventions.length === 0 ? null : interventionTable(interventions, tokens, screen),
      ],
      ['Heads', result.heads ? headsText(result.heads, tokens, screen) : null],
      ['Next token', tokenTable(result.changes, screen)],
      ['Features that changed most', features.length > 0 ? featureTable(features, tokens, screen) : null],
      [
        null,
        facts(
          [
            ['divergence', `${formatDecimal(result.kl_divergence)} nats (KL, before to after)`],
            ['largest change', `${formatDecimal(result.max_abs_logit_change)} (any logit at any position)`],
            ...closingFacts(result, result.files),
          ],
          screen,
        ),
      ],
    ],
    screen,
  );
}

/** Model, set, backend, prompt and what was frozen. */
export function headFacts(
  result: Omit<Computed, 'timings_ms' | 'peak_rss_bytes'> & FrozenResult,
  tokens: readonly TokenResult[],
): [string, string][] {
  return [
    ...subjectFacts(result),
    ['tokens', tokens.map(({ text }) => visibleToken(text)).join(' ')],
    ['held fixed', heldText(result)],
  ];
}

export function subjectFacts(
  result: Pick<Computed, 'model' | 'transcoders' | 'backend' | 'device' | 'dtype'>,
): [string, string][] {
  const { backend, device, dtype } = result;
  // wasm is both backend and device.
  const where = backend === device ? backend : `${backend} on ${device}`;
  return [
    ['model', printable(result.model)],
    ['transcoders', printable(result.transcoders)],
    ['backend', `${where}, ${dtype}`],
  ];
}

export function heldText({ freeze_attention, constrained_layers }: FrozenResult): string {
  if (constrained_layers) {
    const [from, to] = constrained_layers;
    return `attention patterns, MLP outputs of layers ${from} to ${to - 1}`;
  }
  return freeze_attention ? 'attention patterns' : 'nothing';
}

export function closingFacts(
  { timings_ms, peak_rss_bytes }: Pick<Computed, 'timings_ms' | 'peak_rss_bytes'>,
  files: readonly SavedFileResult[],
): [string, string][] {
  const times = Object.entries(timings_ms).map(([phase, ms]) => `${phase} ${formatDuration(ms)}`);
  return [
    ...files.map(({ path, bytes }): [string, string] => [
      'written',
      `${printable(path)} (${formatBytes(bytes)})`,
    ]),
    ['time', times.join(', ')],
    ['peak memory', formatBytes(peak_rss_bytes)],
  ];
}

function headsText(
  { changes, renormalize, effects }: HeadsChangeResult,
  tokens: readonly TokenResult[],
  screen: Screen,
): string {
  const place = (position: number | null): string =>
    position === null ? 'all' : `${position} ${visibleToken(tokens[position]!.text)}`;
  const entries = table(
    [{ title: 'head' }, { title: 'query' }, { title: 'key' }, { title: 'factor', align: right }],
    changes.map(({ layer, head, query, key, factor }) => [
      `${layer}.${head}`,
      place(query),
      place(key),
      formatDecimal(factor),
    ]),
    screen,
  );
  const notes = renormalize ? ['rows add up to what they added up to before'] : [];
  if (!effects) return [entries, ...notes].join('\n');
  const columns: Column[] = [
    { title: 'token' },
    { title: 'predicted', align: right },
    { title: 'change', align: right },
  ];
  const rows = effects.map(({ text, predicted, change }) => [
    visibleToken(text),
    signed(predicted, screen),
    signed(change, screen),
  ]);
  const title =
    'Logits before the cap, relative to their mean: predicted with everything else held fixed, and in truth';
  return [entries, ...notes, '', screen.paint.dim(title), table(columns, rows, screen)].join('\n');
}

function interventionTable(
  all: readonly FeatureChangeResult[],
  tokens: readonly TokenResult[],
  screen: Screen,
): string | null {
  if (all.length === 0) return 'Nothing: no intervention was given.';
  const shown = featureTable(all.slice(0, MOST_INTERVENTIONS), tokens, screen, 'set to');
  const rest = all.length - MOST_INTERVENTIONS;
  return rest > 0 ? `${shown}\nand ${rest} more (all with --json)` : shown;
}

function featureTable(
  features: readonly FeatureChangeResult[],
  tokens: readonly TokenResult[],
  screen: Screen,
  afterTitle = 'after',
): string {
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'position', align: right },
    { title: 'token' },
    { title: 'feature', align: right },
    { title: 'before', align: right },
    { title: afterTitle, align: right },
    { title: 'change', align: right },
  ];
  const rows = features.map(({ layer, position, feature, before, after }): Cell[] => [
    String(layer),
    String(position),
    visibleToken(tokens[position]?.text ?? ''),
    String(feature),
    formatDecimal(before),
    formatDecimal(after),
    signed(after - before, screen),
  ]);
  return table(columns, rows, screen);
}

function tokenTable(changes: readonly TokenChangeResult[], screen: Screen): string {
  const columns: Column[] = [
    { title: 'token' },
    { title: 'id', align: right },
    { title: 'p before', align: right },
    { title: 'p after', align: right },
    { title: 'change', align: right },
    { title: 'logit before', align: right },
    { title: 'logit after', align: right },
    { title: 'change', align: right },
  ];
  const rows = changes.map((change): Cell[] => [
    visibleToken(change.text),
    String(change.token_id),
    formatProbability(change.probability_before),
    formatProbability(change.probability_after),
    signedPoints(change.probability_after - change.probability_before, screen),
    formatDecimal(change.logit_before),
    formatDecimal(change.logit_after),
    signed(change.logit_after - change.logit_before, screen),
  ]);
  return table(columns, rows, screen);
}

/** A change with its sign, green upwards and red downwards. */
export function signed(change: number, screen: Screen): Cell {
  return painted(`${change > 0 ? '+' : ''}${formatDecimal(change)}`, change, screen);
}

/** A change of a probability, in percentage points. */
function signedPoints(change: number, screen: Screen): Cell {
  return painted(`${change > 0 ? '+' : ''}${(100 * change).toFixed(1)}`, change, screen);
}

function painted(text: string, change: number, { paint }: Screen): Cell {
  return { text, paint: change > 0 ? paint.green : change < 0 ? paint.red : paint.dim };
}
