/** Drawing: the tooltip beside the hovered mark. Labels are set as text, never as markup. */
import type { Theme } from '../../../src/picture/theme.ts';

export class Tooltip {
  readonly #element = document.createElement('div');

  constructor(host: HTMLElement) {
    this.#element.className = 'drawing-tip';
    this.#element.setAttribute('aria-hidden', 'true'); // the accessible name of the focused node has the same text
    Object.assign(this.#element.style, {
      position: 'absolute',
      left: '0',
      top: '0',
      maxWidth: '24em',
      padding: '0.25em 0.5em',
      borderRadius: '4px',
      border: '1px solid',
      fontSize: '0.92em',
      lineHeight: '1.35',
      pointerEvents: 'none',
      overflowWrap: 'anywhere',
      display: 'none',
      zIndex: '2',
    });
    host.append(this.#element);
  }

  show(
    text: string,
    x: number,
    y: number,
    room: { readonly width: number; readonly height: number },
    theme: Theme,
  ): void {
    const { style } = this.#element;
    if (this.#element.textContent !== text) this.#element.textContent = text;
    Object.assign(style, {
      display: 'block',
      background: theme.box,
      color: theme.text,
      borderColor: theme.boxLine,
    });
    const { offsetWidth, offsetHeight } = this.#element;
    const left = x + GAP_PIXELS + offsetWidth > room.width ? x - GAP_PIXELS - offsetWidth : x + GAP_PIXELS;
    const top = y - GAP_PIXELS - offsetHeight < 0 ? y + GAP_PIXELS : y - GAP_PIXELS - offsetHeight;
    style.transform = `translate(${Math.max(0, Math.round(left))}px,${Math.max(0, Math.round(top))}px)`;
  }

  hide(): void {
    this.#element.style.display = 'none';
  }

  remove(): void {
    this.#element.remove();
  }
}

/** Distance to the mark. */
const GAP_PIXELS = 10;
