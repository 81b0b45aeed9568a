/** Trainer: the parameters of the features of one layer, on the device, and what is kept beside them from step to step. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '../backend/backend.ts';
import { Random } from '../random.ts';
import { DeviceParameter } from './optimizer.ts';
import type { Recipe } from './recipe.ts';

/** Numbers of a coder that steps change and that are no parameters. */
export interface CoderNumbers {
  /** Features that count as dead. */
  n_dead: number;
  /** BatchTopK: running mean of the smallest activation that a batch chose. Null before the first step. */
  cut: number | null;
  /** ReLU: factor of the L1 penalty. JumpReLU: of L0 / wanted − 1, which may be negative. */
  penalty: number;
}

/** The running mean of cuts forgets within some ten steps: features become rarer and stronger as they are trained, and cuts change with them. */
const CUT_MOMENTUM = 0.9;
const FIRST_PENALTY = 1e-3;
/** JumpReLU and ReLU begin with so many times the wanted number of active features, so that features spread first. */
export const FIRST_ACTIVE_FACTOR = 4;

/** Dispose it. */
export class Coder implements Disposable {
  readonly layer: number;
  /** Layers from its own on that its features write into. */
  readonly n_written: number;
  readonly d_model: number;
  readonly W_enc: DeviceParameter<Tensor2D>;
  readonly b_enc: DeviceParameter<Tensor1D>;
  /** [d_transcoder, n_written · d_model] */
  readonly W_dec: DeviceParameter<Tensor2D>;
  /** Of its own layer. */
  readonly b_dec: DeviceParameter<Tensor1D>;
  /** [d_model out, d_model in]; null without. */
  readonly W_skip: DeviceParameter<Tensor2D> | null;
  /** Natural logarithms of thresholds; null for kinds without. */
  readonly logThreshold: DeviceParameter<Tensor1D> | null;
  readonly numbers: CoderNumbers;
  readonly #recipe: Recipe;
  /** Tokens since a feature was active, [d_transcoder]. */
  #idle: Tensor1D;

  /** Features read random directions and write nothing yet; steps give them something to write. */
  constructor(recipe: Recipe, layer: number, d_model: number, n_written: number) {
    const { d_transcoder, optimizer, seed, activation, hasUnitDecoder } = recipe;
    this.#recipe = recipe;
    this.layer = layer;
    this.n_written = n_written;
    this.numbers = { n_dead: 0, cut: null, penalty: activation === 'relu' ? FIRST_PENALTY : 0 };
    this.d_model = d_model;
    const random = new Random(seed ^ Math.imul(layer + 1, LAYER_STRIDE));
    const parameter = <T extends Tensor>(name: string, value: T, isUnit = false): DeviceParameter<T> => {
      const made = new DeviceParameter(name, value, optimizer, isUnit);
      if (!isUnit) return made;
      value.dispose();
      return made;
    };
    const directions = random.normals(d_transcoder * d_model, 1 / Math.sqrt(d_model));
    this.W_enc = parameter('W_enc', tf.tensor2d(directions, [d_transcoder, d_model]));
    this.b_enc = parameter('b_enc', tf.zeros<tf.Rank.R1>([d_transcoder]));
    const columns = n_written * d_model;
    // A row of length 1 cannot begin as nothing: it begins as a small random direction.
    this.W_dec = parameter(
      'W_dec',
      hasUnitDecoder
        ? tf.tensor2d(random.normals(d_transcoder * columns, 1), [d_transcoder, columns])
        : tf.zeros<tf.Rank.R2>([d_transcoder, columns]),
      hasUnitDecoder,
    );
    this.b_dec = parameter('b_dec', tf.zeros<tf.Rank.R1>([d_model]));
    this.W_skip = recipe.hasSkip ? parameter('W_skip', tf.zeros<tf.Rank.R2>([d_model, d_model])) : null;
    this.logThreshold =
      activation === 'jumprelu' ? parameter('log_threshold', tf.zeros<tf.Rank.R1>([d_transcoder])) : null;
    this.#idle = tf.keep(tf.zeros<tf.Rank.R1>([d_transcoder]));
  }

  get parameters(): readonly DeviceParameter[] {
    const all = [this.W_enc, this.b_enc, this.W_dec, this.b_dec, this.W_skip, this.logThreshold];
    return all.filter((one) => one !== null);
  }

  get idle(): Tensor1D {
    return this.#idle;
  }

  /** [d_transcoder]; inside a tidy. */
  threshold(): Tensor1D | null {
    return this.logThreshold && tf.exp(this.logThreshold.value);
  }

  /** Pre-activations [n, d_transcoder] of inputs x [n, d_model]; inside a tidy. */
  preActivations(x: Tensor2D): Tensor2D {
    return tf.add(tf.matMul(x, this.W_enc.value, false, true), this.b_enc.value);
  }

  /**
   * Before the first step: thresholds, or biases, with which several times the wanted number of features are active.
   * @param x inputs [n, d_model]
   */
  async begin(x: Tensor2D): Promise<void> {
    const { activation, l0, d_transcoder } = this.#recipe;
    if (activation !== 'jumprelu' && activation !== 'relu') return;
    const pre = tf.tidy(() => this.preActivations(x));
    const sorted = (await pre.data<'float32'>()).slice().sort();
    pre.dispose();
    const wanted = Math.min(d_transcoder / 2, FIRST_ACTIVE_FACTOR * l0) * x.shape[0];
    const cut = Math.max(SMALLEST_CUT, sorted[Math.max(0, sorted.length - Math.round(wanted))]!);
    const parameter = this.logThreshold ?? this.b_enc;
    const value = this.logThreshold ? Math.log(cut) : -cut;
    parameter.replace(tf.tidy(() => [tf.fill([d_transcoder], value), ...momentsOf(parameter, this.#recipe)]));
  }

  /** After a step: `counts` [d_transcoder] says how often each feature was active at its n tokens. */
  count(counts: Tensor1D, n: number): void {
    const next = tf.tidy(() =>
      tf.where(tf.greater(counts, 0), tf.zerosLike(this.#idle), tf.add(this.#idle, n)),
    );
    this.#idle.dispose();
    this.#idle = tf.keep(next);
  }

  /** These features count as active now. */
  wake(features: readonly number[]): void {
    const counts = new Float32Array(this.#idle.size);
    for (const feature of features) counts[feature] = 1;
    const woken = tf.tensor1d(counts);
    this.count(woken, 0);
    woken.dispose();
  }

  rememberCut(cut: number): void {
    const { numbers } = this;
    numbers.cut = numbers.cut === null ? cut : CUT_MOMENTUM * numbers.cut + (1 - CUT_MOMENTUM) * cut;
  }

  /** What a checkpoint keeps, by name. */
  tensors(): readonly (readonly [name: string, tensor: Tensor])[] {
    const { optimizer } = this.#recipe;
    return [...this.parameters.flatMap((one) => one.tensors(optimizer)), ['idle', this.#idle] as const];
  }

  /** Takes what a checkpoint kept; the tensors belong to the coder from then on. */
  restore(tensors: ReadonlyMap<string, Tensor>, numbers: CoderNumbers): void {
    const { optimizer } = this.#recipe;
    for (const parameter of this.parameters) {
      parameter.replace(parameter.tensors(optimizer).map(([name]) => tensors.get(name)!));
    }
    this.#idle.dispose();
    this.#idle = tf.keep(tensors.get('idle') as Tensor1D);
    Object.assign(this.numbers, numbers);
  }

  [Symbol.dispose](): void {
    for (const parameter of this.parameters) parameter[Symbol.dispose]();
    this.#idle.dispose();
  }
}

/** Odd, so that layers begin differently with every seed. */
const LAYER_STRIDE = 0x9e3779b1;
const SMALLEST_CUT = 1e-3;

function momentsOf(parameter: DeviceParameter, { optimizer }: Recipe): Tensor[] {
  return parameter
    .tensors(optimizer)
    .slice(1)
    .map(([, moment]) => tf.clone(moment));
}
