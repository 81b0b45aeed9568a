/** Drawing: marks of nodes, one path for all marks of a kind. */
import { MARK_CORNERS } from '../../../src/picture/marks.ts';
import type { MarkKind, PictureGraph } from '../../../src/picture/picture-graph.ts';
import type { Theme } from '../../../src/picture/theme.ts';
import type { Projection } from './projection.ts';

const KINDS: readonly MarkKind[] = ['feature', 'error', 'embedding', 'logit'];
const LINE_PIXELS = 1;
const PINNED_PIXELS = 2.2;
/** Opacity of marks that the search did not find. */
const FADED_OPACITY = 0.25;

export interface MarksScene {
  readonly picture: PictureGraph;
  readonly shown: Uint8Array;
  readonly projection: Projection;
  readonly theme: Theme;
  readonly pinned: ReadonlySet<number>;
  /** Null without a search. */
  readonly found: ReadonlySet<number> | null;
}

/** Adds the outline of a mark to the path. */
export function traceMark(
  context: CanvasRenderingContext2D,
  kind: MarkKind,
  x: number,
  y: number,
  radius: number,
): void {
  if (kind === 'feature') {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
    return;
  }
  for (const [i, [dx, dy]] of MARK_CORNERS[kind].entries()) {
    if (i === 0) context.moveTo(x + dx * radius, y + dy * radius);
    else context.lineTo(x + dx * radius, y + dy * radius);
  }
  context.closePath();
}

export function drawMarks(context: CanvasRenderingContext2D, scene: MarksScene): void {
  const { picture, shown, projection, theme, pinned, found } = scene;
  const isSeen = (node: number): boolean => {
    const [x, y] = [projection.xOf(node), projection.yOf(node)];
    return shown[node] === 1 && projection.meets(x, y, x, y);
  };
  const nodes = picture.nodes.filter(({ index }) => isSeen(index));
  const groups =
    found === null
      ? [{ members: nodes, opacity: 1 }]
      : [
          { members: nodes.filter(({ index }) => !found.has(index)), opacity: FADED_OPACITY },
          { members: nodes.filter(({ index }) => found.has(index)), opacity: 1 },
        ];
  for (const { members, opacity } of groups) {
    context.globalAlpha = opacity;
    for (const kind of KINDS) {
      context.beginPath();
      for (const { index, kind: its } of members) {
        if (its === kind) trace(context, scene, index);
      }
      context.fillStyle = theme[kind];
      context.fill();
      context.strokeStyle = theme.markLine;
      context.lineWidth = LINE_PIXELS;
      context.stroke();
    }
  }
  context.globalAlpha = 1;
  outline(
    context,
    scene,
    nodes.map(({ index }) => index).filter((index) => pinned.has(index)),
    theme.pinned,
  );
  if (found !== null) outline(context, scene, [...found].filter(isSeen), theme.found);
}

function trace(context: CanvasRenderingContext2D, { picture, projection }: MarksScene, node: number): void {
  const radius = projection.radius - LINE_PIXELS / 2;
  traceMark(context, picture.nodes[node]!.kind, projection.xOf(node), projection.yOf(node), radius);
}

function outline(
  context: CanvasRenderingContext2D,
  scene: MarksScene,
  nodes: readonly number[],
  colour: string,
): void {
  context.beginPath();
  for (const node of nodes) trace(context, scene, node);
  context.strokeStyle = colour;
  context.lineWidth = PINNED_PIXELS;
  context.stroke();
}
