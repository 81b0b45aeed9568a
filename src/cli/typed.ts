/** Settings that stand on the command line, for commands whose file names a model: what is configured must not replace that one. */
import type { Setting } from '../settings/resolve.ts';

/** The value, if a flag gave it. */
export function typed(setting: Setting<string> | undefined): string | undefined {
  return setting?.from.startsWith('--') ? setting.value : undefined;
}
