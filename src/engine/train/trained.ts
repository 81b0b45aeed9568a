/** Engine, verb `train`: what is known when a set has been trained and its model freed. */
import type { Backend } from '../../backend/backend.ts';
import type { TrainIdentity } from '../../trainer/checkpoint.ts';
import type { HeldDocuments } from '../../trainer/held-documents.ts';
import type { TrainPlan } from '../../trainer/plan.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { TrainOutcome } from '../../trainer/options.ts';

export interface Trained {
  readonly modelName: string;
  readonly backend: Backend;
  readonly recipe: Recipe;
  readonly plan: TrainPlan;
  readonly context: number;
  readonly identity: TrainIdentity;
  readonly held: HeldDocuments;
  readonly outcome: TrainOutcome;
  readonly tokensPerSecond: number | null;
}
