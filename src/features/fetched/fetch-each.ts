/** Features, fetched: some features, with a request for each. */
import { BadFileError } from '../../errors.ts';
import { askFeature, type AskedFeature } from '../../neuronpedia/feature-request.ts';
import { sourceOfLayer, templateText } from '../../neuronpedia/source-name.ts';
import type { FeaturePage } from '../../transcoder/feature-page.ts';
import { SaveInterval } from '../save-interval.ts';
import { exampleOf, fetchedPage, rankOf, type RankedExample } from './fetched-page.ts';
import { originOf, type FetchContext } from './fetch-context.ts';
import type { MergedLayer } from './merge-layer.ts';
import { SinglePages } from './single-pages.ts';
import { plural } from '../../plural.ts';

interface Place {
  readonly layer: number;
  readonly feature: number;
}

export interface FetchedEach {
  readonly n_fetched: number;
  readonly n_unknown: number;
  readonly n_requests: number;
  readonly bytes: number;
  /** Ended since no more requests may be made. */
  readonly isAtLimit: boolean;
  readonly failed: readonly (Place & { readonly reason: string })[];
  readonly layers: ReadonlyMap<number, MergedLayer>;
}

/** What is left to ask for, and what need not be asked. */
export interface LeftToFetch {
  readonly places: readonly Place[];
  readonly n_kept: number;
  /** That the site said before it does not know. */
  readonly n_unknown: number;
}

/** So many answers in a row that cannot be used are no accident. */
const MOST_FAILURES = 3;

export async function leftToFetch(
  places: readonly Place[],
  { fetched, state, again }: Pick<FetchContext, 'fetched' | 'state' | 'again'>,
): Promise<LeftToFetch> {
  if (again) return { places, n_kept: 0, n_unknown: 0 };
  const single = await SinglePages.open(fetched.name);
  const left: Place[] = [];
  let n_kept = 0;
  let n_unknown = 0;
  for (const place of places) {
    const { layer, feature } = place;
    const isThere = single.has(layer, feature) || ((await fetched.table(layer))?.has(feature) ?? false);
    // Exports that were read to their end have all features that there are.
    const isUnknown = state.isUnknown(layer, feature) || state.exportsOf(layer) !== undefined;
    if (isThere) n_kept++;
    else if (isUnknown) n_unknown++;
    else left.push(place);
  }
  return { places: left, n_kept, n_unknown };
}

/**
 * Pages of these features. What is complete stays when it fails or is stopped, and the next run goes on after it. Throws what
 * `askFeature` throws, but an answer of another form only when several follow each other.
 */
export async function fetchEach(
  places: readonly Place[],
  context: FetchContext,
  onFeature: (done: number) => void,
): Promise<FetchedEach> {
  const { http, template, state, mostRequests, signal } = context;
  const single = await SinglePages.open(context.fetched.name);
  const saving = new SaveInterval(() => state.save());
  const failed: (Place & { reason: string })[] = [];
  let [n_fetched, n_unknown, n_requests, bytes] = [0, 0, 0, 0];
  let failuresInRow = 0;
  const work = async (): Promise<void> => {
    for (const { layer, feature } of places) {
      if (n_requests >= mostRequests) return;
      signal?.throwIfAborted();
      n_requests++;
      try {
        const asked = await askFeature(http, template, layer, feature, { signal });
        bytes += asked.bytes;
        failuresInRow = 0;
        if (asked.whole !== null) {
          checkWidth(asked.whole.width, context, layer);
          await single.add(layer, feature, pageOf(asked.whole, context, layer));
          n_fetched++;
        } else n_unknown++;
        if (asked.whole === null || state.isUnknown(layer, feature)) {
          state.setUnknown(layer, feature, asked.whole === null);
          await saving.saveWhenDue();
        }
      } catch (error) {
        if (!(error instanceof BadFileError) || error.code !== 'bad_answer') throw error;
        failed.push({ layer, feature, reason: error.message });
        if (++failuresInRow >= MOST_FAILURES) throw error;
      }
      onFeature(n_requests);
    }
  };
  try {
    await work();
  } catch (error) {
    // What is complete stays, and is seen. The error is told in any case, also where this fails too.
    await keep(single, saving).catch((cause: unknown) =>
      context.onWarning(`what was fetched is not merged yet, but will be by the next run: ${String(cause)}`),
    );
    if (n_fetched > 0) {
      context.onWarning(
        `${plural(n_fetched, 'feature')} kept, fetched before that; the same command goes on from there`,
      );
    }
    throw error;
  }
  const layers = await keep(single, saving);
  if (failed.length > 0 && n_fetched + n_unknown === 0) throw noneUsable(failed);
  return { n_fetched, n_unknown, n_requests, bytes, isAtLimit: n_requests < places.length, failed, layers };
}

async function keep(single: SinglePages, saving: SaveInterval): Promise<Map<number, MergedLayer>> {
  const layers = await single.merge();
  await saving.save();
  return layers;
}

type Whole = NonNullable<AskedFeature['whole']>;

function pageOf(
  { feature, activations, explanations }: Whole,
  context: FetchContext,
  layer: number,
): FeaturePage {
  const examples = activations.flatMap((row): RankedExample[] => {
    const rank = rankOf(layer, row);
    return rank === null ? [] : [{ ...rank, example: exampleOf(row) }];
  });
  return fetchedPage(feature.index, feature, examples, explanations, originOf(context, layer));
}

/** Throws `BadFileError` where the site has a dictionary of another width. */
function checkWidth(width: number | null, { template, counts }: FetchContext, layer: number): void {
  if (width === null || width === counts[layer]) return;
  const source = templateText({ ...template, source: sourceOfLayer(template, layer) });
  throw otherWidth(source, `${width} features`, layer, counts[layer]!);
}

export function otherWidth(source: string, found: string, layer: number, width: number): BadFileError {
  return new BadFileError({
    code: 'other_width',
    message: `${source} has ${found}, but layer ${layer} of the set has ${width} features: it is another dictionary`,
    hint: 'Check --source: it must name the sources of this very set. Nothing of it was kept.',
  });
}

function noneUsable(failed: readonly { readonly reason: string }[]): BadFileError {
  return new BadFileError({
    code: 'bad_answer',
    message: `none of ${plural(failed.length, 'answer')} could be used; the first: ${failed[0]!.reason}`,
    hint: 'They may come from a sign-in page of the network, or a newer version of the API.',
  });
}
