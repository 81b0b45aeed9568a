/** View of `intervene --prompts`: one line a prompt, and how often another token is then most likely. */
import type { IntervenePromptsResult } from '../engine/intervene/types.ts';
import { closingFacts, heldText, subjectFacts } from './intervene-view.ts';
import { formatCount, formatDecimal, formatProbability } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

const right = 'right' as const;
/** Lines on the screen; --json and --output have all of them. */
const MOST_ROWS = 100;

const COLUMNS: readonly Column[] = [
  { title: 'slug' },
  { title: 'before' },
  { title: 'after' },
  { title: 'p', align: right },
  { title: 'p of before', align: right },
  { title: 'divergence', align: right },
  { title: '' },
];

export function intervenedView(result: IntervenePromptsResult, screen: Screen): string {
  const { prompts, n_done, n_failed, n_changed } = result;
  const rows = prompts.slice(0, MOST_ROWS).map((one) => {
    const name = printable(one.slug ?? `line ${one.line}`);
    if (!one.ok) return [name, '', '', '', '', '', printable(one.error.message)];
    const { before, after, kl_divergence } = one;
    return [
      ...[name, visibleToken(before.text), visibleToken(after.text)],
      ...[formatProbability(after.probability), formatProbability(before.probability_after)],
      ...[formatDecimal(kl_divergence), ''],
    ];
  });
  const rest =
    prompts.length > MOST_ROWS
      ? `${formatCount(MOST_ROWS)} of ${formatCount(prompts.length)} prompts; --json and --output have all`
      : null;
  return sections(
    [
      [null, facts([...subjectFacts(result), ['held fixed', heldText(result)]], screen)],
      ['Next token', table([...COLUMNS], rows, screen)],
      [null, rest],
      [
        null,
        facts(
          [
            ['prompts', formatCount(n_done)],
            ['other token', `${formatCount(n_changed)} of ${formatCount(n_done)}`],
            ['divergence', `${formatDecimal(result.mean_kl_divergence)} nats (KL, before to after; mean)`],
            ['failed', formatCount(n_failed)],
            ...closingFacts(result, result.files),
          ],
          screen,
        ),
      ],
    ],
    screen,
  );
}
