/** Engine, verb `graph common`: features and links that recur, group by group. */
import { barChartSvg } from '../../picture/bar-chart.ts';
import { recurring, type Recurrence } from '../../study/common.ts';
import { openStudy } from '../../study/open.ts';
import { readSample } from '../../study/sample.ts';
import { groupNames, selectGraphs } from '../../study/selection.ts';
import { plural } from '../../plural.ts';
import { withLabels } from './labels.ts';
import { barLabel, percent, refuseStudyFiles, writePicture } from './pictures.ts';
import {
  STUDY_DEFAULTS,
  type CommonGroup,
  type CommonRequest,
  type CommonResult,
  type NamedFeature,
  type NamedLink,
} from './types.ts';

/** Errors are those of `openStudy` and `selectGraphs`. */
export async function common(request: CommonRequest): Promise<CommonResult> {
  const { by, top = STUDY_DEFAULTS.top, signal } = request;
  await refuseStudyFiles(request.study, [request.svg]);
  using study = await openStudy(request.study);
  const selected = await selectGraphs(study, request);
  const sample = await readSample(
    study,
    selected.map(({ graph }) => graph),
  );
  const names = by === undefined ? [null] : groupNames(selected);
  const found = names.map((group) => {
    const inGroup = Uint8Array.from(selected, (one) => (one.group === group ? 1 : 0));
    const features = recurring(sample.features, inGroup);
    const links = recurring(sample.links, inGroup);
    return { group, n_graphs: inGroup.reduce((sum, one) => sum + one, 0), features, links };
  });
  const listed = found.map(({ features }) =>
    features.slice(0, top).map(({ layer, feature, recurrence }) => ({ layer, feature, ...recurrence })),
  );
  const labelled = await withLabels(listed, study.description, request.cacheDir);
  const groups = found.map(({ group, n_graphs, features, links }, i): CommonGroup => {
    const shown = links.slice(0, top);
    return {
      ...{ group, n_graphs, n_features: features.length, n_links: links.length },
      features: labelled[i]!,
      links: shown.map(({ source, target, recurrence }) => ({ source, target, ...recurrence })),
    };
  });
  return {
    study: request.study,
    by: by ?? null,
    groups,
    n_without_group: by === undefined ? 0 : selected.filter(({ group }) => group === null).length,
    files: await writePicture(request.svg, () => pictureOf(request.study, groups), signal),
  };
}

function pictureOf(study: string, groups: readonly CommonGroup[]): string {
  const bars = (list: readonly ((NamedFeature | NamedLink) & Recurrence)[]) =>
    list.map((one) => ({
      label: barLabel(one),
      value: one.share,
      interval: one.interval,
      note: `${one.n_graphs}: ${percent(one.share)} (${percent(one.interval[0])} to ${percent(one.interval[1])})`,
    }));
  const sections = groups.flatMap(({ group, n_graphs, features, links }) => {
    const title = `${group ?? 'all'}, ${plural(n_graphs, 'graph')}`;
    return [
      { title: `${title}: features`, bars: bars(features) },
      { title: `${title}: links`, bars: bars(links) },
    ];
  });
  return barChartSvg({
    title: `What recurs in ${study}`,
    description: 'Share of the graphs of each group that have a feature or a link, with its 95 % interval.',
    axis: 'share of graphs, 0 to 100 %',
    sections,
    most: 1,
  });
}
