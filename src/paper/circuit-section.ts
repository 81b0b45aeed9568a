/** Paper, content: the circuit as a figure, its boxes, the features in them, and its links. */
import { plural } from '../plural.ts';
import { BREAK, code, paragraph, strong, type Block, type Line, type Section } from './blocks.ts';
import type { Paper, PaperBox, PaperCircuit, PaperMember } from './paper.ts';
import {
  decimal,
  exampleLine,
  isSeen,
  layersOf,
  memberName,
  NOTHING,
  percent,
  placesOf,
  shownName,
  tokenPiece,
} from './words.ts';

/** Rows of the table of links; weaker ones are in the figure. */
const MOST_LINKS = 20;
/** Ids that are not in the graph, by name. */
const MOST_LOST = 10;

export function circuitSections(paper: Paper): Section[] {
  const { circuit } = paper;
  const features = circuit.boxes.filter(hasFeatures);
  return [
    {
      id: 'circuit',
      title: 'Circuit',
      blocks: [
        ...about(circuit),
        figure(paper),
        boxTable(circuit),
        ...(circuit.links.length === 0
          ? [paragraph('No link between two boxes is left in the pruned graph.')]
          : [linkTable(circuit)]),
      ],
    },
    {
      id: 'supernodes',
      title: 'Supernodes and their features',
      blocks:
        features.length === 0
          ? [paragraph('The circuit has no features.')]
          : [...(circuit.no_pages === null ? [] : [paragraph(circuit.no_pages)]), featureTable(features)],
    },
  ];
}

export function hasFeatures({ members }: PaperBox): boolean {
  return members.some(({ kind }) => kind === 'feature');
}

function about({ origin, file, notes, lost_ids, left_out }: PaperCircuit): Block[] {
  const blocks: Block[] = [paragraph(...sourceOf(origin, file))];
  if (isSeen(notes) && origin !== 'suggested') blocks.push(paragraph('Notes: ', notes.trim()));
  if (left_out.n_boxes > 0) {
    const text = `${plural(left_out.n_boxes, 'weaker group')} with ${plural(left_out.n_features, 'feature')} had no room in it.`;
    blocks.push(paragraph(text));
  }
  if (lost_ids.length > 0) {
    const named = lost_ids
      .slice(0, MOST_LOST)
      .flatMap((id, i): Line => [i === 0 ? '' : ', ', code(shownName(id))]);
    const more = lost_ids.length > MOST_LOST ? [` and ${lost_ids.length - MOST_LOST} more`] : [];
    blocks.push(
      paragraph(
        `${plural(lost_ids.length, 'pinned node')} of the annotations ${lost_ids.length === 1 ? 'is' : 'are'} not in this graph: `,
        ...named,
        ...more,
        '.',
      ),
    );
  }
  return blocks;
}

function sourceOf(origin: PaperCircuit['origin'], file: string | null): Line {
  if (origin === 'suggested') {
    return [
      strong('Suggested, not a finding:'),
      ' rules chose, grouped and named these nodes from influence, links and labels (',
      code('tracer graph suggest'),
      '); nobody has checked them.',
    ];
  }
  return file === null
    ? ['Pins and supernodes as the graph file has them.']
    : ['Pins and supernodes of ', code(shownName(file)), '.'];
}

function figure({ circuit }: Paper): Block {
  const { boxes, links } = circuit;
  return {
    kind: 'figure',
    alternative: `The circuit: ${plural(boxes.length, 'box', 'boxes')} and ${plural(links.length, 'link')}, which the tables below list.`,
    caption: [
      'Layers from bottom to top, tokens from left to right. Blue links strengthen their target, orange ones weaken it; the stronger the colour, the larger the part of what the target receives from outside. Numbers are weights, summed over the nodes of both boxes.',
    ],
  };
}

function boxTable({ boxes }: PaperCircuit): Block {
  return {
    kind: 'table',
    caption: 'Boxes',
    columns: [
      { title: 'box' },
      { title: 'kind' },
      { title: 'nodes', align: 'right' },
      { title: 'layers', align: 'right' },
      { title: 'on' },
      { title: 'influence', align: 'right' },
    ],
    groups: boxes.map((box) => ({
      heading: boxName(box),
      rows: [
        [
          [box.kind === 'feature' && box.is_supernode ? 'supernode' : box.kind],
          [String(box.members.length)],
          [layersOf(box)],
          box.kind === 'target' ? [] : placesOf(box),
          influenceOf(box.members),
        ],
      ],
    })),
  };
}

export function boxName({ name }: PaperBox): Line {
  return isSeen(name) ? [shownName(name)] : [tokenPiece(name)];
}

function influenceOf(members: readonly PaperMember[]): Line {
  const known = members.flatMap(({ influence }) => influence ?? []);
  return known.length === 0 ? [] : [decimal(known.reduce((sum, value) => sum + value, 0))];
}

function linkTable({ boxes, links }: PaperCircuit): Block {
  const shown = links.slice(0, MOST_LINKS);
  return {
    kind: 'table',
    caption:
      shown.length < links.length ? `Links (the strongest ${shown.length} of ${links.length})` : 'Links',
    columns: [
      { title: 'from' },
      { title: 'to' },
      { title: 'weight', align: 'right' },
      { title: 'part of what it receives', align: 'right' },
    ],
    groups: shown.map(({ source, target, weight, share }) => ({
      heading: boxName(boxes[source]!),
      rows: [
        [boxName(boxes[target]!), [decimal(weight)], [share < 0 ? `-${percent(-share)}` : percent(share)]],
      ],
    })),
  };
}

function featureTable(boxes: readonly PaperBox[]): Block {
  return {
    kind: 'table',
    caption: 'Features of the boxes, with the texts they are most active on',
    columns: [
      { title: 'box' },
      { title: 'feature' },
      { title: 'on' },
      { title: 'activation', align: 'right' },
      { title: 'influence', align: 'right' },
      { title: 'label' },
      { title: 'examples' },
    ],
    groups: boxes.map((box) => ({
      heading: boxName(box),
      rows: box.members.filter(({ kind }) => kind === 'feature').map(featureRow),
    })),
  };
}

function featureRow(member: PaperMember): Line[] {
  const { token, position, activation, influence, label, examples } = member;
  return [
    [memberName(member)],
    [tokenPiece(token), ` at ${position}`],
    activation === null ? NOTHING : [decimal(activation)],
    influence === null ? NOTHING : [decimal(influence)],
    label === null ? NOTHING : [shownName(label.text), LABEL_ORIGINS[label.origin]],
    examples.length === 0
      ? NOTHING
      : examples.flatMap((example, i): Line => [...(i === 0 ? [] : [BREAK]), ...exampleLine(example)]),
  ];
}

const LABEL_ORIGINS = {
  edited: '',
  model: ' (by a language model)',
  neuronpedia: ' (Neuronpedia)',
  automatic: ' (by rules)',
} as const;
