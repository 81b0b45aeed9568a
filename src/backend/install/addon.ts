/** Setting TensorFlow up, step 3 of 4: the binding of `@tensorflow/tfjs-node-gpu`, compiled against the unpacked library. */
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NotFoundError, TracerError, EXIT } from '../../errors.ts';
import { lastLines, runCommand } from './command.ts';
import { ADDON_FILE, BINDING_PACKAGE_FOLDER, GATE_FILE } from './folder.ts';
import { howToInstall, linkingOf, type Target } from './platform.ts';

const require = createRequire(import.meta.url);

/** Three folders up from here is the package, built or not. */
const GATE_SOURCE = fileURLToPath(new URL('../../../native/stderr_gate.c', import.meta.url));

/** The interface of Node 20 and later to addons that stay valid across Node versions. */
const NAPI_VERSION = 8;

/** A C++ compiler: the one that `CXX` names, else the usual ones. */
export async function findCompiler(signal?: AbortSignal): Promise<string> {
  const named = process.env['CXX'];
  for (const compiler of named ? [named] : ['g++', 'c++', 'clang++']) {
    const found = await runCommand(compiler, ['--version'], { signal });
    if (found?.exitCode === 0) return compiler;
  }
  throw new NotFoundError({
    code: 'compiler_missing',
    message: named ? `CXX names '${named}', which does not run` : 'no C++ compiler (g++) is on the PATH',
    hint: `Install one (${howToInstall('compiler')}) and run 'tracer setup' again; until then tracer uses wasm.`,
  });
}

/** Compiles the binding and its gate into `folder`, beside the unpacked `tensorflow/` and the binding's package. */
export async function buildBinding(
  compiler: string,
  target: Target,
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  const sources = join(folder, BINDING_PACKAGE_FOLDER, 'binding');
  const libraries = join(folder, 'tensorflow');
  const binding = [`-I${join(libraries, 'include')}`]
    .concat([join(sources, 'tfjs_backend.cc'), join(sources, 'tfjs_binding.cc')])
    .concat(linkingOf(target).libraries(libraries, ['cc', 'framework']));
  await compileAddon(compiler, target, binding, join(folder, ADDON_FILE), signal);
  await compileAddon(compiler, target, [GATE_SOURCE], join(folder, GATE_FILE), signal);
}

/** Compiles an addon against Node's headers. Throws `TracerError` with what the compiler said. */
export async function compileAddon(
  compiler: string,
  target: Target,
  args: readonly string[],
  output: string,
  signal?: AbortSignal,
): Promise<void> {
  const { include_dir: nodeHeaders } = require('node-api-headers') as { include_dir: string };
  const finished = await runCommand(
    compiler,
    [...linkingOf(target).addon, '-O2', '-std=c++17', `-DNAPI_VERSION=${NAPI_VERSION}`, `-I${nodeHeaders}`]
      .concat(args)
      .concat(['-o', output]),
    { signal },
  );
  if (finished?.exitCode === 0) return;
  throw new TracerError(EXIT.unexpected, {
    code: 'addon_build',
    message: `${compiler} could not build ${basename(output)}:\n${lastLines(finished?.stderr ?? '', 8)}`,
    hint: 'A compiler for C++17 with its standard library is needed (g++ 8 or later); until then tracer uses wasm.',
  });
}
