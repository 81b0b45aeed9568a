/** Backend: long computations let the event loop have its turn, so that Ctrl-C and timers are heard. */

/**
 * Resolves after the events that wait: signals, timers, input. The promises of TF.js resolve without a turn of the event
 * loop, so a loop over them alone would be deaf until its end.
 */
export function letEventsIn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
