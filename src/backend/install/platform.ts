/** Setting TensorFlow up: the systems that its wheels are for, and how an addon is linked there. */
import { release } from 'node:os';
import { join } from 'node:path';
import { NotFoundError, unreachable } from '../../errors.ts';
import type { NativeDevice } from './folder.ts';
import { glibcVersion } from './folder.ts';

/** What decides which wheel serves; a parameter for tests. */
export interface Host {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** Of the system's kernel, as `uname -r` prints it. */
  readonly release: string;
  /** Undefined outside Linux, and on Linux with another C library. */
  readonly glibc: string | undefined;
}

export type Target = 'linux-x64' | 'linux-arm64' | 'darwin-arm64';

/** The wheels' tags are `manylinux_2_27` and `macosx_12_0`. */
const OLDEST_GLIBC = '2.27';
const OLDEST_MACOS = '12';
/** The kernel of macOS 12. */
const OLDEST_DARWIN = '21';

export function thisHost(): Host {
  const { platform, arch } = process;
  return { platform, arch, release: release(), glibc: glibcVersion() };
}

/** @throws NotFoundError no wheel holds what is needed on this system, or on it for this device */
export function targetOf(host: Host, device: NativeDevice = 'cpu'): Target {
  const { platform, arch } = host;
  const target =
    platform === 'linux' ? linuxTarget(host) : platform === 'darwin' ? macTarget(host) : undefined;
  if (target === undefined) {
    throw unsupported(
      `native TensorFlow can be set up on Linux (x64 and arm64, glibc ${OLDEST_GLIBC} or newer) and on macOS ` +
        `(arm64, version ${OLDEST_MACOS} or newer); this is ${platform} ${arch}${detail(host)}`,
      platform === 'win32' ? ' In the Windows Subsystem for Linux it can be set up as on Linux.' : '',
    );
  }
  if (device === 'cuda' && target !== 'linux-x64') {
    throw unsupported(`TensorFlow for CUDA can be set up on Linux x64 only; this is ${platform} ${arch}`);
  }
  return target;
}

function linuxTarget({ arch, glibc }: Host): Target | undefined {
  if (glibc === undefined || isOlder(glibc, OLDEST_GLIBC)) return undefined;
  if (arch === 'x64') return 'linux-x64';
  return arch === 'arm64' ? 'linux-arm64' : undefined;
}

function macTarget({ arch, release: darwin }: Host): Target | undefined {
  return arch === 'arm64' && !isOlder(darwin, OLDEST_DARWIN) ? 'darwin-arm64' : undefined;
}

/** Versions are numbers with points between them. */
function isOlder(version: string, oldest: string): boolean {
  const [numbers, least] = [version, oldest].map((text) => text.split('.').map(Number));
  for (const [place, wanted] of least!.entries()) {
    const found = numbers![place] ?? 0;
    if (found !== wanted) return found < wanted;
  }
  return false;
}

function detail({ platform, glibc, release: kernel }: Host): string {
  if (platform === 'darwin') return `, kernel ${kernel}`;
  if (platform !== 'linux') return '';
  return glibc === undefined ? ' without glibc' : `, glibc ${glibc}`;
}

function unsupported(message: string, more = ''): NotFoundError {
  return new NotFoundError({
    code: 'platform_unsupported',
    message,
    hint: `tracer uses wasm here, which needs no setup.${more}`,
  });
}

/** The systems for which pip is asked for wheels: TensorFlow's, and on Linux the older one of NVIDIA's. */
export function wheelPlatforms(target: Target): readonly string[] {
  switch (target) {
    case 'linux-x64':
      return ['manylinux_2_27_x86_64', 'manylinux2014_x86_64'];
    case 'linux-arm64':
      return ['manylinux_2_27_aarch64', 'manylinux2014_aarch64'];
    case 'darwin-arm64':
      return ['macosx_12_0_arm64'];
    default:
      return unreachable(target);
  }
}

export interface Linking {
  /** Makes an addon; its functions of Node are found when it is loaded. */
  readonly addon: readonly string[];
  /** Links libraries of `folder`, which the addon finds in `tensorflow/` beside it. */
  libraries(folder: string, names: readonly ('cc' | 'framework')[]): string[];
}

/** Arguments of the compiler: g++ or clang on Linux, Apple's clang (also under the name g++) on macOS. */
export function linkingOf(target: Target): Linking {
  switch (target) {
    case 'linux-x64':
    case 'linux-arm64':
      return {
        addon: ['-shared', '-fPIC'],
        libraries: (folder, names) => [
          `-L${folder}`,
          ...names.map((name) => `-l:libtensorflow_${name}.so.2`),
          '-Wl,-rpath,$ORIGIN/tensorflow',
        ],
      };
    case 'darwin-arm64':
      return {
        addon: ['-bundle', '-undefined', 'dynamic_lookup'],
        libraries: (folder, names) => [
          ...names.map((name) => join(folder, `libtensorflow_${name}.2.dylib`)),
          '-Wl,-rpath,@loader_path/tensorflow',
        ],
      };
    default:
      return unreachable(target);
  }
}

/** How Python with pip, or a C++ compiler, is installed. */
export function howToInstall(
  program: 'python' | 'compiler',
  platform: NodeJS.Platform = process.platform,
): string {
  if (platform === 'darwin') return "'xcode-select --install'";
  return program === 'python'
    ? "'apt install python3-pip', 'dnf install python3-pip'"
    : "'apt install g++', 'dnf install gcc-c++'";
}
