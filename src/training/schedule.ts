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

/** A schedule whose ends are chosen: shares of the work, in which the rate rises from 0 and falls to 0, linearly. */
export interface RateEnds {
  readonly warmup: number;
  readonly decay: number;
}

/** The rate when a share `progress` of the work is done. */
export function steadyRate(progress: number, peak: number, { warmup, decay }: RateEnds): number {
  const rising = warmup > 0 ? progress / warmup : 1;
  const falling = decay > 0 ? (1 - progress) / decay : 1;
  return peak * Math.max(0, Math.min(1, rising, falling));
}
