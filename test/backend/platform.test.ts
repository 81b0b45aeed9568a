/** On which systems TensorFlow can be set up, from which wheels, and how addons are linked there; the system is a parameter. */
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { NativeDevice } from '../../src/backend/install/folder.ts';
import { wheelsFor } from '../../src/backend/install/pinned.ts';
import { linkingOf, targetOf, type Host, type Target } from '../../src/backend/install/platform.ts';
import { wheelTags } from '../../src/backend/install/wheels.ts';
import { NotFoundError } from '../../src/errors.ts';

const LINUX: Host = { platform: 'linux', arch: 'x64', release: '6.1.0-40-amd64', glibc: '2.36' };
const MAC: Host = { platform: 'darwin', arch: 'arm64', release: '23.5.0', glibc: undefined };
const WINDOWS: Host = { platform: 'win32', arch: 'x64', release: '10.0.22631', glibc: undefined };
const TARGETS: readonly Target[] = ['linux-x64', 'linux-arm64', 'darwin-arm64'];

function refusal(host: Host, device?: NativeDevice): unknown {
  try {
    return targetOf(host, device);
  } catch (error) {
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: 'platform_unsupported', exitCode: 3 });
    return `${(error as NotFoundError).message} ${(error as NotFoundError).hint}`;
  }
}

describe('the systems of native TensorFlow', () => {
  it('are Linux with glibc and macOS on arm64', () => {
    expect(targetOf(LINUX)).toBe('linux-x64');
    expect(targetOf({ ...LINUX, glibc: '2.27' })).toBe('linux-x64');
    expect(targetOf({ ...LINUX, arch: 'arm64' })).toBe('linux-arm64');
    expect(targetOf(MAC)).toBe('darwin-arm64');
    expect(targetOf({ ...MAC, release: '21.0.0' })).toBe('darwin-arm64');
  });

  it('are named where this is another one, with what was found', () => {
    expect(refusal({ ...LINUX, glibc: undefined })).toMatch(/this is linux x64 without glibc/);
    expect(refusal({ ...LINUX, glibc: '2.17' })).toMatch(/2\.27 or newer.* this is linux x64, glibc 2\.17/);
    expect(refusal({ ...LINUX, arch: 'riscv64' })).toMatch(/this is linux riscv64/);
    expect(refusal({ ...MAC, arch: 'x64' })).toMatch(/this is darwin x64/);
    expect(refusal({ ...MAC, release: '20.6.0' })).toMatch(/version 12 or newer.*kernel 20\.6\.0/);
    expect(refusal(WINDOWS)).toMatch(/this is win32 x64.*wasm.*Subsystem for Linux/);
  });

  it('have CUDA on Linux x64 only', () => {
    expect(targetOf(LINUX, 'cuda')).toBe('linux-x64');
    expect(refusal({ ...LINUX, arch: 'arm64' }, 'cuda')).toMatch(/CUDA.*Linux x64 only; this is linux arm64/);
    expect(refusal(MAC, 'cuda')).toMatch(/CUDA.*this is darwin arm64/);
  });
});

describe('the wheels of a system', () => {
  it('are pinned by digest, each its own', () => {
    const wheels = TARGETS.flatMap((target) => wheelsFor(target, 'cpu'));
    for (const { version, sha256 } of wheels) {
      expect(version).toBe('2.21.0');
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    }
    expect(new Set(wheels.map(({ sha256 }) => sha256)).size).toBe(TARGETS.length);
    expect(wheels.map(({ name }) => name)).toEqual(['tensorflow-cpu', 'tensorflow', 'tensorflow']);
    expect(wheelsFor('linux-x64', 'cuda').length).toBeGreaterThan(10);
  });

  it('are asked for by the tags of that system, whatever this machine is', () => {
    expect(wheelTags('linux-x64')).toContain('--platform=manylinux_2_27_x86_64');
    expect(wheelTags('linux-arm64').filter((tag) => tag.startsWith('--platform'))).toEqual([
      '--platform=manylinux_2_27_aarch64',
      '--platform=manylinux2014_aarch64',
    ]);
    expect(wheelTags('darwin-arm64').at(-1)).toBe('--platform=macosx_12_0_arm64');
  });
});

describe('an addon', () => {
  it('finds the libraries beside itself, by the names that they have in the wheel', () => {
    const linux = ['-Ltf', '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'];
    for (const target of ['linux-x64', 'linux-arm64'] as const) {
      expect(linkingOf(target).addon).toEqual(['-shared', '-fPIC']);
      expect(linkingOf(target).libraries('tf', ['cc', 'framework'])).toEqual([
        ...linux,
        '-Wl,-rpath,$ORIGIN/tensorflow',
      ]);
    }
    expect(linkingOf('darwin-arm64').addon).toEqual(['-bundle', '-undefined', 'dynamic_lookup']);
    expect(linkingOf('darwin-arm64').libraries('tf', ['framework'])).toEqual([
      join('tf', 'libtensorflow_framework.2.dylib'),
      '-Wl,-rpath,@loader_path/tensorflow',
    ]);
  });
});
