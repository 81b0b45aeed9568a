/** Training: the learning rate of a step. */

const WARMUP_STEPS = 100;
const LAST_SHARE = 0.02; // of the peak, at the last step

/** Rises linearly, then falls along half a cosine. Short runs warm up in a tenth of their steps. */
export function learningRate(step: number, steps: number, peak: number): number {
  const warmup = Math.min(WARMUP_STEPS, Math.ceil(steps / 10));
  if (step < warmup) return (peak * (step + 1)) / warmup;
  const progress = (step - warmup) / Math.max(1, steps - warmup);
  return peak * (LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
