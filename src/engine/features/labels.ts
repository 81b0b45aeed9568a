/** Engine, verbs `features label` and `features labels`: labels of one feature, or all of a set. No weight is read. */
import { UsageError } from '../../errors.ts';
import { writeFileAtomic } from '../../formats/atomic.ts';
import { labelList, labelsText, readLabels } from '../../features/labels.ts';
import { openFeatureSource, scanOf, type FeatureSource } from './source.ts';
import type { LabelRequest, LabelResult, LabelsRequest, LabelsResult, ShownLabel } from './types.ts';
import { hubClient } from '../names.ts';
import type { CommonOptions } from '../request.ts';
import { openSubject } from '../opened-subject.ts';
import { featureCounts } from '../../transcoder/open.ts';
import { writtenFile } from '../written-file.ts';

/** Pages and labels of a set, which is opened by its headers. */
export async function openLabels(request: CommonOptions & { readonly folder?: string | undefined }) {
  const client = hubClient(request);
  // The headers contain the numbers of layers and features.
  using opened = await openSubject(request, { dryRun: true, client });
  const { transcoders } = opened.subject;
  const scan = scanOf(transcoders);
  const features = await openFeatureSource({ ...request, scan, set: transcoders.source, client });
  return { features, scan, counts: featureCounts(opened.set), name: transcoders.source.name };
}

/** Sets, removes or shows the label of a feature. Throws `UsageError` for a feature that the set does not have. */
export async function labelFeature(request: LabelRequest): Promise<LabelResult> {
  const { layer, feature, text } = request;
  const { features, counts, name } = await openLabels(request);
  checkFeature(layer, feature, counts);
  const label =
    text === undefined ? await features.label(layer, feature) : await features.setLabel(layer, feature, text);
  return { transcoders: name, layer, feature, label, file: placeOf(features, label) };
}

/** Where a label is stored, or would be. */
function placeOf(features: FeatureSource, label: ShownLabel | null): string {
  if (label?.origin === 'model') return features.modelLabelFile.path;
  return label?.origin === 'neuronpedia' ? features.fetched.name : features.labelFile.path;
}

/** Lists all labels that people wrote, after taking over those of a file; writes them to another. */
export async function listLabels(request: LabelsRequest): Promise<LabelsResult> {
  const { features, scan, counts, name } = await openLabels(request);
  const imported = request.import === undefined ? undefined : await readLabels(request.import);
  for (const { layer, feature } of imported ?? []) checkFeature(layer, feature, counts);
  const { labelFile } = features;
  const all = imported ? await labelFile.write(imported, request.signal) : await labelFile.read();
  if (request.export !== undefined) {
    await writeFileAtomic(request.export, labelsText(scan, all), { signal: request.signal });
  }
  return {
    transcoders: name,
    scan,
    file: labelFile.path,
    labels: labelList(all),
    ...(imported && { n_imported: imported.length }),
    ...(request.export !== undefined && { files: [await writtenFile(request.export)] }),
  };
}

/** Throws `UsageError` for a feature that the set does not have. @param counts features of each layer of the model */
export function checkFeature(layer: number, feature: number, counts: readonly number[]): void {
  const refuse = (found: string, hint: string): never => {
    const message = `layer ${layer}, feature ${feature}: ${found}`;
    throw new UsageError({ code: 'out_of_range', message, hint });
  };
  const count = counts[layer];
  if (count === undefined)
    return refuse(`the set has ${counts.length} layers`, `Give a layer from 0 to ${counts.length - 1}.`);
  if (count === 0) refuse('the set has no transcoder for this layer', 'Give another layer.');
  if (feature >= count) refuse(`the layer has ${count} features`, `Give a feature from 0 to ${count - 1}.`);
}
