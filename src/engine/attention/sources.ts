/** Engine, verb `attention`: sources as results name them. */
import type { ResidualSourceResult } from './types.ts';
import type { TracedSubject } from './traced-subject.ts';

/** By index, with labels of features where there are any. */
export async function sourceResults(
  { prompt, tokens, nodes, selected, labels }: TracedSubject,
  sources: Iterable<number>,
): Promise<Map<number, ResidualSourceResult>> {
  const { list } = prompt;
  const wanted = [...new Set(sources)];
  const features = wanted.flatMap((source): [number, number][] => {
    const { layer, feature } = list.describe(source);
    return layer !== null && feature !== null ? [[layer, feature]] : [];
  });
  const known = await labels(features);
  const inGraph = selected && new Set(selected);
  return new Map(
    wanted.map((source) => {
      const { kind, layer, position, feature } = list.describe(source);
      const isNode = kind === 'feature' ? inGraph?.has(source) : kind === 'error' || kind === 'token';
      return [
        source,
        {
          id: list.id(source, tokens),
          kind,
          layer,
          position,
          feature,
          token: position === null ? null : nodes.provenance.token_strings[position]!,
          label: feature === null ? null : (known[`${layer}_${feature}`] ?? null),
          ...(inGraph && { in_graph: isNode ?? false }),
        },
      ];
    }),
  );
}
