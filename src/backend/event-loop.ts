/** Backend: long computations yield to the event loop, so that signals, timers and input are handled meanwhile. */

/**
 * Resolves after the events that are due were handled. The promises of TF.js resolve without a turn of the event loop, so a
 * loop over them alone would not react to Ctrl-C before its end.
 */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
