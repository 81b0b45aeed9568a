/** View of `load --list`: one line a preset. */
import type { ListResult, PresetResult } from '../engine/load/types.ts';
import { formatCount, formatShort, NO_NUMBER } from './numbers.ts';
import type { Screen } from './screen.ts';
import { sections, table, type Cell } from './table.ts';
import { printable } from './text.ts';

const right = { align: 'right' as const };

function gateCell(gated: boolean, screen: Screen): Cell {
  return gated ? { text: 'gated', paint: screen.paint.yellow } : '';
}

function number(value: number | null, format: (value: number) => string): string {
  return value === null ? NO_NUMBER : format(value);
}

/** Where it comes from, with `@branch` where it may be another commit next time. */
function sourceText({ repository, subfolder, revision, follows_branch }: PresetResult): string {
  if (repository === undefined) return 'part of the package';
  const place = subfolder === undefined ? repository : `${repository}//${subfolder}`;
  return printable(follows_branch ? `${place}@${revision}` : place);
}

export function presetsView({ models, transcoders }: ListResult, screen: Screen): string {
  const modelTable = table(
    [
      { title: 'model' },
      { title: 'size', ...right },
      { title: 'layers', ...right },
      { title: 'd_model', ...right },
      { title: 'licence' },
      { title: 'repository' },
    ],
    models.map((model) => [
      printable(model.name),
      number(model.n_parameters, formatShort),
      number(model.n_layers, String),
      number(model.d_model, formatCount),
      gateCell(model.gated, screen),
      sourceText(model),
    ]),
    screen,
  );
  const setTable = table(
    [
      { title: 'set' },
      { title: 'kind' },
      { title: 'layers', ...right },
      { title: 'features', ...right },
      { title: 'size', ...right },
      { title: 'licence' },
    ],
    transcoders.map((set) => [
      printable(set.name),
      set.kind,
      number(set.n_layers, String),
      number(set.n_features_a_layer, formatCount),
      number(set.n_parameters, formatShort),
      gateCell(set.gated, screen),
    ]),
    screen,
  );
  return sections(
    [
      ['Models', modelTable],
      ['Transcoder sets', setTable],
      ['Revisions', revisionText([...models, ...transcoders])],
    ],
    screen,
  );
}

/** Which presets stay the same; most of them follow a branch. */
function revisionText(presets: readonly PresetResult[]): string {
  const pinned = presets.flatMap(({ name, follows_branch }) =>
    follows_branch === false ? [printable(name)] : [],
  );
  return [
    `Pinned to a commit: ${pinned.join(', ')}.`,
    'Others follow a branch (OWNER/NAME@BRANCH), which may be another commit next time.',
    'OWNER/NAME@COMMIT stays the same.',
  ].join('\n');
}
