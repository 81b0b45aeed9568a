/** Features, fetched: which sets Neuronpedia has pages of, as their presets say. */
import { asciiName } from '../../graph/slug.ts';
import { listPresets, type Preset } from '../../hub/resolve.ts';

let known: ReadonlyMap<string, string> | undefined;

/** `MODEL/SOURCE` with `{layer}`, by the scan of a set; undefined where the set is not known to have any. */
export function neuronpediaSource(scan: string): string | undefined {
  known ??= new Map(
    listPresets('transcoders').flatMap((preset) =>
      preset.neuronpedia === undefined
        ? []
        : scansOf(preset).map((one) => [asciiName(one), preset.neuronpedia!] as const),
    ),
  );
  return known.get(asciiName(scan));
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
