/** Interventions and continuations of the golden fixtures, as this program asks for them. */
import type { Intervention, Positions } from '../../src/intervention/intervention.ts';
import {
  FAMILIES,
  FAMILY_FIXTURES,
  FIXTURES,
  readGoldenJson,
  type Fixture,
  type PromptName,
} from '../support/golden.ts';

interface GoldenIntervention {
  readonly layer: number;
  readonly pos: Positions;
  readonly feature: number;
  readonly value: number;
}

export interface GoldenCase {
  readonly id: string;
  readonly interventions: readonly GoldenIntervention[];
  readonly freeze_attention: boolean;
  readonly constrained_layers: readonly [number, number] | null;
  readonly apply_activation_function: boolean;
  readonly max_abs_logit_change: number;
  readonly top_token: number;
}

export interface GoldenContinuation extends Omit<GoldenCase, 'max_abs_logit_change' | 'top_token'> {
  readonly max_new_tokens: number;
  readonly prompt_text: string;
  readonly text: string;
  readonly token_ids: readonly number[];
}

interface GoldenSet {
  readonly prompt: PromptName;
  readonly cases: readonly GoldenCase[];
  readonly generate: readonly GoldenContinuation[];
}

export interface GoldenFile {
  readonly fixture: Fixture;
  readonly set: string;
  readonly prompt: PromptName;
  readonly cases: readonly GoldenCase[];
  readonly continuations: readonly GoldenContinuation[];
}

/** One entry a fixture and set. */
export const GOLDEN_FILES: readonly GoldenFile[] = [...FIXTURES, ...FAMILIES].flatMap((fixture) =>
  Object.entries(readGoldenJson<Record<string, GoldenSet>>(fixture, 'expected', 'interventions.json'))
    .filter(([set]) => isCopied(fixture, set))
    .map(([set, { prompt, cases, generate }]) => ({ fixture, set, prompt, cases, continuations: generate })),
);

/** Of other families, the sets in a layout that is read. */
function isCopied(fixture: Fixture, set: string): boolean {
  const sets: readonly string[] | undefined = (
    FAMILY_FIXTURES as Partial<Record<Fixture, readonly string[]>>
  )[fixture];
  return sets?.includes(set) ?? true;
}

export function interventionsOf({ interventions }: Pick<GoldenCase, 'interventions'>): Intervention[] {
  return interventions.map(({ layer, pos, feature, value }) => ({
    layer,
    pos,
    feature,
    change: { kind: 'set', value },
  }));
}
