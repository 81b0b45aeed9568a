/** Attention: the walk back from targets of edges, with attention and with all attention cut. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { AttentionMap } from '../attribution/attention-map.ts';
import { featureStarts } from '../attribution/backward.ts';
import { planBatches } from '../attribution/batches.ts';
import { atPositions, walkBack, type RowStart, type WalkVisitor } from '../attribution/walk.ts';
import { FEATURE_FIELDS } from '../graph/graph.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** Targets that are walked together: logits, then features. */
export interface TargetBatch {
  readonly n: number;
  /** Which of the targets asked for each row is. */
  readonly targets: Int32Array;
  /** Positions that they can reach. */
  readonly n_pos: number;
  /** Positions that they read, [n]. */
  readonly positions: Int32Array;
  /** Of logits, at the output of the final norm, [n_logits, d_model]; they stay the caller's. Null without any. */
  readonly vectors: Tensor2D | null;
  /** Indices into the active features, from the highest layer down. */
  readonly features: Int32Array;
}

/** Gradients at what heads of a layer take. The tensors stay the walk's. */
export interface HeadQueries {
  /** Positions that they can be at. */
  readonly n_pos: number;
  /** Of the first rows, [n_pos, n, n_heads · d_head]. */
  readonly underWay: Tensor3D | undefined;
  /** Of the others, which start at the layer, each at its position, [n, n_heads · d_head]. */
  readonly started: { readonly z: Tensor2D; readonly positions: Int32Array } | undefined;
  /** Of all rows with attention cut, at the targets' positions, [n, n_heads · d_head]. */
  readonly cut: Tensor2D;
}

/** Of all rows, [n_pos, n, n_heads · d_head]. Belongs to the caller. */
export function allQueries({ n_pos, underWay, started }: HeadQueries): Tensor3D {
  return tf.tidy(() => {
    const placed = started ? [atPositions(started.positions, n_pos, started.z)] : [];
    return tf.concat<Tensor3D>([...(underWay ? [underWay] : []), ...placed], 1);
  });
}

export interface TargetVisitor {
  heads(layer: number, attention: AttentionMap, queries: HeadQueries): Promise<void>;
  /** With attention cut, at hook_resid_post of a layer, or at the embedding with layer -1: the first rows, [n, d_model]. */
  cutPost?(layer: number, g: Tensor2D): Promise<void>;
  /** With attention cut, at the feature output of a layer. */
  cutOutput?(layer: number, g: Tensor2D): Promise<void>;
}

/** Logit targets, whose vectors [n, d_model] are read at the last position. They stay the caller's. */
export function logitBatch(prompt: TracedPrompt, vectors: Tensor2D): TargetBatch {
  const n = vectors.shape[0];
  return {
    n,
    targets: Int32Array.from({ length: n }, (_, i) => i),
    n_pos: prompt.n_pos,
    positions: new Int32Array(n).fill(prompt.n_pos - 1),
    vectors,
    features: new Int32Array(0),
  };
}

/** Features as targets, in batches. @param features indices into the active features, each once */
export function featureBatches(
  { pass, linear }: TracedPrompt,
  features: Int32Array,
  batchSize: number,
): TargetBatch[] {
  const placeOf = new Map(Array.from(features, (feature, i) => [feature, i]));
  return planBatches(pass.features, features, batchSize, linear.d_model).map((batch) => ({
    n: batch.features.length,
    targets: batch.features.map((feature) => placeOf.get(feature)!),
    n_pos: batch.n_pos,
    positions: batch.features.map((feature) => pass.features.indices[FEATURE_FIELDS * feature + 1]!),
    features: batch.features,
    vectors: null,
  }));
}

/** So many logits are walked with features: few rows alone are slow, and many are more than a batch has room for. */
const FEW_LOGITS = 64;

/** Features as targets, then logits: a few in one walk with features of the last position. */
export function targetBatches(
  prompt: TracedPrompt,
  features: Int32Array,
  vectors: Tensor2D,
  batchSize: number,
): TargetBatch[] {
  const batches = featureBatches(prompt, features, batchSize);
  const logits = logitBatch(prompt, vectors);
  const targets = logits.targets.map((target) => features.length + target);
  const isJoined = logits.n <= FEW_LOGITS && batches.at(-1)?.n_pos === prompt.n_pos;
  const last = isJoined ? batches.pop() : undefined;
  if (!last) return [...batches, { ...logits, targets }];
  return [
    ...batches,
    {
      n: logits.n + last.n,
      targets: Int32Array.from([...targets, ...last.targets]),
      n_pos: prompt.n_pos,
      positions: Int32Array.from([...logits.positions, ...last.positions]),
      vectors,
      features: last.features,
    },
  ];
}

/** Takes a batch back to the embedding. Rows are in the order of the batch. */
export async function walkTargets(
  prompt: TracedPrompt,
  batch: TargetBatch,
  visitor: TargetVisitor,
): Promise<void> {
  const { linear, pass, replacement, signal } = prompt;
  const { n_pos, vectors, features } = batch;
  const starts = await featureStarts({ linear, pass, replacement }, { features });
  const logits = vectors ? linear.fromFinalNorm(vectors) : undefined;
  const atPost = logits && {
    layer: replacement.model.config.n_layers - 1,
    g: atPositions(batch.positions.subarray(0, logits.shape[0]), n_pos, logits),
  };
  const cut = new CutRows(prompt, batch.positions, visitor, logits);
  try {
    const visit: WalkVisitor = {
      output: (layer) => cut.throughOutput(layer),
      async heads(layer, attention, { underWay, started, start }) {
        const queries = cut.queries(attention, batch, underWay, started);
        try {
          if (queries) await visitor.heads(layer, attention, queries);
        } finally {
          queries?.cut.dispose();
        }
        cut.throughAttention(start);
        if (layer > 0) return false;
        await cut.end(); // the embedding is read without attention alone
        return true;
      },
      embedding: () => Promise.resolve(),
    };
    await walkBack({ linear, n_pos, signal }, starts, visit, atPost);
  } finally {
    cut[Symbol.dispose]();
  }
}

/** Rows without attention, [n, d_model]: they stay at their positions. */
class CutRows implements Disposable {
  private readonly prompt: TracedPrompt;
  private readonly positions: Int32Array;
  private readonly visitor: TargetVisitor;
  /** Of the rows under way, at hook_attn_out of the layer, then at hook_resid_pre. */
  private g: Tensor2D | undefined;
  /** In a parallel block, what goes back through the skip of the layer. */
  private beside: Tensor2D | undefined;

  /** Takes over `g`, rows at the last hook_resid_post. */
  constructor(prompt: TracedPrompt, positions: Int32Array, visitor: TargetVisitor, g: Tensor2D | undefined) {
    this.g = g;
    this.prompt = prompt;
    this.positions = positions;
    this.visitor = visitor;
  }

  async throughOutput(layer: number): Promise<void> {
    const { linear } = this.prompt;
    const g = this.g!;
    await this.visitor.cutPost?.(layer, g);
    const positions = this.positions.subarray(0, g.shape[0]);
    const output = linear.toFeatureOutputEach(layer, positions, g);
    try {
      await this.visitor.cutOutput?.(layer, output);
      using skip = await linear.skip(layer);
      if (!skip) return;
      const added = skip.backEach(positions, output);
      if (linear.isParallel) this.beside = added;
      else {
        this.g = tf.add(g, added);
        g.dispose();
        added.dispose();
      }
    } finally {
      output.dispose();
    }
  }

  /** Of all rows that are above the attention of a layer; undefined where there is none. `cut` belongs to the caller. */
  queries(
    attention: AttentionMap,
    { n_pos }: TargetBatch,
    underWay: Tensor3D | undefined,
    started: Tensor2D | undefined,
  ): HeadQueries | undefined {
    if (!underWay && !started) return undefined;
    const { g, positions } = this;
    const first = underWay?.shape[1] ?? 0;
    return {
      n_pos,
      underWay,
      started: started && {
        z: started,
        positions: positions.subarray(first, first + started.shape[0]),
      },
      cut: tf.tidy(() =>
        tf.concat<Tensor2D>([...(g ? [attention.queries(g)] : []), ...(started ? [started] : [])]),
      ),
    };
  }

  throughAttention(start: RowStart | undefined): void {
    const { g, beside } = this;
    this.g = tf.tidy(() => {
      const parts = [
        ...(g ? [beside ? tf.add<Tensor2D>(g, beside) : g.clone()] : []),
        ...(start ? [start.beside ? tf.add<Tensor2D>(start.g, start.beside) : start.g.clone()] : []),
      ];
      return tf.concat<Tensor2D>(parts);
    });
    g?.dispose();
    beside?.dispose();
    this.beside = undefined;
  }

  async end(): Promise<void> {
    if (this.g) await this.visitor.cutPost?.(-1, this.g);
  }

  [Symbol.dispose](): void {
    this.g?.dispose();
    this.beside?.dispose();
  }
}
