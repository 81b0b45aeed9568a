/** Setting TensorFlow up, step 1 of 4: the wheels, fetched by Python's pip and checked against pinned digests. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BadFileError, ExhaustedError, NetworkError, NotFoundError } from '../../errors.ts';
import { folderBytes } from '../disk.ts';
import { lastLines, runCommand } from './command.ts';
import type { Finished } from './command.ts';
import type { Wheel } from './pinned.ts';
import { howToInstall, wheelPlatforms, type Target } from './platform.ts';

const POLL_MS = 500;

/**
 * The library in a wheel does not depend on Python, so the same wheel is asked for whatever the user's Python is:
 * there is one for every Python, and its digest can be pinned.
 */
export function wheelTags(target: Target): string[] {
  const platforms = wheelPlatforms(target).map((name) => `--platform=${name}`);
  return [
    '--only-binary=:all:',
    '--python-version=3.11',
    '--implementation=cp',
    '--abi=cp311',
    '--abi=none',
  ].concat(platforms);
}

/** A Python that has pip. */
export async function findPython(signal?: AbortSignal): Promise<string> {
  let withoutPip: string | undefined;
  for (const python of ['python3', 'python']) {
    const found = await runCommand(python, ['-m', 'pip', '--version'], { signal });
    if (found?.exitCode === 0) return python;
    if (found !== undefined) withoutPip ??= python;
  }
  if (withoutPip !== undefined) {
    throw new NotFoundError({
      code: 'pip_missing',
      message: `${withoutPip} is there, but without pip, which fetches the TensorFlow library`,
      hint: `Install pip (${howToInstall('python')} or '${withoutPip} -m ensurepip') and run 'tracer setup' again; until then tracer uses wasm.`,
    });
  }
  throw new NotFoundError({
    code: 'python_missing',
    message: 'Python 3 is not on the PATH; its pip fetches the TensorFlow library',
    hint: `Install it with pip (${howToInstall('python')}) and run 'tracer setup' again; until then tracer uses wasm.`,
  });
}

/**
 * Fetches wheels into `folder` and gives their paths. pip refuses a wheel with another digest than the pinned one.
 * `onBytes` is told how much is there, about twice a second.
 */
export async function fetchWheels(
  python: string,
  target: Target,
  wheels: readonly Wheel[],
  folder: string,
  options: { readonly signal?: AbortSignal | undefined; readonly onBytes?: (bytes: number) => void } = {},
): Promise<string[]> {
  const scratch = join(folder, 'scratch');
  await mkdir(scratch, { recursive: true });
  const requirements = join(folder, 'requirements.txt');
  const lines = wheels.map(({ name, version, sha256 }) => `${name}==${version} --hash=sha256:${sha256}\n`);
  await writeFile(requirements, lines.join(''));

  const poll = setInterval(() => {
    folderBytes(folder).then(options.onBytes, () => undefined); // files come and go while pip works
  }, POLL_MS);
  try {
    const finished = await runCommand(
      python,
      // Without pip's cache: it would keep a second copy of a file that is unpacked once and then deleted.
      ['-m', 'pip', 'download', '--no-deps', '--no-cache-dir', '--require-hashes', ...wheelTags(target)]
        .concat(['--progress-bar=off', '--disable-pip-version-check', '--no-input'])
        .concat(['--dest', folder, '--requirement', requirements]),
      { signal: options.signal, env: { TMPDIR: scratch } },
    );
    if (finished?.exitCode !== 0) throw fetchError(finished, wheels);
  } finally {
    clearInterval(poll);
  }
  const fetched = (await readdir(folder)).filter((name) => name.endsWith('.whl'));
  return fetched.map((name) => join(folder, name));
}

function fetchError(finished: Finished | undefined, wheels: readonly Wheel[]): Error {
  const said = finished === undefined ? 'Python is gone' : finished.stderr || finished.stdout;
  const names = wheels.map(({ name, version }) => `${name} ${version}`).join(', ');
  const message = `pip could not fetch ${names}:\n${lastLines(said)}`;
  if (/DO NOT MATCH THE HASHES/i.test(said)) {
    return new BadFileError({
      code: 'wheel_digest',
      message,
      hint: "The index that pip is configured for serves another file than the one tracer was tested with ('pip config list' shows it).",
    });
  }
  if (/No space left|Errno 28/i.test(said)) {
    return new ExhaustedError({
      code: 'disk_full',
      message,
      hint: 'Free some disk, or set TRACER_DATA_DIR.',
    });
  }
  if (
    /connection|retrying|timed? ?out|resol(ution|ve)|proxy|ssl|unreachable|HTTP error|from versions: none/i.test(
      said,
    )
  ) {
    return new NetworkError({
      code: 'network',
      message,
      hint: "Check the network and pip's proxy and index settings ('pip config list'), then run 'tracer setup' again; until then tracer uses wasm.",
    });
  }
  return new NotFoundError({
    code: 'wheel_missing',
    message,
    hint: "Check pip's index settings ('pip config list') and run 'tracer setup' again; until then tracer uses wasm.",
  });
}
