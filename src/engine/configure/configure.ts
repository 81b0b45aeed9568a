/** Engine, verb `configure`: builds the replacement model and describes it. */
import { summarize } from '../../replacement/summary.ts';
import type { ConfigureRequest } from './types.ts';
import type { ConfigureResult } from './types.ts';
import { openSession } from '../session.ts';
import { peakRssBytes } from '../stopwatch.ts';

/** Loads everything, encoders included, and counts the summary from what was built. */
export async function configure(request: ConfigureRequest): Promise<ConfigureResult> {
  using session = await openSession(request, { preloadEncoders: true, mayLackSet: true });
  const { replacement, backend, stopwatch, nParameters, storageTypes } = session;
  const summary = summarize(replacement);
  const { heldBytes, streamedBytes, ...counted } = summary;
  return {
    ...session.description,
    backend_version: backend.version,
    ...counted,
    scan: summary.n_transcoders === 0 ? null : session.scan,
    all_mlps_replaced: summary.n_transcoders === summary.n_layers,
    unembed_replaced: true,
    parameters_frozen: true,
    n_parameters: nParameters,
    bytes: heldBytes,
    streamed_bytes: streamedBytes,
    storage: storageOf(storageTypes),
    weight_files: session.weightFiles,
    timings_ms: stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

function storageOf(types: readonly string[]): string {
  const widens = types.some((type) => type !== 'float32');
  return `as stored (${types.join(', ')})${widens ? ', widened when multiplied' : ''}`;
}
