/** Suggest, what is known of features beside their graph: labels, and examples out of their pages. */

/** A stretch of text in which a feature is active. */
export interface Example {
  readonly tokens: readonly string[];
  /** Of the feature, at each token. */
  readonly activations: readonly number[];
  /** Index of the token that the example is about. */
  readonly peak: number;
}

/** By `LAYER_FEATURE`; features of which nothing is known are left out. */
export interface KnownFeatures {
  readonly labels: Readonly<Record<string, string>>;
  readonly examples: Readonly<Record<string, readonly Example[]>>;
}

export const NOTHING_KNOWN: KnownFeatures = { labels: {}, examples: {} };
