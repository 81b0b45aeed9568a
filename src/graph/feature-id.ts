/** Graph: ids of nodes that say what they are: `LAYER_FEATURE_POSITION` of features, and the token id in others. */

export interface FeaturePlace {
  readonly layer: number;
  readonly feature: number;
  readonly position: number;
}

const FEATURE_ID = /^(\d+)_(\d+)_(\d+)$/;

export function featureId({ layer, feature, position }: FeaturePlace): string {
  return `${layer}_${feature}_${position}`;
}

/** Null for ids of another form. Ids of logits have this form too: the id alone does not tell the kind of a node. */
export function parseFeatureId(id: string): FeaturePlace | null {
  const found = FEATURE_ID.exec(id);
  return found && { layer: Number(found[1]), feature: Number(found[2]), position: Number(found[3]) };
}

/** `27_22605_10` (a logit) and `E_26865_9` (a token). */
const TOKEN_ID = /^[^_]+_(\d+)_\d+$/;

/** The token id in the id of a logit or a token; null for ids of another form. */
export function parseTokenId(id: string): number | null {
  const found = TOKEN_ID.exec(id);
  return found && Number(found[1]);
}
