/** Features, fetched: what both ways of fetching need. */
import { activationsNote } from '../../neuronpedia/notes.ts';
import type { NeuronpediaHttp } from '../../neuronpedia/http.ts';
import { sourceOfLayer, templateText, type SourceTemplate } from '../../neuronpedia/source-name.ts';
import type { FetchedOrigin } from '../../transcoder/feature-page.ts';
import type { FetchedFeatures } from './fetched-features.ts';
import type { FetchedState } from './fetched-state.ts';

export interface FetchContext {
  readonly http: NeuronpediaHttp;
  readonly template: SourceTemplate;
  readonly fetched: FetchedFeatures;
  readonly state: FetchedState;
  /** Features of each layer of the model. */
  readonly counts: readonly number[];
  /** `YYYY-MM-DD`, kept with what is fetched. */
  readonly date: string;
  /** Fetches what is there, and asks for what was unknown. */
  readonly again: boolean;
  /** Requests that may be made. */
  readonly mostRequests: number;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning: (message: string) => void;
}

export function originOf(
  { template, date }: Pick<FetchContext, 'template' | 'date'>,
  layer: number,
): Omit<FetchedOrigin, 'explanations'> {
  const source = templateText({ ...template, source: sourceOfLayer(template, layer) });
  return { site: 'neuronpedia', source, date, note: activationsNote(source) };
}
