/** Page, keyboard: finds the command of a pressed key. */
import { dialog } from '../store/ui.ts';
import { COMMANDS } from './commands.ts';

/** Keys that a focused element handles itself. */
const OWN_KEYS: Readonly<Record<string, readonly string[]>> = {
  BUTTON: ['Enter', ' '],
  A: ['Enter'],
  SELECT: ['Enter', ' '],
  SUMMARY: ['Enter', ' '],
};

export function listenToKeys(): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || dialog.value !== null) return;
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    if (isTyping(target)) {
      if (event.key === 'Escape') target.blur();
      return;
    }
    if (OWN_KEYS[target.tagName]?.includes(event.key)) return;
    const pressed = pressedKey(event);
    const inGraph = target.closest('#graph-drawing') !== null;
    const command = COMMANDS.find(
      ({ keys, where }) => keys.includes(pressed) && (where === 'anywhere' || inGraph),
    );
    if (command === undefined) return;
    event.preventDefault();
    command.run();
  });
}

/** On many keyboards brackets and braces need Alt or AltGr, which some systems report as Ctrl and Alt. */
function pressedKey({ key, altKey, ctrlKey, metaKey }: KeyboardEvent): string {
  const isSymbol = /^[^\p{L}\p{N}]$/u.test(key);
  if (altKey) return isSymbol ? key : `Alt+${key}`;
  return ctrlKey || metaKey ? `Ctrl+${key}` : key;
}

function isTyping(target: HTMLElement): boolean {
  if (target instanceof HTMLInputElement)
    return !['range', 'checkbox', 'radio', 'button'].includes(target.type);
  return target instanceof HTMLTextAreaElement || target.isContentEditable;
}
