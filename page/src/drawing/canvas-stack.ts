/** Drawing: a stack of canvases at the resolution of the screen. Each is redrawn only when its own content changes. */

export type LayerName = 'grid' | 'links' | 'marks' | 'overlay' | 'axes';
const ORDER: readonly LayerName[] = ['grid', 'links', 'marks', 'overlay', 'axes'];

/** Browsers refuse larger canvases; above this size the resolution is reduced. */
const LARGEST_PIXELS = 16_000_000;

export class CanvasStack {
  readonly element: HTMLElement;
  readonly #canvases: Readonly<Record<LayerName, HTMLCanvasElement>>;
  width = 0;
  height = 0;
  /** Canvas pixels per page pixel. */
  ratio = 1;

  constructor(host: HTMLElement) {
    this.element = document.createElement('div');
    this.element.className = 'drawing-stack';
    Object.assign(this.element.style, { position: 'absolute', inset: '0', overflow: 'hidden' });
    this.element.setAttribute('aria-hidden', 'true');
    this.#canvases = Object.fromEntries(ORDER.map((name) => [name, layer()])) as Record<
      LayerName,
      HTMLCanvasElement
    >;
    this.element.append(...ORDER.map((name) => this.#canvases[name]));
    host.append(this.element);
  }

  canvas(name: LayerName): HTMLCanvasElement {
    return this.#canvases[name];
  }

  /** Whether the size changed: all canvases are empty then. */
  resize(width: number, height: number): boolean {
    const most = Math.sqrt(LARGEST_PIXELS / Math.max(1, width * height));
    const ratio = Math.min(window.devicePixelRatio || 1, Math.max(1, most));
    if (width === this.width && height === this.height && ratio === this.ratio) return false;
    Object.assign(this, { width, height, ratio });
    for (const canvas of Object.values(this.#canvases)) sizeCanvas(canvas, width, height, ratio);
    return true;
  }

  /** Clears a layer; its coordinates are page pixels. */
  clear(name: LayerName): CanvasRenderingContext2D {
    return emptied(this.#canvases[name], this.ratio);
  }
}

export function sizeCanvas(canvas: HTMLCanvasElement, width: number, height: number, ratio: number): void {
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
}

export function emptied(canvas: HTMLCanvasElement, ratio: number): CanvasRenderingContext2D {
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser has no 2D canvas.');
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function layer(): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  Object.assign(canvas.style, {
    position: 'absolute',
    left: '0',
    top: '0',
    width: '100%',
    height: '100%',
    pointerEvents: 'none',
    transformOrigin: '0 0',
  });
  return canvas;
}
