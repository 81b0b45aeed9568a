/** View of `attribute --prompts`: one line for each prompt, and how many succeeded. */
import type { AttributePromptsResult, PromptResult } from '../engine/attribute/types.ts';
import { formatBytes, formatCount, formatDecimal } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable } from './text.ts';

const right = 'right' as const;

const COLUMNS: readonly Column[] = [
  { title: 'slug' },
  { title: 'nodes', align: right },
  { title: 'replacement', align: right },
  { title: 'completeness', align: right },
  { title: '' },
];

export function promptsView(result: AttributePromptsResult, screen: Screen): string {
  const closing = facts(
    [
      ['done', formatCount(result.n_done)],
      ['finished before', formatCount(result.n_skipped)],
      ['failed', formatCount(result.n_failed)],
      ['peak memory', formatBytes(result.peak_rss_bytes)],
    ],
    screen,
  );
  return sections(
    [
      [null, table([...COLUMNS], result.prompts.map(promptRow), screen)],
      [null, closing],
    ],
    screen,
  );
}

function promptRow(prompt: PromptResult): string[] {
  const name = printable(prompt.slug ?? `line ${prompt.line}`);
  if (!prompt.ok) return [name, '', '', '', printable(prompt.error.message)];
  if (prompt.skipped) return [name, '', '', '', 'finished before'];
  const { n_nodes, scores, verification } = prompt.graph;
  const note = verification ? (verification.ok ? 'verified' : 'verification FAILED') : '';
  return [
    name,
    formatCount(n_nodes),
    formatDecimal(scores.replacement),
    formatDecimal(scores.completeness),
    note,
  ];
}
