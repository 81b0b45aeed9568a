/** Paper, content: what switching each box off does, as the graph predicts it and as the model does it. */
import { code, paragraph, strong, type Block, type Line, type Section } from './blocks.ts';
import { boxName, hasFeatures } from './circuit-section.ts';
import type { Paper, PaperEffect, PaperEffects } from './paper.ts';
import { decimal, NOTHING, percent, shownName, signed, tokenPiece } from './words.ts';

export function effectsSection(paper: Paper): Section {
  const { effects, circuit } = paper;
  const blocks: Block[] = circuit.boxes.some(hasFeatures)
    ? [...howMade(effects), ...(isEmpty(effects) ? [] : [effectTable(paper), ...agreement(effects)])]
    : [paragraph('The circuit has no features that could be switched off.')];
  return { id: 'effects', title: 'Effects of switching boxes off', blocks };
}

function isEmpty({ measured, not_predicted }: PaperEffects): boolean {
  return measured.state === 'not_measured' && not_predicted !== null;
}

function howMade({ measured, not_predicted }: PaperEffects): Block[] {
  return [
    paragraph(
      'The features of a box are set to zero at their positions. Changes are those of a target’s logit, before the cap where there is one, relative to the mean over the vocabulary: what links to a target are about.',
    ),
    {
      kind: 'list',
      items: [
        not_predicted === null
          ? [
              strong('Predicted'),
              ' from the graph: what is switched off no longer writes, every feature that received from it writes less in proportion to its activation, errors stay as they are.',
            ]
          : [strong('Not predicted:'), ` ${not_predicted}.`],
        measured.state === 'measured'
          ? [
              strong('Measured'),
              ' in the model (',
              code(shownName(measured.model)),
              ' with ',
              code(shownName(measured.transcoders)),
              `, ${measured.backend} on ${measured.device}, ${measured.dtype}): attention patterns are held, everything else follows. Unchanged, it says `,
              tokenPiece(measured.says.token),
              ` with ${percent(measured.says.probability)}.`,
            ]
          : [strong('Not measured:'), ` ${measured.reason}.`],
      ],
    },
  ];
}

function effectTable({ circuit, effects, targets }: Paper): Block {
  const { measured } = effects;
  const isMeasured = measured.state === 'measured';
  const several = effects.targets.length > 1;
  const right = 'right' as const;
  const name = ({ box }: PaperEffect): Line =>
    box === null ? ['all boxes together'] : boxName(circuit.boxes[box]!);
  return {
    kind: 'table',
    caption: several
      ? 'Change of the targets without a box'
      : `Change of ${JSON.stringify(targets[effects.targets[0]!]!.token)} without a box`,
    columns: [
      { title: 'without' },
      { title: 'features', align: right },
      ...(several ? [{ title: 'target' }] : []),
      { title: 'predicted', align: right },
      { title: 'measured', align: right },
      ...(isMeasured
        ? [
            { title: 'probability before', align: right },
            { title: 'after', align: right },
            { title: 'it then says' },
          ]
        : []),
    ],
    groups: effects.rows.map((row) => ({
      heading: name(row),
      rows: row.changes.map((change, i) => {
        const before = isMeasured ? measured.probabilities[i]! : null;
        const first = i === 0;
        return [
          first ? [String(row.n_features)] : [],
          ...(several ? [[tokenPiece(targets[effects.targets[i]!]!.token)]] : []),
          orNothing(change.predicted, signed),
          change.measured === null && !isMeasured ? ['not measured'] : orNothing(change.measured, signed),
          ...(isMeasured
            ? [orNothing(before, percent), orNothing(change.probability, percent), first ? said(row) : []]
            : []),
        ];
      }),
    })),
  };
}

function orNothing(value: number | null, text: (value: number) => string): Line {
  return value === null ? NOTHING : [text(value)];
}

function said({ says }: PaperEffect): Line {
  return says === null ? NOTHING : [tokenPiece(says.token), ` ${percent(says.probability)}`];
}

function agreement({ rank_correlation }: PaperEffects): Block[] {
  if (rank_correlation === null) return [];
  return [
    paragraph(
      `Rank correlation (Spearman) of predicted and measured changes of the first target over the boxes: ${decimal(rank_correlation)}.`,
    ),
  ];
}
