/**
 * Benchmark: what circuit-tracer (TransformerLens backend, PyTorch 2.9.1, two threads) needed for the same shape, 6 layers,
 * 9 tokens, float32, on a two-core machine with AVX2; and what that machine could do.
 */
export const REFERENCE = {
  layers: 6,
  tokens: 9,
  nodes: 2048,
  loadSeconds: 18.4,
  /** Middle of 0.88 to 1.0 s. */
  passSeconds: 0.94,
  attributeSeconds: 63,
  peakBytes: 12.1 * 2 ** 30,
  /** FLOP/s of [256, 2304] × [2304, 9216] in float32 there, the rate by which times are scaled to another machine. */
  productRate: 147e9,
};

/** The reference's figures hold for one size only. */
export function isReferenceSize({ layers, tokens }) {
  return layers === REFERENCE.layers && tokens === REFERENCE.tokens;
}
