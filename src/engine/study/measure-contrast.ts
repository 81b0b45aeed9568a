/** Engine, `graph contrast`: the numbers. It loads nothing that reads labels or models. */
import { UsageError } from '../../errors.ts';
import { differences, type Difference } from '../../study/contrast.ts';
import type { StudyDescription } from '../../study/description.ts';
import { openStudy, type Study } from '../../study/open.ts';
import { readSample } from '../../study/sample.ts';
import { DEFAULT_BY, graphsOfGroup, selectGraphs, type SelectedGraph } from '../../study/selection.ts';
import { plural } from '../../plural.ts';
import { STUDY_DEFAULTS, type ContrastRequest, type ContrastResult, type NamedFeature } from './types.ts';

const LEAST_GRAPHS = 2;

export type MeasureRequest = Omit<ContrastRequest, 'svg' | 'cacheDir'>;

/** Features have no labels yet. */
export interface MeasuredContrast extends Omit<ContrastResult, 'features' | 'files'> {
  readonly features: readonly (Pick<NamedFeature, 'layer' | 'feature'> & Difference)[];
  /** Of the features and links that were tested, all; `features` and `links` are the first of them. */
  readonly n_all: { readonly features: number; readonly links: number };
  readonly description: StudyDescription;
}

interface Side {
  readonly name: string;
  readonly graphs: readonly SelectedGraph[];
}

/** Errors are those of `openStudy` and `selectGraphs`; `UsageError` for groups that are too small or have a graph in common. */
export async function measureContrast(request: MeasureRequest): Promise<MeasuredContrast> {
  const { permutations = STUDY_DEFAULTS.permutations, seed = STUDY_DEFAULTS.seed, signal } = request;
  const { top = STUDY_DEFAULTS.top, onProgress } = request;
  const { level } = STUDY_DEFAULTS;
  using study = await openStudy(request.study);
  const [a, b] = await sidesOf(study, request);
  checkSides(a, b);
  const sample = await readSample(
    study,
    [...a.graphs, ...b.graphs].map(({ graph }) => graph),
  );
  const inA = Uint8Array.from({ length: sample.n_graphs }, (_, i) => (i < a.graphs.length ? 1 : 0));
  const tested = [...sample.features, ...sample.links];
  const onDivisions = (done: number): void =>
    onProgress?.({
      ...{ kind: 'progress', phase: 'divide', message: 'Dividing the graphs at random' },
      ...{ done, total: permutations },
    });
  const found = await differences(tested, inA, { permutations, seed, signal, onDivisions });
  const features = sorted(sample.features, found);
  const links = sorted(sample.links, found.slice(sample.features.length));
  const significant = (list: readonly { readonly difference: Difference }[]): number =>
    list.filter(({ difference }) => difference.p_adjusted <= level).length;
  return {
    study: request.study,
    by: 'a' in request.groups ? (request.groups.by ?? DEFAULT_BY) : null,
    a: { name: a.name, n_graphs: a.graphs.length },
    b: { name: b.name, n_graphs: b.graphs.length },
    ...{ permutations, seed, level },
    n_tested: found.filter((one) => one !== undefined).length,
    n_all: { features: features.length, links: links.length },
    n_significant: { features: significant(features), links: significant(links) },
    features: features
      .slice(0, top)
      .map(({ layer, feature, difference }) => ({ layer, feature, ...difference })),
    links: links.slice(0, top).map(({ source, target, difference }) => ({ source, target, ...difference })),
    description: study.description,
  };
}

async function sidesOf(study: Study, { groups, where, signal }: MeasureRequest): Promise<[Side, Side]> {
  if ('a' in groups) {
    const by = groups.by ?? DEFAULT_BY;
    const all = await selectGraphs(study, { by, where, signal });
    return [
      { name: groups.a, graphs: graphsOfGroup(all, by, groups.a) },
      { name: groups.b, graphs: graphsOfGroup(all, by, groups.b) },
    ];
  }
  const sideOf = async (own: string): Promise<Side> => {
    const both = where === undefined ? own : `(${where}\n) AND (${own}\n)`;
    return { name: own, graphs: await selectGraphs(study, { where: both, signal }) };
  };
  return [await sideOf(groups.whereA), await sideOf(groups.whereB)];
}

function checkSides(a: Side, b: Side): void {
  for (const { name, graphs } of [a, b]) {
    if (graphs.length >= LEAST_GRAPHS) continue;
    throw new UsageError({
      code: 'group_too_small',
      message: `${name} has ${plural(graphs.length, 'graph')}; a difference between groups needs at least ${LEAST_GRAPHS} in each`,
      hint: 'To compare two single graphs: `tracer graph diff BEFORE AFTER`.',
    });
  }
  const inA = new Set(a.graphs.map(({ graph }) => graph));
  const twice = b.graphs.find(({ graph }) => inA.has(graph));
  if (twice === undefined) return;
  throw new UsageError({
    code: 'groups_overlap',
    message: `${twice.slug} is in both groups`,
    hint: 'Choose groups that have no graph in common.',
  });
}

/** Those that were tested, the smallest adjusted p-value first; of equal ones the largest difference. */
function sorted<T>(
  measured: readonly T[],
  found: readonly (Difference | undefined)[],
): (T & { readonly difference: Difference })[] {
  return measured
    .flatMap((one, i) => {
      const difference = found[i];
      return difference === undefined ? [] : [{ ...one, difference }];
    })
    .sort(
      ({ difference: x }, { difference: y }) =>
        x.p_adjusted - y.p_adjusted || Math.abs(y.difference) - Math.abs(x.difference),
    );
}
