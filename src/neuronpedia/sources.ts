/** Neuronpedia: which sets have pages there, as their presets say. */
import { asciiName } from '../graph/slug.ts';
import { listPresets, type Preset } from '../hub/resolve.ts';
import { NEURONPEDIA_SITE } from './address.ts';
import { activationsNote } from './notes.ts';

export interface NeuronpediaSource {
  /** Neuronpedia's id of the model, such as `gemma-2-2b`. */
  readonly model: string;
  /** Its name of the set, such as `gemmascope-transcoder-16k`; a layer's source is `LAYER-SET`. */
  readonly set: string;
}

/** The set's source by the scan of its graphs; null where it is not known to have pages. */
export function neuronpediaSource(scan: string): NeuronpediaSource | null {
  return sources().get(asciiName(scan)) ?? null;
}

/** A set of a preset, by the names that graph files have. */
export interface KnownSet {
  /** Under which its labels and pages are looked up. */
  readonly scan: string;
  readonly transcoders: string;
  readonly model: string;
}

/** The set whose features a source has; null for one that is not known. */
export function setOfSource(source: NeuronpediaSource): KnownSet | null {
  const preset = listPresets('transcoders').find((one) => {
    const found = sourceOf(one);
    return found?.model === source.model && found.set === source.set;
  });
  if (preset?.reference.kind !== 'hub') return null;
  const { repo, subfolder } = preset.reference;
  const model = listPresets('models').find(({ name }) => name === preset.model);
  return {
    scan: subfolder === undefined ? repo : `${repo}//${subfolder}`,
    transcoders: repo,
    model: model?.reference.kind === 'hub' ? model.reference.repo : source.model,
  };
}

/** A feature's page by the scan of its set; null where the set is not known to have any. */
export function neuronpediaPage(
  scan: string,
  layer: number,
  feature: number,
): { readonly address: string; readonly note: string | null } | null {
  const found = neuronpediaSource(scan);
  if (found === null) return null;
  const source = `${found.model}/${layer}-${found.set}`;
  return { address: `${NEURONPEDIA_SITE}/${source}/${feature}`, note: activationsNote(source) };
}

let known: ReadonlyMap<string, NeuronpediaSource> | undefined;

/** By scan, as viewer files spell it. */
function sources(): ReadonlyMap<string, NeuronpediaSource> {
  known ??= new Map(
    listPresets('transcoders').flatMap((preset) => {
      const source = sourceOf(preset);
      return source === null ? [] : scansOf(preset).map((scan) => [asciiName(scan), source] as const);
    }),
  );
  return known;
}

/** Presets write it as `model/{layer}-set`. */
function sourceOf({ neuronpedia }: Preset): NeuronpediaSource | null {
  const [, model, set] = /^([^/]+)\/\{layer\}-(.+)$/.exec(neuronpedia ?? '') ?? [];
  return model === undefined || set === undefined ? null : { model, set };
}

/** The names that a set's graphs may have: its preset's, and its repository with or without `//` before the folder. */
function scansOf({ name, aliases, reference }: Preset): string[] {
  const names = [name, ...aliases];
  if (reference.kind === 'local') return names;
  const { repo, subfolder } = reference;
  return subfolder === undefined
    ? [...names, repo]
    : [...names, `${repo}//${subfolder}`, `${repo}/${subfolder}`];
}
