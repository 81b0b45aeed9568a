/** Attribution, step 4 of 4, and the room's door: the phases in the order of the paper (Ameisen et al. 2025), as a graph's data. */
import type { Arithmetic } from '../backend/backend.ts';
import { letEventsIn } from '../backend/event-loop.ts';
import { KnownRows } from '../graph/known-rows.ts';
import type { ActiveFeatures, ReplacementModel } from '../replacement/replacement-model.ts';
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
  /** Of products with parameters; default float32. */
  readonly arithmetic?: Arithmetic;
  readonly signal?: AbortSignal;
  /** Rows done of rows wanted; the number wanted is an upper bound until the last round. */
  readonly onProgress?: (done: number, wanted: number) => void;
  /** Called when everything is ready and rows of features begin. */
  readonly onPrepared?: () => void;
  /** Where rows outlive the process: opened as soon as it is known which features there are. It stays the caller's. */
  readonly openStore?: (features: ActiveFeatures, n_columns: number) => Promise<RowStore>;
  /** Throws for numbers that are not finite, naming the weight that they come from. */
  readonly checkFinite?: (values: Float32Array, what: string) => Promise<void>;
}

/** Keeps rows beyond the life of a process. */
export interface RowStore {
  /** Rows [features.length, n_columns] of an earlier, interrupted run; undefined unless all of them are there. */
  take(features: Int32Array): Promise<Float32Array | undefined>;
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
  const { signal, checkFinite } = options;
  const components = await prepareComponents(replacement, tokens, ignoredPositions(tokens), signal);
  let targets: Targets | undefined;
  try {
    using linear = await LinearModel.freeze(replacement, components.forward, options.arithmetic);
    const logits = await components.forward.lastLogits();
    await checkFinite?.(logits, 'the logits');
    await checkFinite?.(components.features.values, 'the activations of features');
    targets = await chooseTargets(options.targets, logits, replacement.model, tokenizer);
    const { layout, features } = components;
    const known = new KnownRows({
      n_active: layout.n_active,
      n_columns: layout.n_columns,
      logitProbabilities: targets.probabilities,
    });
    using context = backwardContext(replacement, linear, components, { signal });
    known.appendLogits(await logitRows(context, { vectors: targets.vectors }));
    const store = await options.openStore?.(features, layout.n_columns);
    options.onPrepared?.();

    const { maxFeatureNodes: limit, batchSize } = options;
    const wanted = limit === 0 ? layout.n_active : Math.min(limit, layout.n_active);
    let done = 0;
    options.onProgress?.(done, wanted);
    const compute = async (asked: Int32Array): Promise<void> => {
      const missing = asked.filter((feature) => !known.has(feature));
      // Batches are planned as if nothing were stored, so that the numbers are those of a run that was never interrupted.
      for (const batch of planBatches(features, missing, batchSize, linear.d_model)) {
        await letEventsIn();
        signal?.throwIfAborted();
        const stored = await store?.take(batch.features);
        const rows = stored ?? (await featureRows(context, batch));
        known.append(batch.features, rows);
        if (!stored) await store?.keep({ features: batch.features, rows });
        done += batch.features.length;
        options.onProgress?.(done, Math.max(done, wanted));
      }
    };
    const selected = await selectFeatures(components, known, options, compute);
    const edges = known.takeEdges(selected);
    await checkFinite?.(edges, 'the edges');
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
