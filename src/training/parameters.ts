/** Training: parameters as plain arrays, which the optimiser changes, and as variables, which gradients are taken of. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../backend/backend.ts';

export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** Weight decay applies: matrices and embeddings, not gains, biases and decoders of unit rows. */
  readonly decays: boolean;
  /** Rows are kept at length 1, and the part of the gradient along them is removed. */
  readonly unitRows?: boolean;
  /** 1 for rows that stay as they are. */
  readonly frozenRows?: Uint8Array;
  /** Changed by other means than gradients. */
  readonly isSteered?: boolean;
  /** Factor on the learning rate; 1 when left out. */
  readonly rate?: number;
}

/** Variables of parameters, filled again after every step. Dispose it, or take it with `using`. */
export class Variables implements Disposable {
  readonly parameters: readonly Parameter[];
  private readonly byName = new Map<string, tf.Variable>();

  constructor(parameters: readonly Parameter[]) {
    this.parameters = parameters;
    for (const { name, shape, values } of parameters) {
      using value = disposable(tf.tensor(values.slice(), [...shape]));
      this.byName.set(name, tf.variable(value.tensor, true));
    }
  }

  get<T extends Tensor>(name: string): T {
    const variable = this.byName.get(name);
    if (!variable) throw new Error(`no parameter is called ${name}`);
    return variable as Tensor as T;
  }

  /** Copies the arrays into the variables. */
  refill(): void {
    for (const { name, shape, values } of this.parameters) {
      using value = disposable(tf.tensor(values.slice(), [...shape]));
      this.byName.get(name)!.assign(value.tensor);
    }
  }

  /**
   * Runs `loss` and gives the gradient of its value for every parameter that it depends on, by name. `loss` runs in a
   * tidy: a tensor that has to outlive it is kept with `tf.keep`.
   */
  async gradients(loss: () => tf.Scalar): Promise<{ value: number; gradients: Map<string, Float32Array> }> {
    const names = new Map([...this.byName].map(([name, variable]) => [variable.name, name]));
    const descending = this.parameters.filter(({ isSteered }) => !isSteered);
    const { value, grads } = tf.variableGrads(
      loss,
      descending.map(({ name }) => this.byName.get(name)!),
    );
    const gradients = new Map<string, Float32Array>();
    try {
      for (const [id, gradient] of Object.entries(grads)) {
        // Variables that the loss does not depend on have none.
        if (gradient) gradients.set(names.get(id)!, await gradient.data<'float32'>());
      }
      return { value: (await value.data())[0]!, gradients };
    } finally {
      value.dispose();
      for (const gradient of Object.values(grads)) gradient?.dispose();
    }
  }

  [Symbol.dispose](): void {
    for (const variable of this.byName.values()) variable.dispose();
    this.byName.clear();
  }
}

function disposable<T extends Tensor>(tensor: T): { readonly tensor: T } & Disposable {
  return { tensor, [Symbol.dispose]: () => tensor.dispose() };
}
