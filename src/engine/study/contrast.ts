/** Engine, verb `graph contrast`: what differs between two groups of graphs, with labels and a picture. */
import { barChartSvg } from '../../picture/bar-chart.ts';
import type { Difference } from '../../study/contrast.ts';
import { plural } from '../../plural.ts';
import { withLabels } from './labels.ts';
import { measureContrast } from './measure-contrast.ts';
import { barLabel, refuseStudyFiles, writePicture } from './pictures.ts';
import type { ContrastRequest, ContrastResult, NamedFeature, NamedLink } from './types.ts';

const DIGITS = 3;

/** With labels, and a picture where one is asked for. Errors are those of `measureContrast`. */
export async function contrast(request: ContrastRequest): Promise<ContrastResult> {
  await refuseStudyFiles(request.study, [request.svg]);
  const { description, n_all: _all, ...measured } = await measureContrast(request);
  const [features] = await withLabels([measured.features], description, request.cacheDir);
  const result = { ...measured, features: features! };
  return { ...result, files: await writePicture(request.svg, () => pictureOf(result), request.signal) };
}

function pictureOf({ study, a, b, features, links, level }: Omit<ContrastResult, 'files'>): string {
  const bars = (list: readonly ((NamedFeature | NamedLink) & Difference)[]) =>
    list.map((one) => ({
      label: barLabel(one),
      value: one.difference,
      note: `${one.difference.toPrecision(DIGITS)}, p = ${one.p_adjusted.toPrecision(DIGITS)}`,
      isStrong: one.p_adjusted <= level,
    }));
  return barChartSvg({
    title: `Contrast in ${study}`,
    lines: [`A: ${a.name}, ${plural(a.n_graphs, 'graph')}`, `B: ${b.name}, ${plural(b.n_graphs, 'graph')}`],
    description: `Difference of mean influence; faint where its adjusted p-value is above ${level}.`,
    axis: '← more in B · difference of mean influence · more in A →',
    sections: [
      { title: 'Features', bars: bars(features) },
      { title: 'Links', bars: bars(links) },
    ],
  });
}
