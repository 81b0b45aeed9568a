/** Model: the captured values of one run, by hook name, and who owns them. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../backend/backend.ts';
import { applyEdit, type HookName, type RunHooks } from './hooks.ts';

/** Values kept from a run, in the order of the pass. Dispose it, or take it with `using`. */
export class ActivationCache implements Disposable {
  private readonly values = new Map<HookName, Tensor>();

  /** Keeps a value beyond the tidy it was made in; the value given stays its owner's. A name kept before is replaced. */
  keep(name: HookName, value: Tensor): void {
    // A clone shares the numbers; the owner of the original may dispose it.
    const kept = tf.keep(value.clone());
    this.values.get(name)?.dispose();
    this.values.set(name, kept);
  }

  has(name: HookName): boolean {
    return this.values.has(name);
  }

  /** The value at a hook; it stays the cache's, also when an edit returns it. Throws when the run did not capture it. */
  get<T extends Tensor = Tensor>(name: HookName): T {
    const value = this.values.get(name);
    if (!value) throw new Error(`${name} was not captured in this run`);
    return value as T;
  }

  /** As `get`, but the value belongs to the caller from now on, so that a long prompt's values can be disposed early. */
  take<T extends Tensor = Tensor>(name: HookName): T {
    const value = this.get<T>(name);
    this.values.delete(name);
    return value;
  }

  entries(): IterableIterator<[HookName, Tensor]> {
    return this.values.entries();
  }

  [Symbol.dispose](): void {
    for (const value of this.values.values()) value.dispose();
    this.values.clear();
  }
}

/** What the code of a pass calls at every hook: applies edits, keeps captures, returns the value that the pass continues with. */
export interface HookPoints {
  at<T extends Tensor>(name: HookName, value: T): T;
}

export function hookPoints(hooks: RunHooks, cache: ActivationCache): HookPoints {
  const { edits, capture } = hooks;
  return {
    at<T extends Tensor>(name: HookName, value: T): T {
      const edit = edits?.get(name);
      const edited = edit ? applyEdit(edit, value, name) : value;
      if (capture?.(name)) cache.keep(name, edited);
      return edited;
    },
  };
}
