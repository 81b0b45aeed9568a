/** Attribution, step 4 of 4: all phases in the order of the paper (Ameisen et al. 2025), from a prompt to a graph's data. */
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { MemoryBudget } from '../backend/budget.ts';
import { FEATURE_FIELDS } from '../graph/graph.ts';
import { KnownRows } from '../graph/known-rows.ts';
import { RowColumns } from '../graph/row-columns.ts';
import type { ActiveFeatures, ReplacementModel } from '../replacement/replacement-model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { featureRows, logitRows } from './backward.ts';
import { planBatches } from './batches.ts';
import { FrozenPass } from './frozen-pass.ts';
import { LinearModel } from './linear-model.ts';
import { isRankedOnce, selectFeatures, type SelectionOptions } from './selection.ts';
import { Sources } from './sources.ts';
import { chooseTargets, type TargetChoice, type Targets } from './targets.ts';
import { TokenSources } from './token-sources.ts';

export interface AttributionOptions extends SelectionOptions {
  readonly targets: TargetChoice;
  readonly signal?: AbortSignal;
  /** Rows done of rows wanted; the number wanted is an upper bound until the last round. */
  readonly onProgress?: (done: number, wanted: number) => void;
  /** Called when everything is ready and rows of features begin. */
  readonly onPrepared?: () => void;
  /** Opens where rows are stored, as soon as it is known which features are active. It stays the caller's. */
  readonly openStore?: (features: ActiveFeatures) => Promise<RowStore>;
  /** Throws for numbers that are not finite, naming the weight that they come from. */
  readonly checkFinite?: (values: Float32Array, what: string) => Promise<void>;
}

/** Stores rows, so that an attribution can be resumed by another process. */
export interface RowStore {
  /** Rows [features.length, n_columns] of an earlier, interrupted run; undefined unless all of them are there. */
  take(features: Int32Array, columns: RowColumns): Promise<Float32Array | undefined>;
  keep(rows: StoredRows): Promise<void>;
}

export interface StoredRows {
  /** Indices into the active features. */
  readonly features: Int32Array;
  readonly columns: RowColumns;
  /** [features.length, n_columns] */
  readonly rows: Float32Array;
}

/** What a graph consists of; arrays as in `Graph`. */
export interface Attribution {
  readonly tokens: readonly number[];
  readonly features: ActiveFeatures;
  /** Columns for all active features; those of `edges` are for the selected ones. */
  readonly columns: RowColumns;
  readonly targets: Targets;
  readonly selected: Int32Array;
  /** [selected + n_logits, N] */
  readonly edges: Float32Array;
}

/**
 * Direct effects of all sources on the chosen features and logits of a prompt. The last token's logits are explained.
 * What is returned belongs to the caller; dispose it, or take it with `using`.
 * Throws what `forward` and `chooseTargets` throw, and the reason of `signal`.
 */
export async function attribute(
  replacement: ReplacementModel,
  tokenizer: Tokenizer,
  tokens: readonly number[],
  options: AttributionOptions,
): Promise<Attribution & Disposable> {
  const { signal, checkFinite } = options;
  using pass = await FrozenPass.of(replacement, tokens, {
    firstPosition: replacement.ignoredPositions(tokens),
    signal,
  });
  const { features } = pass;
  const logits = await pass.lastLogits();
  await checkFinite?.(logits, 'the logits');
  await checkFinite?.(features.values, 'the activations of features');
  const targets = await chooseTargets(options.targets, logits, replacement, tokenizer);
  try {
    const allColumns = RowColumns.ofAll(features.indices, replacement.model.config.n_layers, tokens.length);
    const n_active = allColumns.n_features;
    const linear = new LinearModel(replacement, pass);
    using tokenSources = TokenSources.of(linear, pass, replacement.budget);
    const isNeededOnce = isRankedOnce(options, n_active);
    using sources = new Sources(
      replacement,
      pass,
      allColumns,
      isNeededOnce ? new MemoryBudget(0) : replacement.budget,
    );
    const layerOf = (feature: number): number => features.indices[FEATURE_FIELDS * feature]!;
    const known = new KnownRows(allColumns, layerOf, targets.probabilities);
    const context = { replacement, pass, linear, sources, tokenSources, signal };
    known.appendLogits(await logitRows({ ...context, columns: allColumns }, { vectors: targets.vectors }));
    pass.releaseMlps();
    const store = await options.openStore?.(features);
    options.onPrepared?.();

    const { maxFeatureNodes: limit, batchSize } = options;
    const wanted = limit === 0 ? n_active : Math.min(limit, n_active);
    let done = 0;
    options.onProgress?.(done, wanted);
    const compute = async (asked: Int32Array, selection: Int32Array | null): Promise<void> => {
      const missing = asked.filter((feature) => !known.has(feature));
      if (selection && selection.length < n_active) {
        known.narrowTo(selection);
        sources.narrowTo(known.columns);
      }
      const { columns } = known;
      // Batches are planned as if nothing were stored, so that the numbers are those of a run that was never interrupted.
      for (const batch of planBatches(features, missing, batchSize, linear.d_model)) {
        await yieldToEventLoop();
        signal?.throwIfAborted();
        const stored = await store?.take(batch.features, columns);
        const rows = stored ?? (await featureRows({ ...context, columns }, batch));
        known.append(batch.features, rows);
        if (!stored) await store?.keep({ features: batch.features, columns, rows });
        done += batch.features.length;
        options.onProgress?.(done, Math.max(done, wanted));
      }
    };
    const selected = await selectFeatures(known, options, compute);
    const edges = known.takeEdges(selected);
    await checkFinite?.(edges, 'the edges');
    return {
      tokens,
      features,
      columns: allColumns,
      targets,
      selected,
      edges,
      [Symbol.dispose]: () => targets[Symbol.dispose](),
    };
  } catch (error) {
    targets[Symbol.dispose]();
    throw error;
  }
}
