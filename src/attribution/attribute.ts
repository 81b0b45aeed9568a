/** Attribution, step 4 of 4, and the room's door: the phases in the order of the paper (Ameisen et al. 2025), as a graph's data. */
import { letEventsIn } from '../backend/event-loop.ts';
import { KnownRows } from '../graph/known-rows.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { ignoredPositions } from '../tokenizer/bos.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { backwardContext, featureRows, logitRows } from './backward.ts';
import { planBatches } from './batches.ts';
import { prepareComponents, type Components } from './components.ts';
import { LinearModel } from './linear-model.ts';
import { selectFeatures, type SelectionOptions } from './selection.ts';
import { chooseTargets, type TargetChoice, type Targets } from './targets.ts';

export interface AttributionOptions extends SelectionOptions {
  readonly targets: TargetChoice;
  readonly signal?: AbortSignal;
  /** Rows done of rows wanted; the number wanted is an upper bound until the last round. */
  readonly onProgress?: (done: number, wanted: number) => void;
  /** Rows of an earlier, interrupted run, and where to keep those of this one. */
  readonly store?: RowStore;
}

/** Keeps rows beyond the life of a process. */
export interface RowStore {
  /** Rows that are there already, in batches. */
  readonly known: readonly StoredRows[];
  keep(rows: StoredRows): Promise<void>;
}

export interface StoredRows {
  /** Indices into the active features. */
  readonly features: Int32Array;
  /** [features.length, n_columns] */
  readonly rows: Float32Array;
}

/** What a graph consists of; arrays as in `Graph`. */
export interface Attribution {
  readonly components: Components;
  readonly targets: Targets;
  readonly selected: Int32Array;
  /** [selected + n_logits, N] */
  readonly edges: Float32Array;
}

/**
 * Direct effects of all sources on the chosen features and logits of a prompt. The last token's logits are explained.
 * What is returned belongs to the caller, `components` and `targets` are to be disposed.
 * Throws what `forward` and `chooseTargets` throw, and the reason of `signal`.
 */
export async function attribute(
  replacement: ReplacementModel,
  tokenizer: Tokenizer,
  tokens: readonly number[],
  options: AttributionOptions,
): Promise<Attribution & Disposable> {
  const { signal } = options;
  const components = await prepareComponents(replacement, tokens, ignoredPositions(tokens), signal);
  let targets: Targets | undefined;
  try {
    using linear = await LinearModel.freeze(replacement, components.forward);
    const logits = await components.forward.lastLogits();
    targets = await chooseTargets(options.targets, logits, replacement.model, tokenizer);
    const { layout, features } = components;
    const known = new KnownRows({
      n_active: layout.n_active,
      n_columns: layout.n_columns,
      logitProbabilities: targets.probabilities,
    });
    using context = backwardContext(replacement, linear, components);
    known.appendLogits(await logitRows(context, { vectors: targets.vectors }));
    for (const stored of options.store?.known ?? []) known.append(stored.features, stored.rows);

    const { maxFeatureNodes: limit, batchSize } = options;
    const wanted = limit === 0 ? layout.n_active : Math.min(limit, layout.n_active);
    let done = options.store?.known.reduce((sum, { features: rows }) => sum + rows.length, 0) ?? 0;
    options.onProgress?.(done, wanted);
    const compute = async (asked: Int32Array): Promise<void> => {
      const missing = asked.filter((feature) => !known.has(feature));
      for (const batch of planBatches(features, missing, batchSize, linear.d_model)) {
        await letEventsIn();
        signal?.throwIfAborted();
        const rows = await featureRows(context, batch);
        known.append(batch.features, rows);
        await options.store?.keep({ features: batch.features, rows });
        done += batch.features.length;
        options.onProgress?.(done, Math.max(done, wanted));
      }
    };
    const selected = await selectFeatures(components, known, options, compute);
    const edges = known.takeEdges(selected);
    const owned = targets;
    return {
      components,
      targets: owned,
      selected,
      edges,
      [Symbol.dispose]() {
        owned[Symbol.dispose]();
        components[Symbol.dispose]();
      },
    };
  } catch (error) {
    targets?.[Symbol.dispose]();
    components[Symbol.dispose]();
    throw error;
  }
}
