/** Engine: outputs that would replace what they are made from. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../errors.ts';

/**
 * Graphs and lists take work to make, so nothing that is made from them replaces them. Throws `UsageError`.
 *
 * @param what the inputs are, as the error calls one
 */
export async function refuseInputs(
  outputs: readonly string[],
  inputs: readonly string[],
  what = 'the graph it is made from',
): Promise<void> {
  const taken = new Set(await Promise.all(inputs.map(fileIdentity)));
  for (const output of outputs) {
    if (!taken.has(await fileIdentity(output))) continue;
    throw new UsageError({
      code: 'output_is_input',
      message: `${output} would replace ${what}`,
      hint: 'Give the output another name.',
    });
  }
}

/** Identity of a file, independent of its name: links, and on some file systems another case of letters, refer to the same file. */
async function fileIdentity(file: string): Promise<string> {
  try {
    const { dev, ino } = await stat(file, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return path.resolve(file); // does not exist yet; reading or writing it reports the error
  }
}
