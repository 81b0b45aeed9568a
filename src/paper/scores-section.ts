/** Paper, content: how complete the circuit is, beside the graph it was taken from. */
import type { GraphScores } from '../graph/scores.ts';
import { paragraph, type RowGroup, type Section } from './blocks.ts';
import type { Paper } from './paper.ts';
import { count, decimal, NOTHING } from './words.ts';

export function scoresSection({ scores }: Paper): Section {
  const { whole, pruned, circuit, greedy } = scores;
  const row = (
    name: string,
    n_features: number | null,
    { replacement, completeness }: GraphScores,
  ): RowGroup => ({
    heading: [name],
    rows: [
      [n_features === null ? NOTHING : [count(n_features)], [decimal(replacement)], [decimal(completeness)]],
    ],
  });
  return {
    id: 'scores',
    title: 'Scores',
    blocks: [
      paragraph(
        'Replacement is the share of influence that arrives at tokens and not at errors; completeness is the share of inputs that come from features and tokens, over all nodes, weighted by influence. Below the whole graph, each feature that a row does not count is an error of its layer and position.',
      ),
      ...(whole === null
        ? [
            paragraph(
              'The file is a viewer’s and has a pruned graph alone, so the scores of the whole graph are not known.',
            ),
          ]
        : []),
      {
        kind: 'table',
        caption: 'Scores',
        columns: [
          { title: 'features of' },
          { title: 'features', align: 'right' },
          { title: 'replacement', align: 'right' },
          { title: 'completeness', align: 'right' },
        ],
        groups: [
          whole === null
            ? { heading: ['the whole graph'], rows: [[NOTHING, NOTHING, NOTHING]] }
            : row('the whole graph', whole.n_features, whole.scores),
          row('the pruned graph', pruned.n_features, pruned.scores),
          row('the circuit', circuit.n_features, circuit.scores),
          ...(greedy === null
            ? []
            : [row('as many, chosen for completeness', greedy.n_features, greedy.scores)]),
        ],
      },
    ],
  };
}
