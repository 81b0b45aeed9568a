/** View of `features explain`: labels with their scores, or what a run would send and cost. */
import type { FeaturesExplainPlan, FeaturesExplainResult } from '../engine/features/explain-types.ts';
import type { Message } from '../llm/llm.ts';
import { formatAmount, formatCount, formatDecimal, formatDuration } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable } from './text.ts';

const right = 'right' as const;

export function explainView(result: FeaturesExplainResult | FeaturesExplainPlan, screen: Screen): string {
  return result.dry_run ? planView(result, screen) : labelsView(result, screen);
}

function labelsView(result: FeaturesExplainResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'feature', align: right },
    { title: 'score', align: right },
    { title: 'label' },
  ];
  const rows = result.labels.map(({ layer, feature, score, text }) => [
    String(layer),
    String(feature),
    scoreText(score),
    printable(text),
  ]);
  const { tokens, stopped, timings_ms } = result;
  const closing = facts(
    [
      ['labelled', `${formatAmount(result.n_labelled, 'feature')} of ${formatCount(result.n_features)}`],
      ...countFacts(result),
      ...(result.failed.length > 0
        ? [['answers without use', formatCount(result.failed.length)] as const]
        : []),
      ...(stopped === null ? [] : [['stopped by', stopped === 'budget' ? '--budget' : '--limit'] as const]),
      ['mean score', scoreText(result.mean_score)],
      [
        'made by',
        printable(`${result.explainer}, scored by ${result.scorer}, prompts ${result.prompt_version}`),
      ],
      ['tokens', `${formatCount(tokens.prompt)} asked, ${formatCount(tokens.completion)} answered`],
      ['time', formatDuration(timings_ms['explain'] ?? 0)],
      ['kept in', printable(result.file)],
    ],
    screen,
  );
  return sections(
    [
      [null, rows.length > 0 ? table(columns, rows, screen) : null],
      [null, closing],
    ],
    screen,
  );
}

function planView(result: FeaturesExplainPlan, screen: Screen): string {
  const { first, cost } = result;
  const of = cost.n_sampled < cost.n_features ? `, from ${formatCount(cost.n_sampled)} of them` : '';
  const closing = facts(
    [
      ['to be labelled', `${formatAmount(cost.n_features, 'feature')} of ${formatCount(result.n_features)}`],
      ...countFacts(result),
      ['requests', formatCount(cost.n_requests)],
      ['tokens asked', `about ${formatCount(cost.prompt_tokens)}${of}`],
      ['tokens answered', `at most ${formatCount(cost.most_completion_tokens)}`],
    ],
    screen,
  );
  const name = first && `layer ${first.layer}, feature ${first.feature}`;
  return sections(
    [
      [name && `First prompt: ${name}`, first && messagesText(first.messages)],
      [
        first?.score_messages ? 'Prompt of its score' : null,
        first?.score_messages ? messagesText(first.score_messages) : null,
      ],
      ['Cost', closing],
    ],
    screen,
  );
}

function countFacts({ n_skipped, n_without_examples }: FeaturesExplainResult | FeaturesExplainPlan) {
  return [
    ...(n_skipped > 0 ? [['labelled before', formatCount(n_skipped)] as const] : []),
    ...(n_without_examples > 0 ? [['without examples', formatCount(n_without_examples)] as const] : []),
  ];
}

function messagesText(messages: readonly Message[]): string {
  return messages
    .map(({ role, content }) => `${role}:\n${content.split('\n').map(printable).join('\n')}`)
    .join('\n\n');
}

function scoreText(score: number | null): string {
  return score === null ? 'none' : formatDecimal(score);
}
