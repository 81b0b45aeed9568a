/** Setting TensorFlow up, after step 3: the addon that multiplies with matrices as they are stored. TensorFlow works without it. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileAddon } from './addon.ts';
import { linkingOf, type Target } from './platform.ts';

/** Beside the package's code, built or not. */
const SOURCES = fileURLToPath(new URL('../../../native/products/', import.meta.url));

/**
 * The addon in the folder of a set-up TensorFlow. The name has a hash of the sources, so that another version is built
 * anew and never loaded by mistake; addons of other versions stay for the programs that use them.
 */
export function productsFile(folder: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(SOURCES).sort()) hash.update(name).update(readFileSync(join(SOURCES, name)));
  return join(folder, `products-${hash.digest('hex').slice(0, 12)}.node`);
}

/** The headers that it is compiled against; a TensorFlow that an older version set up has none. */
export function hasHeaders(folder: string): boolean {
  return existsSync(join(folder, 'tensorflow', 'include'));
}

/** Compiles it beside the unpacked `tensorflow/`. Throws `TracerError` with what the compiler said. */
export async function buildProducts(
  compiler: string,
  target: Target,
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  const libraries = join(folder, 'tensorflow');
  const sources = readdirSync(SOURCES)
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(SOURCES, name));
  const file = productsFile(folder);
  const unfinished = `${file}.partial`;
  try {
    // -O3 and contraction: sums of products become fused ones, which these loops are written for.
    const args = ['-O3', '-ffp-contract=fast', '-pthread', `-I${join(libraries, 'include')}`]
      .concat(sources)
      .concat(linkingOf(target).libraries(libraries, ['framework']));
    await compileAddon(compiler, target, args, unfinished, signal);
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
  }
}
