/** The measures by their definitions: one prompt and one pass at a time, everything held, sums in float64. */
import * as tf from '@tensorflow/tfjs-core';
import type { Session } from '../../src/engine/session.ts';
import type { Edit, HookName } from '../../src/model/hooks.ts';
import type { LayerFeatures } from '../../src/transcoder/activations/activation.ts';

type Matrix = Float64Array[];

export interface PlainMeasures {
  readonly layers: readonly {
    readonly explained_variance: number;
    readonly cosine: number;
    readonly l0: number;
    readonly never_active_share: number;
    readonly mean_squared_error: number;
    readonly ce_replaced: number;
    readonly ce_mean_ablated: number;
    readonly ce_recovered: number;
    readonly kl: number;
  }[];
  readonly all: Readonly<
    Record<'ce_clean' | 'ce_replaced' | 'ce_mean_ablated' | 'ce_recovered' | 'kl', number>
  >;
}

/** Position 0 of each window is left out. */
export async function plainMeasures(
  session: Session,
  windows: readonly (readonly number[])[],
): Promise<PlainMeasures> {
  const { replacement } = session;
  const { transcoders } = replacement;
  const { n_layers, d_model } = replacement.model.config;
  const layers = Array.from({ length: n_layers }, (_, layer) => layer);

  /** Inputs, outputs and log-probabilities of a pass in which layers write other rows than their MLPs do. */
  const pass = async (tokens: readonly number[], written: ReadonlyMap<number, Matrix>) => {
    const edits = new Map<HookName, Edit>();
    for (const [layer, rows] of written) {
      edits.set(replacement.outputHook(layer), (own) =>
        tf.concat([tf.slice(own, [0, 0], [1, d_model]), tf.tensor2d(rows.map((row) => [...row]))], 0),
      );
    }
    using run = await replacement.forward(tokens, { edits, capture: () => true });
    const inputs = [];
    const outputs: Matrix[] = [];
    for (const layer of layers) {
      const input = run.activations.get<tf.Tensor2D>(replacement.inputHook(layer));
      inputs.push(input.clone());
      outputs.push(await matrix(run.activations.get<tf.Tensor2D>(replacement.outputHook(layer))));
    }
    const logProbabilities = (await matrix(run.logits)).map((row) => {
      const largest = row.reduce((a, b) => Math.max(a, b));
      const sum = row.reduce((total, z) => total + Math.exp(z - largest), 0);
      return row.map((z) => z - largest - Math.log(sum));
    });
    return { inputs, outputs, logProbabilities };
  };

  /** What features of a layer and those before it write, rows of positions from 1 on. */
  const rebuilt = async (layer: number, features: readonly LayerFeatures[], input: tf.Tensor2D) => {
    const bias = await transcoders.layers[layer]!.b_dec.data();
    const skip = await transcoders.skip(layer, input);
    const skipped = skip ? await matrix(skip) : null;
    skip?.dispose();
    const rows = Array.from({ length: input.shape[0] - 1 }, (_, i) =>
      Float64Array.from(bias, (b, j) => b + (skipped?.[i + 1]![j] ?? 0)),
    );
    for (const [source, { positions, features: numbers, values }] of features.entries()) {
      if (transcoders.lastLayerWritten(source) < layer) continue;
      const vectors = await transcoders.decoderRows(source, numbers, layer);
      for (const [i, value] of values.entries()) {
        for (let j = 0; j < d_model; j++) rows[positions[i]! - 1]![j]! += value * vectors[i * d_model + j]!;
      }
    }
    return rows;
  };

  const y = layers.map((): Matrix => []);
  const z = layers.map((): Matrix => []);
  const active = layers.map(() => ({ n: 0, ever: new Set<number>() }));
  const variants = ['clean', 'all', ...layers.map((layer) => `alone ${layer}`)];
  const means = ['all', ...layers.map((layer) => `alone ${layer}`)];
  const loss = new Map([...variants, ...means.map((name) => `mean ${name}`)].map((name) => [name, 0]));
  const divergence = new Map(variants.map((name) => [name, 0]));
  let n_tokens = 0;
  const add = (name: string, tokens: readonly number[], own: Matrix, clean: Matrix | null): void => {
    for (let i = 1; i < tokens.length; i++) {
      const row = own[i - 1]!;
      loss.set(name, loss.get(name)! - row[tokens[i]!]!);
      if (!clean) continue;
      const kl = clean[i - 1]!.reduce((sum, p, token) => sum + Math.exp(p) * (p - row[token]!), 0);
      divergence.set(name, divergence.get(name)! + kl);
    }
  };

  for (const tokens of windows) {
    n_tokens += tokens.length - 1;
    const clean = await pass(tokens, new Map());
    add('clean', tokens, clean.logProbabilities, clean.logProbabilities);
    const features: LayerFeatures[] = [];
    for (const layer of layers) {
      features.push(await transcoders.encode(layer, clean.inputs[layer]!, 1));
      active[layer]!.n += features[layer]!.values.length;
      for (const feature of features[layer]!.features) active[layer]!.ever.add(feature);
      const own = await rebuilt(layer, features, clean.inputs[layer]!);
      y[layer]!.push(...clean.outputs[layer]!.slice(1));
      z[layer]!.push(...own);
      const alone = await pass(tokens, new Map([[layer, own]]));
      add(`alone ${layer}`, tokens, alone.logProbabilities, clean.logProbabilities);
    }
    // Layer by layer: the input of each comes from a pass in which those before it are replaced.
    const written = new Map<number, Matrix>();
    const replacedFeatures: LayerFeatures[] = [];
    for (const layer of layers) {
      const { inputs } = await pass(tokens, written);
      replacedFeatures.push(await transcoders.encode(layer, inputs[layer]!, 1));
      written.set(layer, await rebuilt(layer, replacedFeatures, inputs[layer]!));
    }
    add('all', tokens, (await pass(tokens, written)).logProbabilities, clean.logProbabilities);
  }

  const meanOf = (rows: Matrix): Float64Array =>
    rows[0]!.map((_, j) => rows.reduce((sum, row) => sum + row[j]!, 0) / rows.length);
  const mean = y.map(meanOf);
  for (const tokens of windows) {
    const rowsOf = (layer: number): Matrix => tokens.slice(1).map(() => mean[layer]!);
    const all = await pass(tokens, new Map(layers.map((layer) => [layer, rowsOf(layer)])));
    add('mean all', tokens, all.logProbabilities, null);
    for (const layer of layers) {
      const alone = await pass(tokens, new Map([[layer, rowsOf(layer)]]));
      add(`mean alone ${layer}`, tokens, alone.logProbabilities, null);
    }
  }

  const ce = (name: string): number => loss.get(name)! / n_tokens;
  const replaced = (name: string) => ({
    ce_replaced: ce(name),
    ce_mean_ablated: ce(`mean ${name}`),
    ce_recovered: (ce(`mean ${name}`) - ce(name)) / (ce(`mean ${name}`) - ce('clean')),
    kl: divergence.get(name)! / n_tokens,
  });
  const square = (a: Float64Array, b: Float64Array): number =>
    a.reduce((sum, value, j) => sum + (value - b[j]!) ** 2, 0);
  const zero = new Float64Array(d_model);
  return {
    all: { ce_clean: ce('clean'), ...replaced('all') },
    layers: layers.map((layer) => {
      const total = y[layer]!.reduce((sum, row) => sum + square(row, mean[layer]!), 0);
      const error = y[layer]!.reduce((sum, row, i) => sum + square(row, z[layer]![i]!), 0);
      const cosines = y[layer]!.map((row, i) => {
        const other = z[layer]![i]!;
        const product = row.reduce((sum, value, j) => sum + value * other[j]!, 0);
        return product / Math.sqrt(square(row, zero) * square(other, zero));
      });
      const F = transcoders.layers[layer]!.W_enc.shape[0];
      return {
        explained_variance: 1 - error / total,
        cosine: cosines.reduce((sum, cosine) => sum + cosine, 0) / n_tokens,
        l0: active[layer]!.n / n_tokens,
        never_active_share: 1 - active[layer]!.ever.size / F,
        mean_squared_error: error / (n_tokens * d_model),
        ...replaced(`alone ${layer}`),
      };
    }),
  };
}

async function matrix(tensor: tf.Tensor2D): Promise<Matrix> {
  const [n, width] = tensor.shape;
  const values = await tensor.data();
  return Array.from({ length: n }, (_, i) => Float64Array.from(values.subarray(i * width, (i + 1) * width)));
}
