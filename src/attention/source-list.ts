/** Attention: the sources that a residual stream is the sum of, in their order, with their names and the groups they are summed in. */
import { FEATURE_FIELDS } from '../graph/graph.ts';
import { featureId } from '../graph/feature-id.ts';
import type { ActiveFeatures } from '../replacement/replacement-model.ts';

/** In the order of sources. Features are all active ones; positions exist where they are learned vectors. */
export const SOURCE_KINDS = ['feature', 'error', 'token', 'position', 'bias', 'first'] as const;
export type SourceKind = (typeof SOURCE_KINDS)[number];

/** What a source is. What does not apply is null. */
export interface Source {
  readonly kind: SourceKind;
  readonly layer: number | null;
  readonly position: number | null;
  readonly feature: number | null;
}

/** Sources summed by what they have in common. */
export interface SourceGroups {
  readonly names: readonly string[];
  /** Group of each source, [n_sources]. */
  readonly of: Int32Array;
}

export const GROUPINGS = ['layer', 'position'] as const;
export type Grouping = (typeof GROUPINGS)[number];

export interface SourceSizes {
  readonly n_layers: number;
  readonly n_pos: number;
  /** Whether positions are vectors that are added to the embedding. */
  readonly hasPositions: boolean;
}

/** Of a prompt. Features, errors and tokens have the columns that `RowColumns.ofAll` gives them. */
export class SourceList {
  readonly n_layers: number;
  readonly n_pos: number;
  readonly n_features: number;
  readonly n_sources: number;
  /** Index of the first source of each kind; of a kind that there is not, of the next. */
  readonly start: Readonly<Record<SourceKind, number>>;
  private readonly indices: Int32Array;

  constructor({ indices }: Pick<ActiveFeatures, 'indices'>, { n_layers, n_pos, hasPositions }: SourceSizes) {
    this.indices = indices;
    this.n_layers = n_layers;
    this.n_pos = n_pos;
    this.n_features = indices.length / FEATURE_FIELDS;
    const counts: Record<SourceKind, number> = {
      feature: this.n_features,
      error: n_layers * n_pos,
      token: n_pos,
      position: hasPositions ? n_pos : 0,
      bias: n_layers,
      first: n_layers,
    };
    let next = 0;
    const start: Partial<Record<SourceKind, number>> = {};
    for (const kind of SOURCE_KINDS) {
      start[kind] = next;
      next += counts[kind];
    }
    this.start = start as Record<SourceKind, number>;
    this.n_sources = next;
  }

  /** For sums of rows. */
  get n_columns(): number {
    return this.n_sources;
  }

  tokenColumn(position: number): number {
    return this.start.token + position;
  }

  describe(source: number): Source {
    const kind = SOURCE_KINDS.findLast((each) => source >= this.start[each] && this.has(each))!;
    const place = source - this.start[kind];
    switch (kind) {
      case 'feature': {
        const [layer, position, feature] = this.indices.subarray(FEATURE_FIELDS * source);
        return { kind, layer: layer!, position: position!, feature: feature! };
      }
      case 'error':
        return {
          kind,
          layer: Math.floor(place / this.n_pos),
          position: place % this.n_pos,
          feature: null,
        };
      case 'token':
      case 'position':
        return { kind, layer: null, position: place, feature: null };
      case 'bias':
      case 'first':
        return { kind, layer: place, position: null, feature: null };
    }
  }

  /** Unique in its prompt; of features, errors and tokens the ids of graphs. */
  id(source: number, tokens: ArrayLike<number>): string {
    const { kind, layer, position, feature } = this.describe(source);
    switch (kind) {
      case 'feature':
        return featureId({ layer: layer!, position: position!, feature: feature! });
      case 'error':
        return `${layer}_error_${position}`;
      case 'token':
        return `E_${tokens[position!]}_${position}`;
      case 'position':
        return `P_${position}`;
      case 'bias':
      case 'first':
        return `${kind}_${layer}`;
    }
  }

  /** Groups in the order in which they appear among the sources, those of positions from 0 on. */
  groups(by: Grouping): SourceGroups {
    const names: string[] =
      by === 'position' ? Array.from({ length: this.n_pos }, (_, position) => String(position)) : [];
    const places = new Map(names.map((name, place) => [name, place]));
    const of = new Int32Array(this.n_sources);
    for (let source = 0; source < this.n_sources; source++) {
      const name = groupOf(this.describe(source), by);
      let place = places.get(name);
      if (place === undefined) {
        place = names.length;
        places.set(name, place);
        names.push(name);
      }
      of[source] = place;
    }
    return { names, of };
  }

  /** Sources that can be something to a head of a layer at a position, ascending; all others are exactly 0 there. */
  reaching(layer: number, position: number): Int32Array {
    return Int32Array.from({ length: this.n_sources }, (_, source) => source).filter((source) => {
      const { kind, layer: own, position: at } = this.describe(source);
      return (own === null || own < layer || (own === layer && kind === 'bias')) && (at ?? 0) <= position;
    });
  }

  private has(kind: SourceKind): boolean {
    const next = SOURCE_KINDS[SOURCE_KINDS.indexOf(kind) + 1];
    return this.start[kind] < (next ? this.start[next] : this.n_sources);
  }
}

function groupOf({ kind, layer, position }: Source, by: Grouping): string {
  if (by === 'position' && position !== null) return String(position);
  return kind === 'feature' || kind === 'error' ? `${kind} ${layer}` : kind;
}
