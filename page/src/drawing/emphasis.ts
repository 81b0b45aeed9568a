/** Drawing: the links of the hovered and of the clicked node with their marks, redrawn on every move of the pointer. */
import { signedShare } from '../../../src/picture/connections.ts';
import type { PictureGraph } from '../../../src/picture/picture-graph.ts';
import { inputsOf, outputsOf } from '../../../src/picture/picture.ts';
import { linkPixels } from '../../../src/picture/svg.ts';
import {
  STRENGTH_STEPS,
  strengthStep,
  THEMES,
  weightColour,
  type ThemeName,
} from '../../../src/picture/theme.ts';
import type { Visible } from '../../../src/picture/visible.ts';
import { traceMark } from './marks.ts';
import type { Projection } from './projection.ts';

export type LinkType = 'both' | 'input' | 'output';

export interface EmphasisScene {
  readonly picture: PictureGraph;
  readonly visible: Visible;
  readonly projection: Projection;
  readonly theme: ThemeName;
  readonly hovered: number | null;
  readonly clicked: number | null;
  readonly pinned: ReadonlySet<number>;
  readonly linkType: LinkType;
  /** Nodes of the same group as the hovered or the clicked node, which get a ring too. */
  readonly siblings: readonly number[];
}

/** Opacity of the links of the clicked node while another one is hovered. */
const BEHIND_OPACITY = 0.35;
const RING_PIXELS = 2.5;
/** Distance between a mark and its ring. */
const RING_GAP_PIXELS = 2;

export function drawEmphasis(context: CanvasRenderingContext2D, scene: EmphasisScene): void {
  const { hovered, clicked } = scene;
  const both = hovered !== null && clicked !== null && hovered !== clicked;
  if (clicked !== null) drawLinks(context, scene, clicked, both ? BEHIND_OPACITY : 1);
  if (hovered !== null && hovered !== clicked) drawLinks(context, scene, hovered, 1);
  if (clicked !== null) drawNeighbours(context, scene, clicked);
  if (hovered !== null && hovered !== clicked) drawNeighbours(context, scene, hovered);
  const theme = THEMES[scene.theme];
  for (const node of scene.siblings) drawRing(context, scene, node, theme.hovered);
  if (clicked !== null) drawChosen(context, scene, clicked, theme.clicked);
  if (hovered !== null && hovered !== clicked) drawChosen(context, scene, hovered, theme.hovered);
}

/** Visible links of a node, strongest first. */
function linksOf({ picture, visible, linkType }: EmphasisScene, node: number): number[] {
  const links = [
    ...(linkType === 'output' ? [] : inputsOf(picture, node)),
    ...(linkType === 'input' ? [] : outputsOf(picture, node)),
  ];
  return links.filter((link) => visible.links[link] === 1);
}

/** Draws one path for all links of a sign and strength, the strong ones on top. */
function drawLinks(
  context: CanvasRenderingContext2D,
  scene: EmphasisScene,
  node: number,
  opacity: number,
): void {
  const { picture, projection, theme } = scene;
  const steps = Array.from({ length: 2 * STRENGTH_STEPS }, () => new Array<number>());
  for (const link of linksOf(scene, node)) {
    const share = signedShare(picture, link);
    steps[2 * strengthStep(share) + +(share < 0)]!.push(link);
  }
  for (const links of steps) {
    if (links.length === 0) continue;
    const share = signedShare(picture, links[0]!);
    context.beginPath();
    for (const link of links) {
      context.moveTo(projection.xOf(picture.source[link]!), projection.yOf(picture.source[link]!));
      context.lineTo(projection.xOf(picture.target[link]!), projection.yOf(picture.target[link]!));
    }
    context.globalAlpha = opacity;
    context.strokeStyle = weightColour(share, theme);
    context.lineWidth = linkPixels(strengthStep(share)) * 1.2;
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** Draws the marks at the other ends in the colour of the link. */
function drawNeighbours(context: CanvasRenderingContext2D, scene: EmphasisScene, node: number): void {
  const { picture, projection, theme, pinned } = scene;
  for (const link of linksOf(scene, node).reverse()) {
    const other = picture.source[link] === node ? picture.target[link]! : picture.source[link]!;
    mark(context, scene, other, projection.radius - 0.5);
    context.fillStyle = weightColour(signedShare(picture, link), theme);
    context.fill();
    context.strokeStyle = pinned.has(other) ? THEMES[theme].pinned : THEMES[theme].markLine;
    context.lineWidth = pinned.has(other) ? RING_PIXELS : 1;
    context.stroke();
  }
}

function drawChosen(
  context: CanvasRenderingContext2D,
  scene: EmphasisScene,
  node: number,
  colour: string,
): void {
  const { picture, projection } = scene;
  const theme = THEMES[scene.theme];
  mark(context, scene, node, projection.radius);
  context.fillStyle = theme[picture.nodes[node]!.kind];
  context.fill();
  context.strokeStyle = colour;
  context.lineWidth = RING_PIXELS;
  context.stroke();
  drawRing(context, scene, node, colour);
}

/** Draws a ring around a mark, outside of its outline. */
function drawRing(
  context: CanvasRenderingContext2D,
  scene: EmphasisScene,
  node: number,
  colour: string,
): void {
  mark(context, scene, node, scene.projection.radius + RING_PIXELS / 2 + RING_GAP_PIXELS);
  context.strokeStyle = colour;
  context.lineWidth = RING_PIXELS;
  context.stroke();
}

function mark(
  context: CanvasRenderingContext2D,
  { picture, projection }: EmphasisScene,
  node: number,
  radius: number,
): void {
  context.beginPath();
  traceMark(context, picture.nodes[node]!.kind, projection.xOf(node), projection.yOf(node), radius);
}
