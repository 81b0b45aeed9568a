/** Engine, studies: labels of features, where their pages are on the disk. */
import type { StudyDescription } from '../../study/description.ts';
import { openFeatureSource } from '../features/source.ts';
import type { NamedFeature } from './types.ts';

/** Adds labels to features. The network is not used, and a local folder is read only where the scan is a preset's, as for graph files. */
export async function withLabels<T extends { readonly layer: number; readonly feature: number }>(
  lists: readonly (readonly T[])[],
  { scan, transcoders }: StudyDescription,
  cacheDir: string | undefined,
): Promise<(T & NamedFeature)[][]> {
  const { name, revision } = transcoders;
  const set = revision === null ? undefined : { name, revision };
  const source = await openFeatureSource({ scan, set, cacheDir, offline: true });
  const wanted = new Map(
    lists.flat().map(({ layer, feature }) => [`${layer}_${feature}`, [layer, feature] as const]),
  );
  const labels = wanted.size === 0 ? {} : await source.labels(wanted.values());
  return lists.map((list) =>
    list.map((one) => ({ ...one, label: labels[`${one.layer}_${one.feature}`] ?? null })),
  );
}
