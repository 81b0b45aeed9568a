/** Engine: names under which graph files are written. */
import { UsageError } from '../errors.ts';
import { isPickleName } from '../formats/pickle.ts';
import { isViewerFile } from '../graph/read-viewer.ts';

/** Throws `UsageError` for a name under which a graph file would be taken for another kind of file when it is read. */
export function checkGraphOutput(output: string): void {
  if (!isViewerFile(output) && !isPickleName(output)) return;
  throw new UsageError({
    code: 'bad_value',
    message: `${output} is to be a graph file, but commands would read it as ${isViewerFile(output) ? "a viewer's JSON" : 'a file of PyTorch'} by its name`,
    hint: 'Give a name that ends in .safetensors; `tracer graph export` writes other formats.',
  });
}
