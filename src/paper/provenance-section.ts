/** Paper, content: model, set, options, files with their hashes, and the command: what is needed to make the page again. */
import { code, paragraph, type Line, type Piece, type RowGroup, type Section } from './blocks.ts';
import type { Paper, PaperFile, PaperProvenance, PaperSource } from './paper.ts';
import { count, NOTHING, shownName } from './words.ts';

export function provenanceSection({ provenance }: Paper): Section {
  const { file, annotations, graph, scan, node_threshold, edge_threshold, command } = provenance;
  const facts: [name: string, value: Line][] = [['graph file', fileLine(file)]];
  if (annotations !== null) facts.push(['annotations', fileLine(annotations)]);
  if (graph !== null) {
    facts.push(
      ['model', sourceLine(graph.model)],
      ['transcoders', sourceLine(graph.transcoders)],
      ['made by', [madeBy(graph)]],
      ['made on', isKnown(graph.created) ? [shownName(graph.created)] : NOTHING],
      ['options', optionsLine(graph.options)],
    );
  }
  facts.push(
    ['feature pages of', [code(shownName(scan))]],
    ['pruning', [`nodes ${node_threshold}, edges ${edge_threshold}`]],
    ['this page', [`tracer ${provenance.tracer_version}`]],
    ['command', [code(command)]],
  );
  return {
    id: 'provenance',
    title: 'Provenance',
    blocks: [
      ...(graph === null
        ? [
            paragraph(
              'The file is a viewer’s, which says neither which files the model and the set were read from nor with which options.',
            ),
          ]
        : []),
      {
        kind: 'table',
        caption: 'Provenance',
        columns: [{ title: 'what' }, { title: 'value' }],
        groups: facts.map(([name, value]): RowGroup => ({ heading: [name], rows: [[value]] })),
      },
    ],
  };
}

function fileLine({ name, bytes, sha256 }: PaperFile): Line {
  return [code(shownName(name)), `, ${count(bytes)} bytes, sha256 `, code(sha256)];
}

/** Graphs of other programs, and pulled ones, lack some of it. */
function madeBy({ tracer_version, backend, device, dtype }: NonNullable<PaperProvenance['graph']>): string {
  const place = [backend, device].filter(isKnown).join(' on ');
  return [`tracer ${tracer_version}`, ...[place, dtype].filter(isKnown)].map(shownName).join(', ');
}

function isKnown(text: string): boolean {
  return !['', 'unknown', 'none'].includes(text);
}

function sourceLine({ name, revision, config_sha256 }: PaperSource): Line {
  return [
    code(shownName(name)),
    ...(revision === null ? [] : [', revision ', code(shownName(revision))]),
    ...(config_sha256 === null ? [] : [', sha256 of its configuration ', code(shownName(config_sha256))]),
  ];
}

function optionsLine(options: Readonly<Record<string, unknown>>): Line {
  const given = Object.entries(options).filter(([, value]) => value !== null);
  if (given.length === 0) return ['none recorded'];
  return given.flatMap(([name, value], i): Piece[] => [
    ...(i === 0 ? [] : [', ']),
    code(shownName(`${name}=${JSON.stringify(value)}`)),
  ]);
}
