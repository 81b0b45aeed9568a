/** Engine: a process that measures one contrast, for `contrast-process.ts`, which starts it and sends it the request. */
import type { ProgressEvent } from '../request.ts';
import { failureOf, type Failure } from '../failure.ts';
import { measureContrast, type MeasuredContrast, type MeasureRequest } from './measure-contrast.ts';

/** What can be sent: without functions and signals. */
export type SentContrast = Omit<MeasureRequest, 'onProgress' | 'signal'>;

export type FromContrast =
  | { readonly kind: 'progress'; readonly event: ProgressEvent }
  | { readonly kind: 'done'; readonly measured: MeasuredContrast }
  | { readonly kind: 'failed'; readonly failure: Failure };

// Ctrl-C reaches all processes of a terminal; the one that started this one decides what it means.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());

process.once('message', (request: SentContrast) => void measure(request));

async function measure(request: SentContrast): Promise<void> {
  const tell = (message: FromContrast): Promise<void> =>
    new Promise((resolve) => process.send!(message, () => resolve()));
  try {
    const measured = await measureContrast({
      ...request,
      onProgress: (event) => {
        if (event.kind === 'progress') void tell({ kind: 'progress', event });
      },
    });
    await tell({ kind: 'done', measured });
  } catch (error) {
    await tell({ kind: 'failed', failure: failureOf(error) });
  }
  process.disconnect();
}
