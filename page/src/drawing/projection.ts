/** Drawing: converts coordinates of the layout to pixels of the panel by zoom and pan. */
import { zoomIdentity, type ZoomTransform } from 'd3-zoom';
import type { Layout } from '../../../src/picture/layout.ts';

/** Margins of the plot in units, for row names and token names. */
const MARGIN_UNITS = { left: 3.4, right: 0.7, top: 0.6 } as const;
/** Exponent of the zoom for the size of marks, which grow less than their distances. */
const MARK_GROWTH = 0.55;

export interface Plot {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The plot of a panel of this size; `unit` is the font size, `bottom` the height of token names, in pixels. */
export function plotOf(width: number, height: number, unit: number, bottom: number): Plot {
  const { left, right, top } = MARGIN_UNITS;
  return {
    left: left * unit,
    top: top * unit,
    width: Math.max(1, width - (left + right) * unit),
    height: Math.max(1, height - top * unit - bottom),
  };
}

export class Projection {
  readonly plot: Plot;
  readonly layout: Layout;
  readonly zoom: ZoomTransform;
  /** Pixels per unit of the layout. */
  readonly scale: number;
  /** Radius of a mark in pixels. */
  readonly radius: number;

  constructor(plot: Plot, layout: Layout, zoom: ZoomTransform = zoomIdentity) {
    this.plot = plot;
    this.layout = layout;
    this.zoom = zoom;
    const fit = plot.width / layout.width;
    this.scale = fit * zoom.k;
    this.radius = layout.radius * fit * zoom.k ** MARK_GROWTH;
  }

  x(x: number): number {
    return this.plot.left + this.zoom.x + x * this.scale;
  }

  y(y: number): number {
    return this.plot.top + this.zoom.y + y * this.scale;
  }

  xOf(node: number): number {
    return this.x(this.layout.x[node]!);
  }

  yOf(node: number): number {
    return this.y(this.layout.y[node]!);
  }

  /** Inverse: coordinates of the layout. */
  invert(x: number, y: number): [x: number, y: number] {
    return [(x - this.plot.left - this.zoom.x) / this.scale, (y - this.plot.top - this.zoom.y) / this.scale];
  }

  /** Whether a line may be visible: its bounding box overlaps the plot. */
  meets(x0: number, y0: number, x1: number, y1: number): boolean {
    const { left, top, width, height } = this.plot;
    return (
      Math.max(x0, x1) >= left &&
      Math.min(x0, x1) <= left + width &&
      Math.max(y0, y1) >= top &&
      Math.min(y0, y1) <= top + height
    );
  }
}
