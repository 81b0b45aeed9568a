/** View of `push`: what was sent and where it is. */
import type { PushResult } from '../engine/push/push.ts';
import { formatAmount, formatBytes } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table } from './table.ts';
import { printable } from './text.ts';

export function pushView(
  { repo, branch, files, bytes, commit, url, reference }: PushResult,
  screen: Screen,
): string {
  const columns = [{ title: 'file' }, { title: 'size', align: 'right' as const }];
  const rows = files.map((file) => [printable(file.path), formatBytes(file.bytes)]);
  const total = [formatAmount(files.length, 'file'), formatBytes(bytes)];
  const place: [string, string][] = [['repository', printable(`${repo}, branch ${branch}`)]];
  if (commit === null) place.push(['sent', 'nothing: a dry run']);
  else
    place.push(
      ['commit', printable(commit)],
      ['address', printable(url ?? '')],
      ['used as', printable(`--transcoders ${reference}`)],
    );
  return sections(
    [
      ['Files', table(columns, [...rows, total], screen)],
      [null, facts(place, screen)],
    ],
    screen,
  );
}
