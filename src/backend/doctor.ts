/** `tracer doctor`: what works on this machine, what does not, and why. A finding is data, never an exception. */
import os from 'node:os';
import { TracerError } from '../errors.ts';
import { userFolder } from '../formats/user-folders.ts';
import { readHubEnvironment } from '../hub/environment.ts';
import type { Device } from './backend.ts';
import { availableMemoryBytes } from './budget.ts';
import { listCudaCards, type CudaCardFinding } from './cuda-cards.ts';
import { findCudaDriver, findCudaLibraries } from './cuda.ts';
import { folderBytes, folderState } from './disk.ts';
import { findCompiler } from './install/addon.ts';
import { runCommand } from './install/command.ts';
import { dataFolder, glibcVersion, tensorflowFolder } from './install/folder.ts';
import { findNpm } from './install/npm-package.ts';
import { findPython } from './install/wheels.ts';
import { probeDevice, type GraphicsFinding } from './probing.ts';
import { bfloat16Instructions } from './processor.ts';
import { AUTO_ORDER } from './select.ts';

export interface BackendFinding {
  readonly device: Device;
  readonly ok: boolean;
  /** `TensorFlow 2.21.0`; null when it does not work. */
  readonly version: string | null;
  /** Instructions of its products on stored weights; null where the engine's own products serve. */
  readonly kernel: string | null;
  /** Why it does not work. */
  readonly reason: string | null;
  /** What would help. */
  readonly hint: string | null;
}

export interface ToolFinding {
  readonly name: 'python' | 'compiler' | 'npm';
  /** The program that would be used; null when there is none. */
  readonly program: string | null;
  /** What it says of its version. */
  readonly version: string | null;
}

export interface FolderFinding {
  readonly name: 'data' | 'hub_cache' | 'tokenizer_cache';
  readonly path: string;
  readonly exists: boolean;
  readonly writable: boolean;
  /** Null when a part of it may not be read. */
  readonly bytes: number | null;
  readonly free_bytes: number;
}

/** The `data` of `tracer doctor --json`. Bytes are bytes; null where something is not there or cannot be told. */
export interface DoctorReport {
  /** At least one backend works. */
  readonly works: boolean;
  readonly node: { readonly version: string; readonly needed: string; readonly ok: boolean };
  readonly system: {
    readonly platform: string;
    readonly release: string;
    readonly arch: string;
    readonly glibc: string | null;
  };
  readonly processor: {
    readonly model: string;
    readonly cores: number;
    /** Instruction sets that make `--dtype bfloat16` worth while. */
    readonly bfloat16_instructions: readonly string[];
  };
  readonly memory: {
    readonly total_bytes: number;
    readonly available_bytes: number;
    /** Of the control group (a container), where it is below the total. */
    readonly limit_bytes: number | null;
  };
  /** In the order in which `--device auto` tries them. */
  readonly backends: readonly BackendFinding[];
  /** Null where WebGPU does not work; its backend says why. */
  readonly webgpu: GraphicsFinding | null;
  readonly cuda: {
    readonly driver_version: string | null;
    readonly driver_library: string | null;
    /** Null where nvidia-smi is not there or fails. */
    readonly cards: readonly CudaCardFinding[] | null;
    /** Library files found, of those that TensorFlow loads. */
    readonly libraries: readonly string[];
    readonly missing_libraries: readonly string[];
  };
  readonly tools: readonly ToolFinding[];
  readonly folders: readonly FolderFinding[];
  /** Where an access token was found; never the token. */
  readonly token: { readonly present: boolean; readonly source: string | null };
  /** Settings of the environment that would stop other commands. */
  readonly problems: readonly string[];
}

export interface DoctorOptions {
  /** Instead of the cache that the environment names. */
  readonly cacheDir?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** As `engines` of package.json says. */
const OLDEST_NODE = [20, 19] as const;

/** Examines the machine; each backend is tried in a process of its own. Takes about a second. */
export async function examine(options: DoctorOptions = {}): Promise<DoctorReport> {
  const { signal } = options;
  const problems: string[] = [];
  const [tried, cards, tools, folders] = await Promise.all([
    Promise.all(AUTO_ORDER.map((device) => tryBackend(device, signal))),
    listCudaCards(signal),
    Promise.all([
      describeTool('python', async () => [await findPython(signal), '-m', 'pip'], signal),
      describeTool('compiler', async () => [await findCompiler(signal)], signal),
      describeTool('npm', () => findNpm(signal), signal),
    ]),
    examineFolders(options.cacheDir, problems),
  ]);
  const backends = tried.map(({ finding }) => finding);
  return {
    works: backends.some(({ ok }) => ok),
    node: examineNode(),
    system: {
      platform: process.platform,
      release: os.release(),
      arch: process.arch,
      glibc: glibcVersion() ?? null,
    },
    processor: {
      model: os.cpus()[0]?.model ?? 'unknown',
      cores: os.availableParallelism(),
      bfloat16_instructions: bfloat16Instructions(),
    },
    memory: examineMemory(),
    backends,
    webgpu: tried.find(({ graphics }) => graphics !== undefined)?.graphics ?? null,
    cuda: examineCuda(cards),
    tools,
    folders,
    token: examineToken(problems),
    problems,
  };
}

async function tryBackend(
  device: Device,
  signal?: AbortSignal,
): Promise<{ readonly finding: BackendFinding; readonly graphics?: GraphicsFinding | undefined }> {
  const probe = await probeDevice(device, { signal });
  if (probe.ok) {
    const { version, kernel, graphics } = probe;
    return { finding: { device, ok: true, version, kernel, reason: null, hint: null }, graphics };
  }
  const { reason, hint = null } = probe;
  return { finding: { device, ok: false, version: null, kernel: null, reason, hint } };
}

async function describeTool(
  name: ToolFinding['name'],
  find: () => Promise<readonly [string, ...string[]]>,
  signal?: AbortSignal,
): Promise<ToolFinding> {
  try {
    const [program, ...args] = await find();
    const said = await runCommand(program, [...args, '--version'], { signal });
    return { name, program, version: said?.stdout.split('\n')[0] ?? null };
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    return { name, program: null, version: null };
  }
}

async function examineFolders(cacheDir: string | undefined, problems: string[]): Promise<FolderFinding[]> {
  const hubCache = orProblem(problems, () => readHubEnvironment({ cacheDir }).cacheDir);
  const paths = {
    data: dataFolder(),
    ...(hubCache !== undefined && { hub_cache: hubCache }),
    tokenizer_cache: userFolder('cache'),
  };
  const findings: FolderFinding[] = [];
  for (const [name, path] of Object.entries(paths)) {
    const { exists, writable, freeBytes } = await folderState(path);
    const bytes = exists
      ? await folderBytes(path).catch((error: Error) => void problems.push(error.message))
      : 0;
    findings.push({
      name: name as FolderFinding['name'],
      path,
      exists,
      writable,
      bytes: bytes ?? null,
      free_bytes: freeBytes,
    });
    if (!writable) problems.push(`the folder ${path} may not be written`);
  }
  return findings;
}

function examineNode(): DoctorReport['node'] {
  const { version } = process;
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  const ok = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
  return { version, needed: `>=${OLDEST_NODE.join('.')}`, ok };
}

function examineMemory(): DoctorReport['memory'] {
  const total = os.totalmem();
  const limit = process.constrainedMemory();
  return {
    total_bytes: total,
    available_bytes: availableMemoryBytes(),
    limit_bytes: limit > 0 && limit < total ? limit : null,
  };
}

function examineCuda(cards: readonly CudaCardFinding[] | undefined): DoctorReport['cuda'] {
  const driver = findCudaDriver();
  const { found, missing } = findCudaLibraries(tensorflowFolder('cuda'));
  return {
    driver_version: driver?.version ?? null,
    driver_library: driver?.library ?? null,
    cards: cards ?? null,
    libraries: found,
    missing_libraries: missing,
  };
}

function examineToken(problems: string[]): DoctorReport['token'] {
  const token = orProblem(problems, () => readHubEnvironment().token());
  return { present: token !== undefined, source: token?.source ?? null };
}

/** A setting that other commands would refuse is a line in the report. */
function orProblem<T>(problems: string[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    if (!problems.includes(error.message)) problems.push(error.message);
    return undefined;
  }
}
