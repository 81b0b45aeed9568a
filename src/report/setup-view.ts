/** View of `setup`: what is linked and where, or why it failed. */
import { formatDuration } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts } from './table.ts';
import { printable, printableLines } from './text.ts';

export type SetupResult =
  | {
      readonly linked: true;
      readonly device: string;
      readonly folder: string;
      /** `TensorFlow 2.21.0` */
      readonly version: string;
      /** Instructions of products on stored weights; null where TensorFlow's own serve. */
      readonly kernel: string | null;
      readonly already_set_up: boolean;
      readonly seconds: number;
    }
  | {
      readonly linked: false;
      readonly device: string;
      readonly code: string;
      readonly message: string;
      readonly hint?: string;
    };

const MS_PER_SECOND = 1000;

export function setupView(result: SetupResult, screen: Screen): string {
  if (!result.linked) {
    const lines = [
      `${screen.paint.yellow('TensorFlow is not linked')}; tracer works with wasm.`,
      printableLines(result.message),
    ];
    if (result.hint !== undefined) lines.push(printableLines(result.hint));
    return lines.join('\n');
  }
  return facts(
    [
      ['linked', { text: printable(result.version), paint: screen.paint.green }],
      ['device', result.device],
      ['products', result.kernel === null ? "TensorFlow's own" : `on stored weights, ${result.kernel}`],
      ['folder', printable(result.folder)],
      ['work', result.already_set_up ? 'it was there and works' : 'built and checked with one product'],
      ['time', formatDuration(result.seconds * MS_PER_SECOND)],
    ],
    screen,
  );
}
