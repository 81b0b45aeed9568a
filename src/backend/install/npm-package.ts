/**
 * Setting TensorFlow up: an npm package, fetched by npm and checked against a pinned digest. npm reads the user's settings itself
 * (registry, access tokens, proxies, certificates), and the library it fetches with would be ninety more packages to install.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BadFileError, ExhaustedError, NetworkError, NotFoundError } from '../../errors.ts';
import { lastLines, runCommand, type Finished } from './command.ts';

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** Of its archive, in base64, as `integrity` of a lock file. */
  readonly sha512: string;
}

/** A program and its first arguments. */
type Command = readonly [string, ...string[]];

/**
 * npm as a program of the PATH (on Windows that is a script, which cannot be started without a shell), and as it lies beside Node,
 * there and elsewhere.
 */
const NPM_COMMANDS: readonly Command[] = [
  ['npm'],
  [process.execPath, join(dirname(process.execPath), 'node_modules/npm/bin/npm-cli.js')],
  [process.execPath, join(dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js')],
];

/** Paths in the archive begin with `package/`, and Python is there, since its pip fetches the wheels. */
const UNPACK_PY = `
import os, shutil, sys, tarfile
archive, root = sys.argv[1], os.path.realpath(sys.argv[2])
with tarfile.open(archive, "r:gz") as files:
    for entry in files:
        if not entry.isfile():
            continue
        target = os.path.realpath(os.path.join(root, entry.name))
        if os.path.commonpath([root, target]) != root:
            sys.exit("path outside the folder: " + entry.name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with files.extractfile(entry) as source, open(target, "wb") as sink:
            shutil.copyfileobj(source, sink)
`;

/**
 * Fetches and unpacks a package in `folder`, which is made, and gives the folder of its files. No script of it is run.
 * @throws NotFoundError no npm, or no such package for this user; NetworkError; BadFileError another archive; ExhaustedError
 */
export async function fetchNpmPackage(
  wanted: NpmPackage,
  python: string,
  folder: string,
  signal?: AbortSignal,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const [program, ...start] = await findNpm(signal);
  // In the user's working folder, whose .npmrc counts. npm's own waits between tries are ten seconds and a minute.
  const finished = await runCommand(
    program,
    [...start, 'pack', `${wanted.name}@${wanted.version}`, `--pack-destination=${folder}`, '--json']
      .concat([
        '--ignore-scripts',
        '--dry-run=false',
        '--no-update-notifier',
        '--logs-max=0',
        '--loglevel=error',
      ])
      .concat(['--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000']),
    { signal },
  );
  const fetched = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  if (finished?.exitCode !== 0 || fetched === undefined) throw fetchError(wanted, finished);

  const archive = join(folder, fetched);
  const found = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64');
  if (found !== wanted.sha512)
    throw otherDigest(wanted, `expected sha512-${wanted.sha512}, found sha512-${found}`);
  const unpacked = await runCommand(python, ['-c', UNPACK_PY, archive, folder], { signal });
  if (unpacked?.exitCode !== 0) throw unpackError(wanted, unpacked?.stderr ?? '', folder);
  return join(folder, 'package');
}

/** The npm that would be used. */
export async function findNpm(
  signal?: AbortSignal,
  commands: readonly Command[] = NPM_COMMANDS,
): Promise<Command> {
  for (const command of commands) {
    const [program, ...start] = command;
    const found = await runCommand(program, [...start, '--version'], { signal });
    if (found?.exitCode === 0) return command;
  }
  throw new NotFoundError({
    code: 'npm_missing',
    message: "npm, which comes with Node, is not on the PATH; it fetches the sources of TensorFlow's binding",
    hint: "Install it ('apt install npm', 'dnf install npm') and run 'tracer setup' again; until then tracer uses wasm.",
  });
}

/** npm's error codes: its own and those of HTTP (`E404`). The rest are those of Node's sockets and of TLS. */
const REFUSED = ['E401', 'E402', 'E403', 'E404', 'E451', 'ENEEDAUTH', 'ENOVERSIONS', 'ETARGET'];
const DAMAGED = ['EINTEGRITY'];
const NO_DISK = ['ENOSPC', 'EDQUOT'];

function fetchError(wanted: NpmPackage, finished: Finished | undefined): Error {
  const { code, summary } = npmError(finished);
  const message = `npm could not fetch ${wanted.name} ${wanted.version}: ${summary}`;
  if (DAMAGED.includes(code)) return otherDigest(wanted, summary);
  if (NO_DISK.includes(code)) return diskFull(message);
  const hint =
    `Check the network and npm's registry and proxy settings ('npm config list'), then run 'tracer setup' again, ` +
    `or install the package beside tracer ('npm install --ignore-scripts ${wanted.name}@${wanted.version}'). Until then tracer uses wasm.`;
  if (REFUSED.includes(code)) return new NotFoundError({ code: 'package_missing', message, hint });
  return new NetworkError({ code: 'network', message, hint });
}

/** What `npm --json` prints on failure, or its last lines where it printed something else. */
function npmError(finished: Finished | undefined): { code: string; summary: string } {
  try {
    const { error } = JSON.parse(finished?.stdout ?? '') as { error?: { code?: string; summary?: string } };
    if (error?.code && error.summary) return { code: error.code, summary: error.summary };
  } catch {
    // It failed before it knew that JSON was asked for.
  }
  return { code: '', summary: lastLines(finished?.stderr ?? '') || 'it printed no reason' };
}

function otherDigest(wanted: NpmPackage, found: string): BadFileError {
  return new BadFileError({
    code: 'package_digest',
    message: `the registry serves another ${wanted.name} ${wanted.version} than the one tracer was tested with: ${found}`,
    hint: "'npm config get registry' shows the registry. A proxy or mirror that changes packages cannot be used.",
  });
}

function unpackError(wanted: NpmPackage, stderr: string, folder: string): Error {
  const said = lastLines(stderr, 2);
  const message = `${wanted.name} ${wanted.version} could not be unpacked into ${folder}:\n${said}`;
  if (/No space left|Errno 28|Errno 122/.test(said)) return diskFull(message);
  return new BadFileError({ code: 'package_damaged', message, hint: "Run 'tracer setup' again." });
}

function diskFull(message: string): ExhaustedError {
  return new ExhaustedError({ code: 'disk_full', message, hint: 'Free some disk, or set TRACER_DATA_DIR.' });
}
