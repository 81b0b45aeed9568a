/** Viewer: circuits that are suggested for graphs that nobody has annotated. Each is made once for a version of a file. */
import { suggestFor, suggestible } from '../engine/graph/suggestible.ts';
import { annotationsOfCircuit } from '../suggest/annotate.ts';
import type { OpenedGraph } from './api.ts';
import type { FeatureLookup } from './feature-lookup.ts';
import { isAnnotated, type OpenGraph } from './graph-cache.ts';
import type { StoredGraph } from './graph-store.ts';

type Suggestion = OpenedGraph['suggestion'];

/** They are small; this only keeps a server that runs for months from growing. */
const MOST_KEPT = 1_000;

export class Suggestions {
  readonly #features: FeatureLookup;
  readonly #isWanted: boolean;
  /** By version of the file. */
  readonly #made = new Map<string, Promise<Suggestion>>();

  constructor(features: FeatureLookup, isWanted: boolean) {
    this.#features = features;
    this.#isWanted = isWanted;
  }

  /** Null for a graph that a person has annotated, and where suggestions are not wanted. */
  async suggestionFor(stored: StoredGraph, open: OpenGraph): Promise<Suggestion> {
    if (!this.#isWanted || (await isAnnotated(stored, open))) return null;
    const known = this.#made.get(stored.version);
    if (known !== undefined) return await known;
    if (this.#made.size >= MOST_KEPT) this.#made.clear();
    const making = this.#make(open);
    this.#made.set(stored.version, making);
    making.catch(() => this.#made.delete(stored.version)); // the next request tries again
    return await making;
  }

  /** Names of boxes come from labels and examples. */
  forget(): void {
    this.#made.clear();
  }

  async #make(open: OpenGraph): Promise<Suggestion> {
    const found = suggestible(open);
    if (found === null) return null;
    const { circuit } = await suggestFor(found, (features) => this.#features.knownOf(open, features));
    return circuit.n_features === 0 ? null : annotationsOfCircuit(circuit);
  }
}
