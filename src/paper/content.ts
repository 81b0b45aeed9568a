/** Paper, content: the sections of the page, from what it says. */
import { plural } from '../plural.ts';
import type { PageContent, Section } from './blocks.ts';
import { code, paragraph } from './blocks.ts';
import { circuitSections } from './circuit-section.ts';
import { effectsSection } from './effects-section.ts';
import type { Paper } from './paper.ts';
import { provenanceSection } from './provenance-section.ts';
import { scoresSection } from './scores-section.ts';
import { NOTHING, percent, shownName, tokenPiece } from './words.ts';

export function contentOf(paper: Paper): PageContent {
  const { title, provenance } = paper;
  return {
    title: shownName(title),
    sections: [
      questionSection(paper),
      answerSection(paper),
      ...circuitSections(paper),
      effectsSection(paper),
      scoresSection(paper),
      provenanceSection(paper),
    ],
    footer: [`Made by tracer ${provenance.tracer_version}: `, code(provenance.command)],
  };
}

function questionSection({ prompt, tokens }: Paper): Section {
  return {
    id: 'question',
    title: 'Question',
    blocks: [
      { kind: 'quotation', text: prompt },
      paragraph(`The prompt has ${plural(tokens.length, 'token')}.`),
    ],
  };
}

function answerSection({ targets }: Paper): Section {
  const together = targets.reduce((sum, { probability }) => sum + probability, 0);
  const one = targets.length === 1;
  return {
    id: 'answer',
    title: 'Answer',
    blocks: [
      paragraph(
        one
          ? 'The graph explains one target, here with its probability as the next token.'
          : `The graph explains ${targets.length} targets, here with their probabilities as the next token; together ${percent(together)}.`,
      ),
      {
        kind: 'table',
        caption: 'Explained targets',
        columns: [
          { title: 'target' },
          { title: 'token id', align: 'right' },
          { title: 'probability', align: 'right' },
        ],
        groups: targets.map(({ token, token_id, probability }) => ({
          heading: [tokenPiece(token)],
          rows: [[token_id === null ? NOTHING : [String(token_id)], [percent(probability)]]],
        })),
      },
    ],
  };
}
