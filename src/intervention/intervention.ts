/** Interventions, step 1 of 4: interventions as requested, not yet checked against a model or a prompt. */

/** What happens to an activation. `scale` and `add` start from the activation that the unchanged pass has there. */
export type Change =
  | { readonly kind: 'set'; readonly value: number }
  | { readonly kind: 'scale'; readonly factor: number }
  | { readonly kind: 'add'; readonly amount: number };

/** Positions from `start` to before `stop`, negative ones counted from the end; `stop: null` includes generated tokens. */
export interface PositionRange {
  readonly start: number;
  readonly stop: number | null;
}

/** One position (negative: from the end of the prompt), or a range of them. */
export type Positions = number | PositionRange;

/** A feature that gets another activation at one or more positions. Of several for one feature and position the last one counts. */
export interface Intervention {
  readonly layer: number;
  readonly pos: Positions;
  readonly feature: number;
  readonly change: Change;
}

/** `20:10:15589`, `20:2..5:15589`: the form that flags and messages use. */
export function addressText({ layer, pos, feature }: Omit<Intervention, 'change'>): string {
  return `${layer}:${positionsText(pos)}:${feature}`;
}

export function positionsText(pos: Positions): string {
  return typeof pos === 'number' ? String(pos) : `${pos.start}..${pos.stop ?? ''}`;
}
