/** Viewer: which sets have pages on Neuronpedia, as their presets say. */
import { asciiName } from '../graph/slug.ts';
import { listPresets, type Preset } from '../hub/resolve.ts';

const SITE = 'https://www.neuronpedia.org';

/** Address of a feature's page by the scan of its set; null where the set is not known to have any. */
export function neuronpediaPage(scan: string, layer: number, feature: number): string | null {
  const source = sources().get(asciiName(scan));
  return source === undefined ? null : `${SITE}/${source.replace('{layer}', String(layer))}/${feature}`;
}

let known: ReadonlyMap<string, string> | undefined;

/** `model/source` by scan, as viewer files spell it. */
function sources(): ReadonlyMap<string, string> {
  known ??= new Map(
    listPresets('transcoders').flatMap((preset) =>
      preset.neuronpedia === undefined
        ? []
        : scansOf(preset).map((scan) => [asciiName(scan), preset.neuronpedia!] as const),
    ),
  );
  return known;
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
