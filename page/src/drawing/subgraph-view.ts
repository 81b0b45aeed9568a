/**
 * Drawing: the subgraph panel, with pinned nodes and groups as boxes that can be moved and grouped, also by keyboard. They are SVG
 * elements, since they are few and each needs a name and the focus. State is set by `update`, gestures are reported by callbacks.
 */
import { drag, type D3DragEvent } from 'd3-drag';
import { select, type Selection } from 'd3-selection';
import { boxSize, type Box } from '../../../src/picture/boxes.ts';
import { groupIds, groupKeys, ungroup } from '../../../src/picture/groups.ts';
import type { LabelOf } from '../../../src/picture/labels.ts';
import type { PictureGraph } from '../../../src/picture/picture-graph.ts';
import { indexOf } from '../../../src/picture/picture.ts';
import {
  formatPositions,
  lineCount,
  placeId,
  placeSubgraph,
  SPACED,
  type Point,
} from '../../../src/picture/place-subgraph.ts';
import {
  supernodeView,
  type SubgraphNode,
  type SubgraphPicture,
  type Supernodes,
} from '../../../src/picture/subgraph.ts';
import type { ThemeName } from '../../../src/picture/theme.ts';
import { drawBoxes, drawLinkLabels, drawLinks, type SubgraphScene } from './subgraph-shapes.ts';

export interface SubgraphState {
  readonly pinned: readonly string[];
  readonly supernodes: Supernodes;
  readonly sg_pos: string;
  readonly labelOf: LabelOf;
  readonly theme: ThemeName;
  /** Node ids. */
  readonly hovered: string | null;
  readonly clicked: string | null;
  /** Keys of the boxes that are marked for grouping. */
  readonly selected: readonly string[];
}

export interface SubgraphCallbacks {
  onHover(this: void, id: string | null): void;
  onClick(this: void, key: string, members: readonly string[]): void;
  /** Delete, or a click with Ctrl or Meta. */
  onUnpin(this: void, key: string, members: readonly string[]): void;
  onMove(this: void, sg_pos: string): void;
  onGroup(this: void, supernodes: readonly (readonly string[])[]): void;
  onSelect(this: void, keys: readonly string[]): void;
  /** F2 or a double click on a group. */
  onRename(this: void, supernode: number): void;
}

/** Largest movement in pixels that counts as a click. */
const CLICK_PIXELS = 4;
/** Step of an arrow key as a fraction of the panel; larger with Shift. */
const STEP = 0.02;
const SHIFT_STEPS = 5;
const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

type BoxDrag = D3DragEvent<SVGGElement, SubgraphNode, unknown>;

export class SubgraphView {
  readonly #host: HTMLElement;
  readonly #picture: PictureGraph;
  readonly #callbacks: SubgraphCallbacks;
  #state: SubgraphState;
  readonly #svg: Selection<SVGSVGElement, unknown, null, undefined>;
  readonly #links: Selection<SVGGElement, unknown, null, undefined>;
  readonly #labels: Selection<SVGGElement, unknown, null, undefined>;
  readonly #boxes: Selection<SVGGElement, unknown, null, undefined>;
  readonly #observer: ResizeObserver;
  #subgraph: SubgraphPicture = { nodes: [], links: [] };
  /** Centres of the boxes in pixels, in the order of the nodes. */
  #places: Point[] = [];
  #box: Box = boxSize({ width: 1, height: 1 }, 1, 1);
  #unit = 13;
  #dragged: number | null = null;
  #dropOn: number | null = null;
  #frame = 0;

  constructor(host: HTMLElement, picture: PictureGraph, callbacks: SubgraphCallbacks, state: SubgraphState) {
    this.#host = host;
    this.#picture = picture;
    this.#callbacks = callbacks;
    this.#state = state;
    this.#svg = select(host)
      .append('svg')
      .attr('class', 'subgraph-drawing')
      .attr('width', '100%')
      .attr('height', '100%')
      .style('overflow', 'visible'); // marks stand on the upper edge of boxes
    this.#links = this.#svg.append('g').attr('aria-hidden', 'true');
    this.#boxes = this.#svg.append('g');
    this.#labels = this.#svg.append('g').attr('aria-hidden', 'true');
    this.#observer = new ResizeObserver(() => {
      this.#arrange();
    });
    this.#observer.observe(host);
    this.#arrange();
  }

  /** Cheap, so it may be called often. */
  update(change: Partial<SubgraphState>): void {
    const old = this.#state;
    const now = { ...old, ...change };
    this.#state = now;
    const isArranged =
      now.pinned === old.pinned &&
      now.supernodes === old.supernodes &&
      now.sg_pos === old.sg_pos &&
      now.labelOf === old.labelOf;
    if (!isArranged) this.#arrange();
    else this.#draw();
  }

  /** All marked boxes become one group. */
  groupSelected(): void {
    const { selected, supernodes, labelOf } = this.#state;
    const keys = selected.filter((key) => this.#subgraph.nodes.some((node) => node.key === key));
    if (keys.length < 2) return;
    this.#callbacks.onSelect([]);
    this.#callbacks.onGroup(groupKeys(supernodes, keys, labelOf, this.#picture));
  }

  focus(key: string): void {
    this.#boxes
      .selectAll<SVGGElement, SubgraphNode>('g.subgraph-box')
      .filter((node) => node.key === key)
      .node()
      ?.focus();
  }

  destroy(): void {
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frame);
    this.#svg.remove();
  }

  #arrange(): void {
    const { clientWidth: width, clientHeight: height } = this.#host;
    if (width === 0 || height === 0) return; // hidden; the observer calls again when it is shown
    const { pinned, supernodes, sg_pos, labelOf } = this.#state;
    this.#unit = Number.parseFloat(getComputedStyle(this.#host).fontSize) || this.#unit;
    this.#subgraph = supernodeView(this.#picture, pinned, supernodes, labelOf);
    this.#box = boxSize({ width, height }, this.#unit, lineCount(this.#picture, this.#subgraph));
    const size = {
      width: (SPACED.across * this.#box.width) / width,
      height: (SPACED.apart * this.#box.height) / height,
    };
    this.#places = placeSubgraph(this.#picture, this.#subgraph, sg_pos, size).map(({ x, y }) => ({
      x: x * width,
      y: y * height,
    }));
    this.#draw();
  }

  #draw(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const scene = this.#scene();
      const focused = this.#focusedMember();
      drawLinks(this.#links, scene);
      drawLinkLabels(this.#labels, scene);
      drawBoxes(this.#boxes, scene, (entered) => {
        this.#listen(entered);
      });
      this.#focusMember(focused);
    });
  }

  /** A node of the box that has the focus. */
  #focusedMember(): number | null {
    const active = document.activeElement;
    const boxes = this.#boxes.selectAll<SVGGElement, SubgraphNode>('g.subgraph-box');
    return boxes.filter((_, i, elements) => elements[i] === active).data()[0]?.members[0] ?? null;
  }

  /** Boxes that are grouped or reordered lose the focus: it is moved to the box that has the node now. */
  #focusMember(node: number | null): void {
    if (node === null || this.#focusedMember() !== null) return;
    const box = this.#subgraph.nodes.find(({ members }) => members.includes(node));
    if (box !== undefined) this.focus(box.key);
  }

  #scene(): SubgraphScene {
    const { hovered, clicked, selected, theme, labelOf } = this.#state;
    return {
      picture: this.#picture,
      subgraph: this.#subgraph,
      places: this.#places,
      box: this.#box,
      unit: this.#unit,
      theme,
      labelOf,
      hovered: this.#boxOf(hovered),
      clicked: this.#boxOf(clicked),
      selected: new Set(selected),
      dropOn: this.#dropOn,
    };
  }

  #boxOf(id: string | null): number | null {
    const node = id === null ? undefined : indexOf(this.#picture, id);
    if (node === undefined) return null;
    const place = this.#subgraph.nodes.findIndex(({ members }) => members.includes(node));
    return place < 0 ? null : place;
  }

  /** Ids of the members of a box. */
  #ids({ members }: SubgraphNode): string[] {
    return members.map((index) => this.#picture.nodes[index]!.id);
  }

  #listen(boxes: Selection<SVGGElement, SubgraphNode, SVGGElement, unknown>): void {
    boxes
      .on('click', (event: MouseEvent, node) => {
        if (event.shiftKey) this.#mark(node);
        else if (event.ctrlKey || event.metaKey) this.#callbacks.onUnpin(node.key, this.#ids(node));
        else this.#callbacks.onClick(node.key, this.#ids(node));
      })
      .on('dblclick', (_: MouseEvent, { supernode }) => {
        if (supernode !== null) this.#callbacks.onRename(supernode);
      })
      .on('pointerenter', (_: PointerEvent, node) => {
        if (this.#dragged === null) this.#callbacks.onHover(this.#ids(node)[0] ?? null);
      })
      .on('pointerleave', () => {
        if (this.#dragged === null) this.#callbacks.onHover(null);
      })
      .on('keydown', (event: KeyboardEvent, node) => {
        if (!this.#onKey(event, node)) return;
        event.preventDefault();
        event.stopPropagation();
      })
      .call(
        drag<SVGGElement, SubgraphNode>()
          .clickDistance(CLICK_PIXELS)
          .container(() => this.#svg.node()!)
          .subject((_, node) => this.#places[this.#placeOf(node)]!)
          .on('drag', (event: BoxDrag, node) => {
            this.#onDrag(event, node);
          })
          .on('end', (_: BoxDrag, node) => {
            this.#onDrop(node);
          }),
      );
  }

  /** Whether the key is handled. */
  #onKey(event: KeyboardEvent, node: SubgraphNode): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const arrow = ARROWS[event.key];
    if (arrow !== undefined) {
      this.#nudge(node, arrow, event.shiftKey ? SHIFT_STEPS : 1);
      return true;
    }
    const { supernode } = node;
    switch (event.key) {
      case 'Enter':
      case ' ':
        this.#callbacks.onClick(node.key, this.#ids(node));
        return true;
      case 'g':
        this.#mark(node);
        return true;
      case 'G':
        this.groupSelected();
        return true;
      case 'u':
        if (supernode !== null) this.#callbacks.onGroup(ungroup(this.#state.supernodes, supernode));
        return supernode !== null;
      case 'F2':
        if (supernode !== null) this.#callbacks.onRename(supernode);
        return supernode !== null;
      case 'Delete':
      case 'Backspace':
        this.#callbacks.onUnpin(node.key, this.#ids(node));
        return true;
      default:
        return false;
    }
  }

  #mark({ key }: SubgraphNode): void {
    const { selected } = this.#state;
    this.#callbacks.onSelect(
      selected.includes(key) ? selected.filter((other) => other !== key) : [...selected, key],
    );
  }

  #nudge(node: SubgraphNode, [dx, dy]: readonly [number, number], steps: number): void {
    const place = this.#placeOf(node);
    const { x, y } = this.#places[place]!;
    const { clientWidth, clientHeight } = this.#host;
    this.#put(place, x + dx * STEP * steps * clientWidth, y + dy * STEP * steps * clientHeight);
    this.#tellPlaces();
  }

  #onDrag(event: BoxDrag, node: SubgraphNode): void {
    const place = this.#placeOf(node);
    this.#dragged = place;
    this.#put(place, event.x, event.y);
    const { x, y } = this.#places[place]!;
    const over = this.#places.findIndex(
      (other, i) =>
        i !== place &&
        Math.abs(other.x - x) < this.#box.width / 2 &&
        Math.abs(other.y - y) < this.#box.height / 2,
    );
    this.#dropOn = over < 0 ? null : over;
    this.#draw();
  }

  #onDrop(node: SubgraphNode): void {
    if (this.#dragged === null) return;
    const onto = this.#dropOn === null ? undefined : this.#subgraph.nodes[this.#dropOn];
    this.#dragged = this.#dropOn = null;
    if (onto === undefined) this.#tellPlaces();
    else {
      const { supernodes, labelOf } = this.#state;
      this.#callbacks.onSelect([]);
      this.#callbacks.onGroup(groupIds(supernodes, node.key, onto.key, labelOf, this.#picture));
    }
    this.#draw();
  }

  #placeOf({ key }: SubgraphNode): number {
    return this.#subgraph.nodes.findIndex((node) => node.key === key);
  }

  /** Limits a position to the panel. */
  #put(place: number, x: number, y: number): void {
    const { clientWidth, clientHeight } = this.#host;
    this.#places[place] = {
      x: inside(x, clientWidth, this.#box.width),
      y: inside(y, clientHeight, this.#box.height),
    };
  }

  /** Stores the positions of all boxes, also of those that were placed automatically. */
  #tellPlaces(): void {
    const { clientWidth, clientHeight } = this.#host;
    const places = this.#subgraph.nodes.map((node, i): [string, Point] => {
      const { x, y } = this.#places[i]!;
      return [placeId(this.#picture, node), { x: x / clientWidth, y: y / clientHeight }];
    });
    this.#callbacks.onMove(formatPositions(new Map(places)));
  }
}

function inside(value: number, room: number, size: number): number {
  return Math.min(Math.max(value, size / 2), Math.max(size / 2, room - size / 2));
}
