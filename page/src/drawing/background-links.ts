/**
 * Drawing: the links of nodes that are neither hovered nor clicked, up to 50,000. They are drawn into a hidden canvas, a few
 * milliseconds per frame, which is shown when it is complete; during zooming the last complete one is transformed.
 */
import type { PictureGraph } from '../../../src/picture/picture-graph.ts';
import type { Visible } from '../../../src/picture/visible.ts';
import { emptied, sizeCanvas } from './canvas-stack.ts';
import type { Projection } from './projection.ts';

/** Part of a frame of 16 ms; the rest is for hovering and for the page. */
const BUDGET_MS = 5;
/** Lines per path: many short paths are slow, and so are very long ones. */
const LINES_A_PATH = 200;
/** Classes from weak to strong: cumulative share of the links, opacity, width in pixels. */
const CLASSES = [
  { upTo: 0.5, opacity: 0.1, pixels: 0.5 },
  { upTo: 0.8, opacity: 0.18, pixels: 0.7 },
  { upTo: 0.95, opacity: 0.32, pixels: 0.9 },
  { upTo: 1, opacity: 0.55, pixels: 1.3 },
] as const;
/** Number of links from which on opacity is reduced; fewer links are drawn more opaque. */
const USUAL_LINKS = 2_000;

export interface BackgroundScene {
  readonly picture: PictureGraph;
  readonly visible: Visible;
  readonly projection: Projection;
  readonly colour: string;
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
}

export class BackgroundLinks {
  readonly #shown: HTMLCanvasElement;
  readonly #hidden = document.createElement('canvas');
  #job: {
    readonly scene: BackgroundScene;
    readonly links: Int32Array;
    readonly context: CanvasRenderingContext2D;
    next: number;
  } | null = null;
  #shownProjection: Projection | null = null;

  constructor(shown: HTMLCanvasElement) {
    this.#shown = shown;
  }

  /** Starts again; the shown canvas stays until the new one is complete. */
  start(scene: BackgroundScene): void {
    sizeCanvas(this.#hidden, scene.width, scene.height, scene.ratio);
    const context = emptied(this.#hidden, scene.ratio);
    context.strokeStyle = scene.colour;
    this.#job = { scene, links: shownLinks(scene), context, next: 0 };
  }

  /** Draws for a few milliseconds. True when all links are drawn. */
  work(): boolean {
    const job = this.#job;
    if (job === null) return true;
    const deadline = performance.now() + BUDGET_MS;
    while (job.next < job.links.length) {
      job.next = drawPath(job.scene, job.context, job.links, job.next);
      if (performance.now() >= deadline && job.next < job.links.length) return false;
    }
    this.#show(job.scene);
    this.#job = null;
    return true;
  }

  /** Transforms the shown canvas to the present zoom. */
  follow(projection: Projection): void {
    const shown = this.#shownProjection;
    if (shown === null) return;
    const k = projection.scale / shown.scale;
    const x = projection.x(0) - k * shown.x(0);
    const y = projection.y(0) - k * shown.y(0);
    this.#shown.style.transform = k === 1 && x === 0 && y === 0 ? '' : `matrix(${k},0,0,${k},${x},${y})`;
  }

  #show({ projection, width, height, ratio }: BackgroundScene): void {
    const context = emptied(this.#shown, ratio);
    context.drawImage(this.#hidden, 0, 0, width, height);
    this.#shownProjection = projection;
    this.follow(projection);
  }
}

/** Links to draw, weak ones first, without those outside of the plot. */
function shownLinks({ picture, visible, projection }: BackgroundScene): Int32Array {
  const { source, target } = picture;
  const links = new Int32Array(visible.linkCount);
  let count = 0;
  for (let link = 0; link < picture.linkCount; link++) {
    if (visible.links[link] === 0) continue;
    const [from, to] = [source[link]!, target[link]!];
    const seen = projection.meets(
      projection.xOf(from),
      projection.yOf(from),
      projection.xOf(to),
      projection.yOf(to),
    );
    if (seen) links[count++] = link;
  }
  return links.subarray(0, count);
}

/** Draws one path of links of the same class; returns the index after its last link. */
function drawPath(
  { picture, projection }: BackgroundScene,
  context: CanvasRenderingContext2D,
  links: Int32Array,
  start: number,
): number {
  const style =
    CLASSES.find(({ upTo }) => start < Math.ceil(upTo * links.length)) ?? CLASSES[CLASSES.length - 1]!;
  const stop = Math.min(start + LINES_A_PATH, Math.ceil(style.upTo * links.length));
  const crowding = Math.sqrt(USUAL_LINKS / links.length);
  context.globalAlpha = Math.min(0.8, Math.max(0.04, style.opacity * Math.min(2, crowding)));
  context.lineWidth = style.pixels;
  context.beginPath();
  for (let i = start; i < stop; i++) {
    const link = links[i]!;
    context.moveTo(projection.xOf(picture.source[link]!), projection.yOf(picture.source[link]!));
    context.lineTo(projection.xOf(picture.target[link]!), projection.yOf(picture.target[link]!));
  }
  context.stroke();
  return stop;
}
