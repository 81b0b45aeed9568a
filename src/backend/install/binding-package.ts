/**
 * Setting TensorFlow up: what is needed of the npm package `@tensorflow/tfjs-node-gpu`, the C++ and the JavaScript half of TF.js'
 * native backend. It is taken from the installed package where there is one, else fetched (`npm-package.ts`). The package's
 * install script, which would fetch a TensorFlow of 2022, is not run.
 */
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { BINDING_PACKAGE_FOLDER, TFJS_VERSION } from './folder.ts';
import { fetchNpmPackage, type NpmPackage } from './npm-package.ts';

const PACKAGE: NpmPackage = {
  name: '@tensorflow/tfjs-node-gpu',
  version: TFJS_VERSION,
  sha512: 'p//NN6DGiN4hInUmIkRffaFVMcdTREUMjPyjW04J7OXvB2zBlQimj61eFKSgRrH3f5TnOfKzb0n56he/B6a4bw==',
};

/** What the addon is compiled from and what the backend loads; the rest is TF.js' own front end and its tests. */
const WANTED = [
  'package.json',
  'README.md',
  'binding',
  'dist/kernels',
  'dist/int64_tensors.js',
  'dist/nodejs_kernel_backend.js',
  'dist/register_all_kernels.js',
];

/**
 * Modules in place of those that the package would load. Its kernels use only what tfjs-core has, which the backend puts into
 * the first, so TF.js' other packages need not be installed. The last describes TensorBoard's files, which tracer does not write.
 */
const STAND_INS: Readonly<Record<string, string>> = {
  'node_modules/@tensorflow/tfjs/index.js': '// tracer fills this with tfjs-core.\nmodule.exports = {};\n',
  'node_modules/@tensorflow/tfjs-core/index.js': "module.exports = require('@tensorflow/tfjs');\n",
  'dist/proto/api_pb.js': '// tracer does not use TensorBoard.\nmodule.exports = {};\n',
};

export interface BindingPackageOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called before npm is. */
  readonly onFetch?: () => void;
  /** Instead of the one that tracer's own code would load; for tests. */
  readonly installed?: string | null;
}

/**
 * Puts the files into the folder of a set-up TensorFlow, all or none. `python` unpacks what npm fetched.
 * Throws as `fetchNpmPackage` does.
 */
export async function addBindingPackage(
  python: string,
  folder: string,
  options: BindingPackageOptions = {},
): Promise<void> {
  const target = join(folder, BINDING_PACKAGE_FOLDER);
  const draft = `${target}.partial`;
  const download = `${target}.download`;
  const removeRemains = async () => {
    for (const path of [draft, download]) await rm(path, { recursive: true, force: true });
  };
  await removeRemains(); // of a run that was killed
  try {
    let source = options.installed === undefined ? await installedPackage() : options.installed;
    if (source === null) {
      options.onFetch?.();
      source = await fetchNpmPackage(PACKAGE, python, download, options.signal);
    }
    for (const name of WANTED) await cp(join(source, name), join(draft, name), { recursive: true });
    for (const [name, text] of Object.entries(STAND_INS)) {
      await mkdir(dirname(join(draft, name)), { recursive: true });
      await writeFile(join(draft, name), text);
    }
    await rename(draft, target);
  } finally {
    await removeRemains();
  }
}

/** The folder of the installed package; null where it is not installed, or in another version. */
async function installedPackage(): Promise<string | null> {
  let file: string;
  try {
    file = createRequire(import.meta.url).resolve(`${PACKAGE.name}/package.json`);
  } catch {
    return null;
  }
  const { version } = JSON.parse(await readFile(file, 'utf8')) as { version?: unknown };
  return version === PACKAGE.version ? dirname(file) : null;
}
