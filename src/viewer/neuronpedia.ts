/** Viewer: addresses of pages on Neuronpedia. */
import { neuronpediaSource } from '../features/fetched/known-source.ts';
import { NEURONPEDIA_SITE } from '../neuronpedia/address.ts';

/** Address of a feature's page by the scan of its set; null where the set is not known to have any. */
export function neuronpediaPage(scan: string, layer: number, feature: number): string | null {
  const source = neuronpediaSource(scan);
  return source === undefined ? null : `${NEURONPEDIA_SITE}/${source.replace('{layer}', String(layer))}/${feature}`;
}
