/** Neuronpedia: what has to be known about numbers that it stores, where they differ from those computed here. */

/** The sources of gemma-2-2b with the transcoders of Gemma Scope, one a layer. */
const UNNORMALISED_MODEL = 'gemma-2-2b';
const UNNORMALISED_SOURCE = /^(?:\d+|\{layer\})-gemmascope-transcoder-16k$/;

/**
 * A sentence about the activations that Neuronpedia stores for a source, or null where there is nothing to know.
 * @param source `MODEL/SOURCE`, with the number of a layer or `{layer}`
 */
export function activationsNote(source: string): string | null {
  const [model, name = ''] = source.split('/');
  if (model !== UNNORMALISED_MODEL || !UNNORMALISED_SOURCE.test(name)) return null;
  return 'Neuronpedia stores activations of this set that were made from the unnormalised residual: they differ from those computed here by design, and so may examples, densities and histograms.';
}
