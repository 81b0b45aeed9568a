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

/** Null for ids of other form. Logits have ids of this form too: what a node is, its id does not say. */
export function parseFeatureId(id: string): FeaturePlace | null {
  const found = FEATURE_ID.exec(id);
  return found && { layer: Number(found[1]), feature: Number(found[2]), position: Number(found[3]) };
}
