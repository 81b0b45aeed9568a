/** Paper: what a page about one graph says, as data. `engine/report` makes it, `content.ts` puts it into sections. */
import type { JsonValue } from '../graph/graph.ts';
import type { GraphScores } from '../graph/scores.ts';

/** Where the circuit comes from: rules, what was annotated (beside the graph or in it), or a file that was named. */
export type CircuitOrigin = 'suggested' | 'annotated' | 'named';

export interface Paper {
  readonly title: string;
  readonly prompt: string;
  readonly tokens: readonly string[];
  /** The most probable first. */
  readonly targets: readonly PaperTarget[];
  readonly circuit: PaperCircuit;
  readonly effects: PaperEffects;
  readonly scores: PaperScores;
  readonly provenance: PaperProvenance;
}

export interface PaperTarget {
  readonly token: string;
  /** Null for a direction that is no token, and where the file does not say. */
  readonly token_id: number | null;
  readonly probability: number;
}

export interface PaperCircuit {
  readonly origin: CircuitOrigin;
  /** Name of the file with the annotations; null for a suggested circuit and for pins in the graph's own file. */
  readonly file: string | null;
  readonly notes: string;
  /** Tokens by position, features by position and layer, targets. */
  readonly boxes: readonly PaperBox[];
  /** The strongest first. */
  readonly links: readonly PaperLink[];
  /** Pinned ids that the graph does not have. */
  readonly lost_ids: readonly string[];
  /** Groups that a suggested circuit had no room for. */
  readonly left_out: { readonly n_boxes: number; readonly n_features: number };
  /** Why features have no labels and examples here; null where there are some. */
  readonly no_pages: string | null;
}

export type BoxKind = 'token' | 'feature' | 'error' | 'target' | 'mixed';

export interface PaperBox {
  readonly name: string;
  readonly kind: BoxKind;
  /** Whether it is a group with a name, and not a single node. */
  readonly is_supernode: boolean;
  readonly members: readonly PaperMember[];
}

export interface PaperMember {
  /** As viewers and commands name it. */
  readonly id: string;
  readonly kind: Exclude<BoxKind, 'mixed'>;
  /** Of features and errors. */
  readonly layer: number | null;
  readonly feature: number | null;
  readonly position: number;
  readonly token: string;
  readonly activation: number | null;
  /** In the whole graph, or in what the file has of it; null for targets. */
  readonly influence: number | null;
  readonly label: PaperLabel | null;
  readonly examples: readonly PaperExample[];
}

export interface PaperLabel {
  readonly text: string;
  readonly origin: 'edited' | 'model' | 'neuronpedia' | 'automatic';
}

/** A few tokens of a text, and which of them the feature is most active on. */
export interface PaperExample {
  readonly tokens: readonly string[];
  readonly strongest: number;
  /** Whether the text goes on before and after. */
  readonly is_cut: { readonly before: boolean; readonly after: boolean };
}

export interface PaperLink {
  /** Indices of boxes. */
  readonly source: number;
  readonly target: number;
  readonly weight: number;
  /** Signed part of what the target receives from outside of it. */
  readonly share: number;
}

export interface PaperEffects {
  /** Indices of the targets that effects are given for. */
  readonly targets: readonly number[];
  /** Why the graph predicts nothing; null where it does. */
  readonly not_predicted: string | null;
  readonly measured: PaperMeasured | { readonly state: 'not_measured'; readonly reason: string };
  /** A row a box with features, and the last one without all of them. */
  readonly rows: readonly PaperEffect[];
  /** Spearman's, of predicted and measured changes of the first target over boxes; null where there is no order. */
  readonly rank_correlation: number | null;
}

export interface PaperMeasured {
  readonly state: 'measured';
  readonly model: string;
  readonly transcoders: string;
  readonly backend: string;
  readonly device: string;
  readonly dtype: string;
  /** The most likely next token of the unchanged pass. */
  readonly says: PaperSaid;
  /** Of `targets`, in the unchanged pass; null for directions. */
  readonly probabilities: readonly (number | null)[];
}

export interface PaperSaid {
  readonly token: string;
  readonly probability: number;
}

export interface PaperEffect {
  /** Index of the box; null: the features of all boxes together. */
  readonly box: number | null;
  readonly n_features: number;
  /** In the order of `targets`; null where it was not predicted or measured. */
  readonly changes: readonly {
    readonly predicted: number | null;
    readonly measured: number | null;
    /** Of the target, in the changed pass. */
    readonly probability: number | null;
  }[];
  /** The most likely next token of the changed pass. */
  readonly says: PaperSaid | null;
}

export interface PaperScores {
  /** Null for a viewer's file, which has a pruned graph alone; the number of features for a graph file that keeps what pruning left. */
  readonly whole: { readonly n_features: number | null; readonly scores: GraphScores } | null;
  readonly pruned: ScoredFeatures;
  readonly circuit: ScoredFeatures;
  /** As many features as a suggested circuit has, chosen one after the other for completeness. */
  readonly greedy: ScoredFeatures | null;
}

export interface ScoredFeatures {
  readonly n_features: number;
  readonly scores: GraphScores;
}

/** A name and a value, as the page lists them. */
export type Fact = readonly [name: string, value: string];

export interface PaperProvenance {
  readonly file: PaperFile;
  readonly annotations: PaperFile | null;
  /** What the graph file says of itself; null for a viewer's file. */
  readonly graph: {
    readonly tracer_version: string;
    readonly model: PaperSource;
    readonly transcoders: PaperSource;
    readonly backend: string;
    readonly device: string;
    readonly dtype: string;
    readonly options: Readonly<Record<string, JsonValue>>;
    readonly created: string;
  } | null;
  /** Name under which pages of features are looked up. */
  readonly scan: string;
  readonly node_threshold: number;
  readonly edge_threshold: number;
  /** Of this program. */
  readonly tracer_version: string;
  /** What makes the page again. */
  readonly command: string;
}

export interface PaperFile {
  /** Without its folder. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface PaperSource {
  readonly name: string;
  readonly revision: string | null;
  readonly config_sha256: string | null;
}
