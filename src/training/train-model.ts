/** Training, step 1: a transformer on token rows, by the loss on the next token. */
import type { TransformerConfig } from '../model/config.ts';
import { batchOf } from './batch.ts';
import { descend, type LoopOptions } from './loop.ts';
import { modelOfVariables } from './model-parameters.ts';
import { Variables, type Parameter } from './parameters.ts';
import { NO_HOOKS, predictionLoss, residualOf } from './pass.ts';

/** A source of token rows. */
export interface RowSource {
  batch(n_rows: number): readonly ArrayLike<number>[];
}

export interface ModelTrainingOptions extends LoopOptions {
  readonly rowsAStep: number;
  /** Tokens of the vocabulary beside the trained ones, whose embedding is 0. */
  readonly n_silent: number;
}

/** Changes `parameters` (see `modelParameters`) in place. `config.d_vocab` counts the trained tokens. */
export async function trainModel(
  config: TransformerConfig,
  parameters: readonly Parameter[],
  corpus: RowSource,
  options: ModelTrainingOptions,
): Promise<void> {
  using variables = new Variables(parameters);
  const { rowsAStep, n_silent } = options;
  await descend(
    variables,
    () => {
      const rows = corpus.batch(rowsAStep);
      return () => {
        const batch = batchOf(rows);
        const { places, targets } = batch;
        const loss = () => {
          const model = modelOfVariables(config, variables);
          return predictionLoss(model, residualOf(model, batch, NO_HOOKS), { places, targets, n_silent });
        };
        return { loss };
      };
    },
    options,
  );
}
