/** Transcoder: which layout a set has, by the files that are there. A new layout is a file in `layouts/` and a line here. */
import { BadFileError, NotFoundError } from '../errors.ts';
import { convertedName, isPickleName, pickleRefused } from '../formats/pickle.ts';
import type { SetDescription } from './description.ts';
import { circuitTracer } from './layouts/circuit-tracer.ts';
import { gemmaScope2Cross } from './layouts/gemma-scope-2-cross.ts';
import { gemmaScope2 } from './layouts/gemma-scope-2.ts';
import type { Layout } from './layouts/layout.ts';
import { saelens } from './layouts/saelens.ts';
import { sparsify } from './layouts/sparsify.ts';
import type { SetFiles } from './set-files.ts';

const LAYOUTS: readonly Layout[] = [circuitTracer, sparsify, saelens, gemmaScope2, gemmaScope2Cross];

const WEIGHTS = ['.safetensors', '.npz'];

/** Whether a file may belong to a set: what it is recognised by. */
export function mayBelongToSet(path: string): boolean {
  const isConfig = LAYOUTS.some((layout) => layout.isConfig(path));
  return isConfig || WEIGHTS.some((suffix) => path.endsWith(suffix)) || isPickleName(path);
}

/** Whether these files are a set of a known layout. */
export function isRecognised(paths: readonly string[]): boolean {
  return LAYOUTS.some((layout) => layout.recognises(paths));
}

/**
 * Describes a set from its configuration files. Throws `NotFoundError` where no layout is recognised, `BadFileError` where two
 * are, for pickles, and for a configuration that is not valid.
 */
export async function describeSet(files: SetFiles): Promise<SetDescription> {
  // Pickles are looked at as what they will be called once they are converted, so that one among other files is not a missing layer.
  const pickles = new Map(files.paths.filter(isPickleName).map((path) => [convertedName(path), path]));
  const paths = [...new Set([...files.paths, ...pickles.keys()])];
  const layout = layoutOf(files.name, files.paths) ?? layoutOf(files.name, paths);
  if (!layout) {
    refusePickles(files, [...pickles.values()]);
    throw new NotFoundError({
      code: 'no_set_config',
      message: `${files.name} is no transcoder set: it has none of ${LAYOUTS.map((each) => `${each.lookedFor} (${each.name})`).join('; ')}`,
      hint: 'A set is a folder with config.yaml and its weights, or in another layout of docs/formats.md.',
    });
  }
  const described = await layout.describe({ ...files, paths });
  const needed = described.layers.flatMap((layer) => layer.files).filter((path) => !files.has(path));
  const unread = needed.map((path) => pickles.get(path) ?? path).filter(isPickleName);
  refusePickles(files, described.layers.length > 0 ? unread : [...pickles.values()]);
  return described;
}

function layoutOf(set: string, paths: readonly string[]): Layout | undefined {
  const found = LAYOUTS.filter((layout) => layout.recognises(paths));
  if (found.length <= 1) return found[0];
  const both = found.map(({ name, lookedFor }) => `${name} (${lookedFor})`).join(' and ');
  throw new BadFileError({
    code: 'ambiguous_layout',
    message: `${set} has the files of two layouts of transcoder sets: ${both}`,
    hint: 'Keep the files of one set in a folder of its own.',
  });
}

/** Throws `BadFileError` if there are any. */
function refusePickles(files: SetFiles, [first, ...others]: readonly string[]): void {
  if (first === undefined) return;
  throw pickleRefused(files.has(first) ? `${files.name}/${first}` : first, others.length);
}
