/** Engine: names under which graph files are written, and what is made from them. */
import path from 'node:path';
import { UsageError } from '../errors.ts';
import { isPickleName } from '../formats/pickle.ts';
import { isViewerFile } from '../graph/read-viewer.ts';

const GRAPH_ENDING = '.safetensors';

/** Throws `UsageError` for a name under which a graph file would be taken for another kind of file when it is read. */
export function checkGraphOutput(output: string): void {
  if (!isViewerFile(output) && !isPickleName(output)) return;
  throw new UsageError({
    code: 'bad_value',
    message: `${output} is to be a graph file, but commands would read it as ${isViewerFile(output) ? "a viewer's JSON" : 'a file of PyTorch'} by its name`,
    hint: 'Give a name that ends in .safetensors; `tracer graph export` writes other formats.',
  });
}

/** Throws `UsageError` for a name under which a text would be taken for a graph file when it is read. */
export function checkTextOutput(output: string): void {
  if (path.extname(output).toLowerCase() !== GRAPH_ENDING) return;
  throw new UsageError({
    code: 'bad_value',
    message: `${output} is to be a text, but commands would read it as a graph file by its name`,
    hint: 'Give a name with the ending of the format, such as .json, .svg or .html.',
  });
}
