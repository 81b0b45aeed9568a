/** Page, parts: arrow keys, Home and End move the focus among the main buttons of a list. */

export const ROW_BUTTON = 'row-main';

export function onListKey(event: KeyboardEvent & { readonly currentTarget: HTMLElement }): void {
  const buttons = [...event.currentTarget.querySelectorAll<HTMLElement>(`.${ROW_BUTTON}`)];
  const place = buttons.indexOf(document.activeElement as HTMLElement);
  const target = targetOf(event.key, place, buttons.length);
  if (target === null) return;
  event.preventDefault();
  event.stopPropagation();
  buttons[target]?.focus();
}

function targetOf(key: string, place: number, length: number): number | null {
  switch (key) {
    case 'ArrowDown':
      return Math.min(length - 1, place + 1);
    case 'ArrowUp':
      return Math.max(0, place - 1);
    case 'Home':
      return 0;
    case 'End':
      return length - 1;
    default:
      return null;
  }
}
