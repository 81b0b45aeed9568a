/** View of `load`: files and whether they fit into memory, then the transcoders as the notebook lists them. */
import type {
  FileResult,
  FileStatus,
  LoadResult,
  RoomResult,
  TranscoderLayerResult,
} from '../engine/load/types.ts';
import type { SourceResult } from '../engine/result.ts';
import { unreachable } from '../errors.ts';
import { formatAmount, formatBytes, formatCount, formatDecimal, NO_NUMBER } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Cell } from './table.ts';
import { printable } from './text.ts';

function statusCell(status: FileStatus, screen: Screen): Cell {
  switch (status) {
    case 'cached':
    case 'local':
    case 'downloaded':
      return { text: status, paint: screen.paint.green };
    case 'partial':
      return { text: 'partly here', paint: screen.paint.yellow };
    case 'missing':
      return { text: 'to be fetched', paint: screen.paint.yellow };
    default:
      return unreachable(status);
  }
}

function fileTable(files: readonly FileResult[], screen: Screen): string {
  const rows = files.map((file) => [
    printable(file.path),
    formatBytes(file.bytes),
    statusCell(file.status, screen),
  ]);
  const totalBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const columns = [{ title: 'file' }, { title: 'size', align: 'right' as const }, { title: 'status' }];
  return table(columns, [...rows, [formatAmount(files.length, 'file'), formatBytes(totalBytes), '']], screen);
}

/** One line a layer: activation function, threshold, features, skip. */
export function transcoderTable(layers: readonly TranscoderLayerResult[], screen: Screen): string {
  const columns = [
    { title: 'layer', align: 'right' as const },
    { title: 'activation' },
    { title: 'threshold min / median / max' },
    { title: 'features', align: 'right' as const },
    { title: 'W_skip' },
    { title: 'dtype' },
  ];
  const rows = layers.map((layer) => [
    String(layer.layer),
    activationText(layer),
    layer.threshold === null
      ? NO_NUMBER
      : [layer.threshold.min, layer.threshold.median, layer.threshold.max].map(formatDecimal).join(' / '),
    formatCount(layer.d_transcoder),
    layer.has_skip ? 'yes' : 'no',
    printable(layer.dtype),
  ]);
  return table(columns, rows, screen);
}

export function activationText(layer: Pick<TranscoderLayerResult, 'activation' | 'k'>): string {
  return layer.k === undefined ? layer.activation : `${layer.activation} (k = ${layer.k})`;
}

function roomText(room: RoomResult): string {
  return `${formatBytes(room.needed_bytes)} needed, ${formatBytes(room.available_bytes)} free`;
}

/** The name, and for the Hub its repository and commit. */
function sourceText(name: string, { repository, commit }: SourceResult): string {
  return printable(commit === undefined ? name : `${name} (${repository ?? name} at ${commit})`);
}

/** Names repositories that are taken at a branch or tag; undefined when there are none. */
function followsText({ sources: { model, transcoders } }: LoadResult): string | undefined {
  const followed = [model, transcoders, ...(transcoders.linked ?? [])].filter(
    (place) => place.follows_branch,
  );
  if (followed.length === 0) return undefined;
  const names = new Set(followed.map(({ repository, revision }) => printable(`${repository}@${revision}`)));
  return `${[...names].join(', ')}: may be another commit next time; NAME@COMMIT stays the same`;
}

function fitFacts(result: LoadResult, screen: Screen): string {
  const verdict: Cell = result.fits
    ? { text: 'yes', paint: screen.paint.green }
    : { text: 'no', paint: screen.paint.red };
  return facts(
    [
      ['fits', verdict],
      ['memory', roomText(result.memory)],
      ['disk', roomText(result.disk)],
    ],
    screen,
  );
}

export function loadView(result: LoadResult, screen: Screen): string {
  const follows = followsText(result);
  const head = facts(
    [
      ['model', sourceText(result.model, result.sources.model)],
      ['transcoders', sourceText(result.transcoders, result.sources.transcoders)],
      ...(follows === undefined ? [] : [['follows', follows] as const]),
    ],
    screen,
  );
  const keys = `Transcoder keys: [${result.transcoder_keys.join(', ')}]`;
  return sections(
    [
      [null, head],
      [result.dry_run ? 'Files (nothing was fetched)' : 'Files', fileTable(result.files, screen)],
      [keys, result.layers.length === 0 ? null : transcoderTable(result.layers, screen)],
      ['Memory and disk', fitFacts(result, screen)],
    ],
    screen,
  );
}
