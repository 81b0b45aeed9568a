/** Engine, verb `train`: what is said while it works: the passes before they begin, how long they take, and a line a step. */
import type { TrainPlan } from '../../trainer/plan.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { StepEvent } from '../../trainer/log.ts';
import type { EngineEvent } from '../request.ts';

const MIB = 2 ** 20;
const SECONDS_PER_MINUTE = 60;
const PERCENT = 100;

export class ProgressLine {
  readonly #plan: TrainPlan;
  readonly #recipe: Recipe;
  readonly #report: (event: EngineEvent) => void;
  /** Tokens when the first step of this process was done. */
  #firstTokens: number | null = null;
  #isAnnounced = false;
  #speed: number | null = null;

  constructor(plan: TrainPlan, recipe: Recipe, report: ((event: EngineEvent) => void) | undefined) {
    this.#plan = plan;
    this.#recipe = recipe;
    this.#report = report ?? (() => undefined);
  }

  /** Tokens a second in the last pass; null before its first step. */
  get tokensPerSecond(): number | null {
    return this.#speed;
  }

  announce(): void {
    const { passes, bytes, blockTokens } = this.#plan;
    const { d_transcoder, tokens } = this.#recipe;
    const shown = passes.map((layers) => shownLayers(layers)).join('; ');
    const message = `Layers ${shown}${passes.length > 1 ? `, in ${passes.length} passes over the corpus` : ''}: ${d_transcoder} features each, ${tokens} tokens, ${Math.ceil(bytes / MIB)} MiB beside the model, activations of ${blockTokens} tokens at a time`;
    this.#report({ kind: 'note', message });
  }

  step(event: StepEvent): void {
    const { pass, tokens, tokens_total, loss, layers, tokens_per_second } = event;
    this.#speed = tokens_per_second;
    this.#firstTokens ??= tokens;
    // The model's passes for a block of activations come before the steps on it: whole blocks tell the time of both.
    const isBlockDone = tokens - this.#firstTokens + this.#recipe.batchTokens >= this.#plan.blockTokens;
    if (isBlockDone && !this.#isAnnounced) this.#announceTime(event);
    const mean = (of: (layer: StepEvent['layers'][number]) => number): number =>
      layers.reduce((sum, layer) => sum + of(layer), 0) / layers.length;
    const parts = [
      `loss ${loss.toFixed(3)}`,
      `explained ${mean(({ explained_variance }) => explained_variance).toFixed(3)}`,
      `L0 ${mean(({ l0 }) => l0).toFixed(1)}`,
      `dead ${(PERCENT * mean(({ dead_share }) => dead_share)).toFixed(1)} %`,
      `${Math.round(tokens_per_second)} tokens/s`,
    ];
    const of = this.#plan.passes.length > 1 ? ` (pass ${pass} of ${this.#plan.passes.length})` : '';
    this.#report({
      kind: 'progress',
      phase: `train-${pass}`,
      message: `Training layers ${shownLayers(layers.map(({ layer }) => layer))}${of}: ${parts.join(', ')}`,
      done: tokens,
      total: tokens_total,
      secondsLeft: (tokens_total - tokens) / tokens_per_second,
    });
  }

  #announceTime({ pass, tokens, tokens_total, tokens_per_second }: StepEvent): void {
    this.#isAnnounced = true;
    const left = this.#plan.passes.length - pass;
    const seconds = (tokens_total - tokens + left * tokens_total) / tokens_per_second;
    const about =
      seconds < SECONDS_PER_MINUTE
        ? `${Math.ceil(seconds)} s`
        : `${Math.ceil(seconds / SECONDS_PER_MINUTE)} min`;
    const message = `Training takes about ${about} more, at ${Math.round(tokens_per_second)} tokens a second`;
    this.#report({ kind: 'note', message });
  }
}

/** `0-5, 9` */
export function shownLayers(layers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const layer of layers) {
    const last = runs.at(-1);
    if (last && last[1] + 1 === layer) last[1] = layer;
    else runs.push([layer, layer]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(', ');
}
