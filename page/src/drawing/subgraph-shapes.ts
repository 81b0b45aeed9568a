/** Drawing: boxes and links of the subgraph as SVG elements. Labels are set as text, never as markup. */
import { select, type Selection } from 'd3-selection';
import { boxCaption, BOX_TEXT, linkCurve, linkLabelPlace, type Box } from '../../../src/picture/boxes.ts';
import { describeNode, short, type LabelOf } from '../../../src/picture/labels.ts';
import { markPath } from '../../../src/picture/marks.ts';
import type { PictureGraph } from '../../../src/picture/picture-graph.ts';
import type { Point } from '../../../src/picture/place-subgraph.ts';
import { shownLines } from '../../../src/picture/shown.ts';
import type { SubgraphLink, SubgraphNode, SubgraphPicture } from '../../../src/picture/subgraph.ts';
import { linkPixels } from '../../../src/picture/svg.ts';
import { strengthStep, THEMES, weightColour, type ThemeName } from '../../../src/picture/theme.ts';

export interface SubgraphScene {
  readonly picture: PictureGraph;
  readonly subgraph: SubgraphPicture;
  /** Centres of the boxes in pixels. */
  readonly places: readonly Point[];
  readonly box: Box;
  readonly unit: number;
  readonly theme: ThemeName;
  readonly labelOf: LabelOf;
  /** Indices in the list of boxes. */
  readonly hovered: number | null;
  readonly clicked: number | null;
  readonly dropOn: number | null;
  /** Keys. */
  readonly selected: ReadonlySet<string>;
}

type Group<Datum> = Selection<SVGGElement, Datum, SVGGElement, unknown>;
type Root = Selection<SVGGElement, unknown, null, undefined>;

const MARK_UNITS = 0.3;
const MARKS_SHOWN = 8;
/** Opacity of links that are not connected with the chosen box. */
const ASIDE_OPACITY = 0.12;
const LINK_OPACITY = 0.85;
const WIDER = 1.5;
/** Font size in units, and the width of a digit in that size. */
const LINK_LABEL = { size: 0.85, letter: 0.6 } as const;

interface KeyedLink extends SubgraphLink {
  readonly key: string;
}

export function drawLinks(root: Root, scene: SubgraphScene): void {
  const { places, box, theme: name } = scene;
  root
    .selectAll<SVGPathElement, KeyedLink>('path')
    .data(keyed(scene), ({ key }) => key)
    .join((enter) => enter.append('path').attr('fill', 'none'))
    .order()
    .attr('opacity', (link) => (isAside(scene, link) ? ASIDE_OPACITY : LINK_OPACITY))
    .attr('d', ({ source, target }) => linkCurve(places[source]!, places[target]!, box.height))
    .attr('stroke', ({ share }) => weightColour(share, name))
    .attr('stroke-width', ({ share }) => linkPixels(strengthStep(share)) * WIDER);
}

/** Weights of the links of the chosen box, above all boxes and where none of them is. */
export function drawLinkLabels(root: Root, scene: SubgraphScene): void {
  const { places, box, theme: name, unit } = scene;
  const theme = THEMES[name];
  const size = LINK_LABEL.size * unit;
  const isShown = (link: SubgraphLink): boolean => chosenOf(scene) !== null && !isAside(scene, link);
  const centre = ({ source, target, weight }: SubgraphLink): Point => {
    const label = { width: signed(weight).length * LINK_LABEL.letter * size, height: size };
    return linkLabelPlace(places[source]!, places[target]!, box, label, places);
  };
  root
    .selectAll<SVGTextElement, KeyedLink>('text')
    .data(keyed(scene).filter(isShown), ({ key }) => key)
    .join((enter) =>
      enter
        .append('text')
        .attr('text-anchor', 'middle')
        .attr('dy', '0.35em')
        .attr('paint-order', 'stroke')
        .style('pointer-events', 'none'),
    )
    .attr('x', (link) => centre(link).x)
    .attr('y', (link) => centre(link).y)
    .attr('font-size', size)
    .attr('fill', theme.text)
    .attr('stroke', theme.background)
    .attr('stroke-width', 3)
    .text(({ weight }) => signed(weight));
}

/** The key is stored in the datum: d3 also computes keys of old data, after the nodes have changed. */
function keyed({ subgraph: { nodes, links } }: SubgraphScene): KeyedLink[] {
  return links.map((link) => ({ ...link, key: `${nodes[link.source]!.key}>${nodes[link.target]!.key}` }));
}

function chosenOf({ hovered, clicked }: SubgraphScene): number | null {
  return hovered ?? clicked;
}

function isAside(scene: SubgraphScene, { source, target }: SubgraphLink): boolean {
  const chosen = chosenOf(scene);
  return chosen !== null && source !== chosen && target !== chosen;
}

/** @param listen called with the new boxes */
export function drawBoxes(
  root: Root,
  scene: SubgraphScene,
  listen: (entered: Group<SubgraphNode>) => void,
): void {
  const { subgraph, places, box } = scene;
  const boxes = root
    .selectAll<SVGGElement, SubgraphNode>('g.subgraph-box')
    .data(subgraph.nodes, ({ key }) => key)
    .join((enter) => {
      const group = enter
        .append('g')
        .attr('class', 'subgraph-box')
        .attr('tabindex', 0)
        .attr('role', 'button')
        .style('cursor', 'grab')
        .style('touch-action', 'none');
      group.append('title');
      group.append('rect').attr('rx', 5);
      group.append('path').attr('class', 'marks');
      group.append('text').attr('text-anchor', 'middle');
      listen(group);
      return group;
    })
    .attr('data-key', ({ key }) => key)
    .attr('transform', (_, i) => `translate(${places[i]!.x},${places[i]!.y})`)
    .attr('aria-pressed', ({ key }) => String(scene.selected.has(key)))
    .attr('aria-label', (node, i) => nameOf(scene, node, i));
  boxes
    .select('title')
    .text(({ members }) =>
      members.map((index) => describeNode(scene.picture, index, scene.labelOf)).join('\n'),
    );
  boxes
    .select('rect')
    .attr('x', -box.width / 2)
    .attr('y', -box.height / 2)
    .attr('width', box.width)
    .attr('height', box.height);
  paintBoxes(boxes, scene);
  boxes.each(function (node) {
    writeLines(select<SVGGElement, SubgraphNode>(this).select<SVGTextElement>('text'), node, scene);
  });
}

function paintBoxes(boxes: Group<SubgraphNode>, scene: SubgraphScene): void {
  const { box, unit, picture, selected, hovered, clicked, dropOn } = scene;
  const theme = THEMES[scene.theme];
  boxes
    .select('rect')
    .attr('fill', ({ supernode }) => (supernode === null ? theme.box : theme.groupBox))
    .attr('stroke', (_, i) => (i === clicked ? theme.clicked : i === hovered ? theme.hovered : theme.boxLine))
    .attr('stroke-width', ({ supernode }, i) =>
      i === clicked || i === dropOn ? 3 : supernode === null ? 1 : 2,
    )
    .attr('stroke-dasharray', ({ key }, i) => (selected.has(key) || i === dropOn ? '6 3' : null));
  boxes
    .select('path.marks')
    .attr('fill', theme.box)
    .attr('stroke', theme.markLine)
    .attr('d', ({ members }) =>
      members
        .slice(0, MARKS_SHOWN)
        .map((index, i) => {
          const x = -box.width / 2 + (0.8 + i * 2.6 * MARK_UNITS) * unit;
          return markPath(picture.nodes[index]!.kind, x, -box.height / 2, MARK_UNITS * unit);
        })
        .join(''),
    );
}

function writeLines(
  text: Selection<SVGTextElement, SubgraphNode, null, undefined>,
  node: SubgraphNode,
  { picture, box, unit, theme: name }: SubgraphScene,
): void {
  const theme = THEMES[name];
  const labels = shownLines(node.name, box.letters, box.lines);
  const lines = [...labels, boxCaption(picture, node, box.captionLetters)];
  const first = BOX_TEXT.firstLine(labels.length) * unit;
  text
    .selectAll<SVGTSpanElement, string>('tspan')
    .data(lines)
    .join('tspan')
    .attr('x', 0)
    .attr('y', (_, i) => first + i * BOX_TEXT.line * unit)
    .attr('fill', (_, i) => (i < labels.length ? theme.text : theme.muted))
    .attr('font-size', (_, i) => (i < labels.length ? BOX_TEXT.label : BOX_TEXT.caption) * unit)
    .text((line) => line);
}

/** Description of a box for screen readers: its name, its members, its inputs. */
function nameOf({ subgraph, picture, labelOf }: SubgraphScene, node: SubgraphNode, place: number): string {
  const about =
    node.supernode === null
      ? describeNode(picture, node.members[0]!, labelOf)
      : `${node.name}, group of ${node.members.length}`;
  const inputs = subgraph.links
    .filter(({ target }) => target === place)
    .slice(-3)
    .reverse()
    .map(({ source, weight }) => `${subgraph.nodes[source]!.name} ${signed(weight)}`);
  return inputs.length === 0 ? about : `${about}; from ${inputs.join(', ')}`;
}

function signed(weight: number): string {
  return weight > 0 ? `+${short(weight)}` : short(weight).replace('-', '−');
}
