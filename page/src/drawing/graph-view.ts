/**
 * Drawing: the graph panel. It receives state by `update` and reports gestures by callbacks; it holds no state of the page.
 * Changes are drawn once in the next frame.
 */
import { select } from 'd3-selection';
import { zoom, zoomIdentity, zoomTransform, type D3ZoomEvent, type ZoomBehavior } from 'd3-zoom';
import { HitGrid } from '../../../src/picture/hit-grid.ts';
import { describeNode, type LabelOf } from '../../../src/picture/labels.ts';
import { layoutPicture, type Layout } from '../../../src/picture/layout.ts';
import { nextNode, type Direction } from '../../../src/picture/navigate.ts';
import type { PictureGraph } from '../../../src/picture/picture-graph.ts';
import { indexOf } from '../../../src/picture/picture.ts';
import type { Supernodes } from '../../../src/picture/subgraph.ts';
import { THEMES, type ThemeName } from '../../../src/picture/theme.ts';
import type { Visible } from '../../../src/picture/visible.ts';
import { drawAxes, drawGrid, tokenMargins, tokensFit, type AxesScene } from './axes.ts';
import { CanvasStack } from './canvas-stack.ts';
import { drawEmphasis, type LinkType } from './emphasis.ts';
import { drawMarks } from './marks.ts';
import { plotOf, Projection, type Plot } from './projection.ts';
import { BackgroundLinks } from './background-links.ts';
import { Tooltip } from './tooltip.ts';

export type { LinkType } from './emphasis.ts';
export type { Direction } from '../../../src/picture/navigate.ts';

export interface GraphState {
  readonly visible: Visible;
  readonly labelOf: LabelOf;
  readonly theme: ThemeName;
  /** Node ids, here and below. */
  readonly hovered: string | null;
  readonly clicked: string | null;
  readonly pinned: readonly string[];
  /** Supernodes: members of the group of the hovered or clicked node get a ring too. */
  readonly supernodes?: Supernodes;
  /** Nodes that the search found, by index; other marks are faded. Null without a search. */
  readonly found?: ReadonlySet<number> | null;
  /** Which links of the hovered and clicked node are drawn. */
  readonly linkType?: LinkType;
}

export interface GraphCallbacks {
  onHover(this: void, id: string | null): void;
  /** Null: not on a mark. */
  onClick(this: void, id: string | null): void;
  /** Click with Ctrl, Meta or Shift, or a double click. */
  onPin(this: void, id: string): void;
}

/** Largest zoom factor. */
const MOST_ZOOM = 40;
/** Distance in pixels at which a mark still counts as hit. */
const REACH_PIXELS = 4;
/** Opacity of the background links while those of a node are emphasised. */
const DIMMED_OPACITY = '0.35';
/** Time after the last zoom event until links are redrawn at full resolution. */
const SETTLED_MS = 120;

type Layer = 'grid' | 'axes' | 'background' | 'marks' | 'overlay';

export class GraphView {
  readonly #host: HTMLElement;
  readonly #picture: PictureGraph;
  readonly #callbacks: GraphCallbacks;
  #state: GraphState;
  readonly #stack: CanvasStack;
  readonly #background: BackgroundLinks;
  readonly #tooltip: Tooltip;
  readonly #zoom: ZoomBehavior<HTMLElement, unknown>;
  readonly #observer: ResizeObserver;
  readonly #stopped = new AbortController();
  #layout: Layout;
  #hits: HitGrid;
  #projection: Projection;
  #unit = 13;
  #screenRatio = window.devicePixelRatio;
  readonly #stale = new Set<Layer>();
  #frame = 0;
  #settle: ReturnType<typeof setTimeout> | undefined;
  #backgroundIsIncomplete = false;

  constructor(host: HTMLElement, picture: PictureGraph, callbacks: GraphCallbacks, state: GraphState) {
    this.#host = host;
    this.#picture = picture;
    this.#callbacks = callbacks;
    this.#state = state;
    this.#stack = new CanvasStack(host);
    this.#background = new BackgroundLinks(this.#stack.canvas('links'));
    this.#tooltip = new Tooltip(host);
    this.#layout = layoutPicture(picture, { width: 1, height: 1 });
    this.#hits = new HitGrid(this.#layout);
    this.#projection = new Projection(plotOf(1, 1, this.#unit, 0), this.#layout);
    this.#zoom = zoom<HTMLElement, unknown>()
      .scaleExtent([1, MOST_ZOOM])
      .extent(() => [
        [0, 0],
        [this.#projection.plot.width, this.#projection.plot.height],
      ])
      .filter((event: Event) => !(event instanceof MouseEvent) || isZoomGesture(event))
      .on('zoom', (event: D3ZoomEvent<HTMLElement, unknown>) => {
        this.#onZoom(event);
      });
    select(host).call(this.#zoom).on('dblclick.zoom', null);
    this.#listen();
    this.#observer = new ResizeObserver(() => {
      this.#measure();
    });
    this.#observer.observe(host);
    this.#measure();
  }

  /** Cheap, so it may be called often. Changes of `visible` and `labelOf` are detected by identity. */
  update(change: Partial<GraphState>): void {
    const old = this.#state;
    const now = { ...old, ...change };
    this.#state = now;
    if (now.theme !== old.theme) this.#draw('grid', 'axes', 'background', 'marks', 'overlay');
    if (now.visible !== old.visible) this.#draw('background', 'marks', 'overlay');
    if (now.pinned !== old.pinned || now.found !== old.found) this.#draw('marks', 'overlay');
    if (now.hovered !== old.hovered) {
      this.#draw('overlay');
      if (this.#columnOf(now.hovered) !== this.#columnOf(old.hovered)) this.#draw('axes');
    }
    const others = ['clicked', 'linkType', 'labelOf', 'supernodes'] as const;
    if (others.some((name) => now[name] !== old[name])) this.#draw('overlay');
  }

  /** Scrolls until a node is visible; does nothing if it is visible already. */
  reveal(id: string): void {
    const node = indexOf(this.#picture, id);
    if (node === undefined) return;
    const { plot } = this.#projection;
    const [x, y] = [this.#projection.xOf(node), this.#projection.yOf(node)];
    const edge = 2 * this.#projection.radius;
    const isSeen =
      x >= plot.left + edge &&
      x <= plot.left + plot.width - edge &&
      y >= plot.top + edge &&
      y <= plot.top + plot.height - edge;
    if (isSeen) return;
    const fit = plot.width / this.#layout.width;
    this.#zoom.translateTo(select(this.#host), this.#layout.x[node]! * fit, this.#layout.y[node]! * fit);
  }

  zoomBy(factor: number): void {
    this.#zoom.scaleBy(select(this.#host), factor);
  }

  resetZoom(): void {
    this.#zoom.transform(select(this.#host), zoomIdentity);
  }

  /** The next node from the hovered one, else from the clicked one; null at the end. */
  nextNode(direction: Direction): string | null {
    const from = this.#node(this.#state.hovered) ?? this.#node(this.#state.clicked);
    const next = nextNode(this.#picture, this.#layout, this.#state.visible, from, direction);
    return next === null ? null : this.#picture.nodes[next]!.id;
  }

  /** Position of a node in the panel, in pixels. */
  focusedPosition(id: string): { x: number; y: number } | null {
    const node = this.#node(id);
    return node === null ? null : { x: this.#projection.xOf(node), y: this.#projection.yOf(node) };
  }

  destroy(): void {
    this.#stopped.abort();
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#settle);
    select(this.#host).on('.zoom', null);
    this.#tooltip.remove();
    this.#stack.element.remove();
    delete this.#host.dataset['drawn'];
  }

  #node(id: string | null): number | null {
    return id === null ? null : (indexOf(this.#picture, id) ?? null);
  }

  #listen(): void {
    const { signal } = this.#stopped;
    type Kind = 'pointermove' | 'pointerdown' | 'click' | 'dblclick';
    const listen = (type: Kind, act: (event: MouseEvent) => void): void => {
      this.#host.addEventListener(type, act, { signal });
    };
    // The coordinates of a click are rounded to pixels, those of a press are not: at the edge of a mark only the press is exact.
    let pressed: string | null = null;
    listen('pointerdown', (event) => {
      pressed = this.#idAt(event);
    });
    listen('pointermove', (event) => {
      if (event.buttons === 0) this.#hover(this.#idAt(event));
    });
    this.#host.addEventListener(
      'pointerleave',
      () => {
        this.#hover(null);
      },
      { signal },
    );
    listen('click', (event) => {
      const id = pressed;
      if (id !== null && (event.ctrlKey || event.metaKey || event.shiftKey)) this.#callbacks.onPin(id);
      else this.#callbacks.onClick(id);
    });
    listen('dblclick', () => {
      if (pressed !== null) this.#callbacks.onPin(pressed);
    });
  }

  #hover(id: string | null): void {
    if (id !== this.#state.hovered) this.#callbacks.onHover(id);
  }

  #idAt(event: MouseEvent): string | null {
    const bounds = this.#host.getBoundingClientRect();
    const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
    if (!this.#projection.meets(x, y, x, y)) return null;
    const reach = (this.#projection.radius + REACH_PIXELS) / this.#projection.scale;
    const node = this.#hits.nearest(...this.#projection.invert(x, y), reach, this.#state.visible.nodes);
    return node === null ? null : this.#picture.nodes[node]!.id;
  }

  #onZoom(event: D3ZoomEvent<HTMLElement, unknown>): void {
    this.#projection = new Projection(this.#projection.plot, this.#layout, event.transform);
    this.#draw('grid', 'axes', 'marks', 'overlay');
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => {
      this.#draw('background');
    }, SETTLED_MS);
  }

  /** Fits everything to the size of the panel. */
  #measure(): void {
    this.#screenRatio = window.devicePixelRatio;
    const { clientWidth, clientHeight } = this.#host;
    const unit = Number.parseFloat(getComputedStyle(this.#host).fontSize) || this.#unit;
    if (clientWidth === 0 || clientHeight === 0) return; // hidden; the observer calls again when it is shown
    if (!this.#stack.resize(clientWidth, clientHeight) && unit === this.#unit) return;
    this.#unit = unit;
    const oldWidth = this.#projection.plot.width;
    const plot = this.#arrange(clientWidth, clientHeight);
    this.#hits = new HitGrid(this.#layout);
    this.#zoom.translateExtent([
      [0, 0],
      [plot.width, plot.height],
    ]);
    const old = zoomTransform(this.#host);
    this.#projection = new Projection(plot, this.#layout, old);
    if (old.k !== 1) {
      this.#zoom.transform(
        select(this.#host),
        zoomIdentity.translate((old.x * plot.width) / oldWidth, (old.y * plot.width) / oldWidth).scale(old.k),
      );
    }
    this.#draw('grid', 'axes', 'background', 'marks', 'overlay');
  }

  /** Computes the layout; horizontal token names leave more room for the plot. */
  #arrange(width: number, height: number): Plot {
    const margins = tokenMargins(this.#stack.clear('axes'), this.#picture, this.#unit);
    const layIn = (bottom: number): Plot => {
      const plot = plotOf(width, height, this.#unit, bottom);
      this.#layout = layoutPicture(this.#picture, { ...plot, unit: this.#unit });
      return plot;
    };
    const plot = layIn(margins.level);
    const isLevel = tokensFit(margins.widths, this.#layout, plot.width / this.#layout.width, this.#unit);
    return isLevel ? plot : layIn(margins.slanted);
  }

  #draw(...layers: Layer[]): void {
    for (const layer of layers) this.#stale.add(layer);
    if (this.#stale.has('background')) delete this.#host.dataset['drawn'];
    if (this.#frame === 0 && this.#stack.width > 0) {
      this.#frame = requestAnimationFrame(() => {
        this.#frame = 0;
        this.#drawNow();
      });
    }
  }

  #drawNow(): void {
    if (this.#screenRatio !== window.devicePixelRatio) this.#measure(); // moved to another screen
    const theme = THEMES[this.#state.theme];
    const { visible, pinned, found = null } = this.#state;
    const pinnedNodes = new Set(pinned.flatMap((id) => this.#node(id) ?? []));
    const common = { picture: this.#picture, visible, projection: this.#projection };
    if (this.#stale.delete('background')) {
      const { width, height, ratio } = this.#stack;
      this.#background.start({ ...common, colour: theme.backgroundLink, width, height, ratio });
      this.#backgroundIsIncomplete = true;
    }
    if (this.#stale.delete('grid')) {
      this.#background.follow(this.#projection);
      drawGrid(this.#stack.clear('grid'), this.#axes());
    }
    if (this.#stale.delete('axes')) drawAxes(this.#stack.clear('axes'), this.#axes());
    if (this.#stale.delete('marks')) {
      const scene = { ...common, shown: visible.nodes, theme, pinned: pinnedNodes, found };
      drawMarks(this.#stack.clear('marks'), scene);
    }
    if (this.#stale.delete('overlay')) this.#drawOverlay(pinnedNodes);
    if (!this.#backgroundIsIncomplete) return;
    this.#backgroundIsIncomplete = !this.#background.work();
    if (this.#backgroundIsIncomplete) this.#draw();
    else this.#host.dataset['drawn'] = String(visible.linkCount);
  }

  #axes(): AxesScene {
    return {
      picture: this.#picture,
      projection: this.#projection,
      theme: THEMES[this.#state.theme],
      unit: this.#unit,
      width: this.#stack.width,
      height: this.#stack.height,
      column: this.#columnOf(this.#state.hovered),
    };
  }

  #columnOf(id: string | null): number | null {
    const node = this.#node(id);
    return node === null ? null : this.#picture.nodes[node]!.position;
  }

  /** Nodes that are grouped with the hovered or the clicked one. */
  #siblings(): number[] {
    const { hovered, clicked, supernodes = [] } = this.#state;
    return supernodes
      .filter(([, ...ids]) => ids.some((id) => id === hovered || id === clicked))
      .flatMap(([, ...ids]) => ids.flatMap((id) => this.#node(id) ?? []));
  }

  #drawOverlay(pinned: ReadonlySet<number>): void {
    const { visible, theme, labelOf, linkType = 'both' } = this.#state;
    const isShown = (node: number | null): node is number => node !== null && visible.nodes[node] === 1;
    const [hovered, clicked] = [this.#state.hovered, this.#state.clicked].map((id) => {
      const node = this.#node(id);
      return isShown(node) ? node : null;
    }) as [number | null, number | null];
    drawEmphasis(this.#stack.clear('overlay'), {
      picture: this.#picture,
      visible,
      projection: this.#projection,
      theme,
      hovered,
      clicked,
      pinned,
      linkType,
      siblings: this.#siblings().filter(isShown),
    });
    this.#stack.canvas('links').style.opacity = hovered === null && clicked === null ? '1' : DIMMED_OPACITY;
    if (hovered === null) this.#tooltip.hide();
    else {
      const [x, y] = [this.#projection.xOf(hovered), this.#projection.yOf(hovered)];
      this.#tooltip.show(describeNode(this.#picture, hovered, labelOf), x, y, this.#stack, THEMES[theme]);
    }
  }
}

/** The wheel always zooms; a pressed button drags, unless a modifier key is held. */
function isZoomGesture(event: MouseEvent): boolean {
  if (event.type === 'wheel') return true;
  return event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
}
