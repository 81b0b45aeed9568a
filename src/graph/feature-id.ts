/** Graph: ids of feature nodes, `LAYER_FEATURE_POSITION`. */

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
