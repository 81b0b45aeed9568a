/** Engine, verb `train`: what is known when a set has been trained and its model freed. */
import type { Backend } from '../../backend/backend.ts';
import type { HeldDocuments } from '../../trainer/held-documents.ts';
import type { TrainPlan } from '../../trainer/plan.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { TrainRecord } from '../../trainer/record.ts';
import type { TrainOutcome } from '../../trainer/options.ts';

export interface Trained {
  readonly backend: Backend;
  readonly recipe: Recipe;
  readonly plan: TrainPlan;
  readonly record: TrainRecord;
  readonly held: HeldDocuments;
  readonly outcome: TrainOutcome;
  readonly tokensPerSecond: number | null;
}
