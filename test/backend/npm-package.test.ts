/** A package that npm fetches for `tracer setup`: from the user's registry, checked, without its scripts; and which errors are told. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { addBindingPackage } from '../../src/backend/install/binding-package.ts';
import { BINDING_PACKAGE_FOLDER } from '../../src/backend/install/folder.ts';
import { fetchNpmPackage, findNpm, type NpmPackage } from '../../src/backend/install/npm-package.ts';
import { BadFileError, NetworkError, NotFoundError } from '../../src/errors.ts';
import { environment, scratchFolder, type Scratch } from '../support/scratch.ts';

/** Writes a gzipped tar file of names and texts, as `npm pack` would. */
const PACK_PY = `
import io, json, sys, tarfile
with tarfile.open(sys.argv[1], "w:gz") as archive:
    for name, text in json.load(sys.stdin).items():
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
`;

const SHA512 = (bytes: Buffer) => createHash('sha512').update(bytes).digest('base64');

function archiveOf(scratch: Scratch, files: Record<string, string>): Buffer {
  const path = join(scratch.path, 'made.tgz');
  const made = spawnSync('python3', ['-c', PACK_PY, path], { input: JSON.stringify(files) });
  expect(made.status).toBe(0);
  return readFileSync(path);
}

/** What the registry of the tests serves, by package: an archive, and the integrity that it claims. */
const served = new Map<string, { archive: Buffer; integrity: string }>();
const registry = createServer((request, response) => {
  const { port } = registry.address() as AddressInfo;
  const [name = '', file] = decodeURIComponent(request.url ?? '')
    .slice(1)
    .split('/-/');
  const found = served.get(name);
  if (!found) response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
  else if (file !== undefined) response.end(found.archive);
  else {
    const dist = { tarball: `http://127.0.0.1:${port}/${name}/-/x.tgz`, integrity: found.integrity };
    const version = { name, version: '1.0.0', dist };
    const document = { name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
  }
});

beforeAll(() => new Promise<void>((resolve) => void registry.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => registry.close(resolve)));

/** A user whose own npm settings name the registry of the tests. */
function user(scratch: Scratch, address?: string): Disposable {
  const { port } = registry.address() as AddressInfo;
  const settings = join(scratch.path, 'npmrc');
  writeFileSync(settings, `registry=${address ?? `http://127.0.0.1:${port}/`}\nfetch-retries=0\n`);
  return environment({
    npm_config_userconfig: settings,
    npm_config_cache: join(scratch.path, 'cache'),
    npm_config_registry: undefined,
  });
}

async function refusal(wanted: NpmPackage, scratch: Scratch): Promise<unknown> {
  return fetchNpmPackage(wanted, 'python3', join(scratch.path, 'into')).catch((error: unknown) => error);
}

describe('a package for the setup', () => {
  it("comes from the registry of the user's settings, and none of its scripts is run", async () => {
    using scratch = scratchFolder();
    using _user = user(scratch);
    const script = `node -e "fs.writeFileSync('${join(scratch.path, 'ran')}', '')"`;
    const manifest = {
      name: '@some/package',
      version: '1.0.0',
      scripts: { install: script, prepack: script, prepare: script },
    };
    const archive = archiveOf(scratch, {
      'package/package.json': JSON.stringify(manifest),
      'package/binding/code.cc': 'int main() {}',
    });
    served.set('@some/package', { archive, integrity: `sha512-${SHA512(archive)}` });
    const wanted = { name: '@some/package', version: '1.0.0', sha512: SHA512(archive) };
    const folder = await fetchNpmPackage(wanted, 'python3', join(scratch.path, 'into'));
    expect(readFileSync(join(folder, 'binding/code.cc'), 'utf8')).toBe('int main() {}');
    expect(existsSync(join(scratch.path, 'ran'))).toBe(false);
  });

  it('is refused when it is not the pinned one, and when it is not what the registry says', async () => {
    using scratch = scratchFolder();
    using _user = user(scratch);
    const archive = archiveOf(scratch, { 'package/package.json': '{"name":"other","version":"1.0.0"}' });
    served.set('other', { archive, integrity: `sha512-${SHA512(archive)}` });
    const wanted = { name: 'other', version: '1.0.0', sha512: SHA512(Buffer.from('pinned')) };
    const error = await refusal(wanted, scratch);
    expect(error).toBeInstanceOf(BadFileError);
    expect(error).toMatchObject({ code: 'package_digest', exitCode: 4 });
    expect((error as Error).message).toContain(SHA512(archive));
    expect(existsSync(join(scratch.path, 'into/package'))).toBe(false);

    served.set('damaged', { archive, integrity: `sha512-${wanted.sha512}` });
    expect(await refusal({ ...wanted, name: 'damaged' }, scratch)).toMatchObject({ code: 'package_digest' });
  });

  it('is refused when it names files outside its folder', async () => {
    using scratch = scratchFolder();
    using _user = user(scratch);
    const archive = archiveOf(scratch, { '../../evil': 'x', 'package/package.json': '{}' });
    served.set('evil', { archive, integrity: `sha512-${SHA512(archive)}` });
    const error = await refusal({ name: 'evil', version: '1.0.0', sha512: SHA512(archive) }, scratch);
    expect(error).toMatchObject({ code: 'package_damaged', message: expect.stringContaining('../../evil') });
    expect(existsSync(join(scratch.path, 'evil'))).toBe(false);
  });

  it('is told of as missing, or its registry as unreachable', async () => {
    using scratch = scratchFolder();
    const wanted = { name: 'not-there', version: '1.0.0', sha512: '' };
    {
      using _user = user(scratch);
      const missing = await refusal(wanted, scratch);
      expect(missing).toBeInstanceOf(NotFoundError);
      expect(missing).toMatchObject({ code: 'package_missing', exitCode: 3 });
    }
    using _user = user(scratch, 'http://127.0.0.1:9/');
    const unreachable = await refusal(wanted, scratch);
    expect(unreachable).toBeInstanceOf(NetworkError);
    expect(unreachable).toMatchObject({ code: 'network', exitCode: 69 });
    expect((unreachable as NetworkError).message).toMatch(/not-there 1\.0\.0: .*127\.0\.0\.1:9/);
    expect((unreachable as NetworkError).hint).toMatch(/npm config list.*npm install --ignore-scripts/);
  });

  it('needs npm, which is named where there is none', async () => {
    await expect(findNpm(undefined, [['no-such-npm']])).rejects.toMatchObject({
      code: 'npm_missing',
      exitCode: 3,
    });
  });
});

describe("the package of TensorFlow's binding", () => {
  /** As it would lie in `node_modules`. */
  function installedPackage(scratch: Scratch): string {
    const folder = join(scratch.path, 'installed');
    for (const name of ['package.json', 'README.md', 'binding/tfjs_binding.cc', 'dist/kernels/Abs.js'])
      write(folder, name);
    for (const name of ['int64_tensors', 'nodejs_kernel_backend', 'register_all_kernels', 'index'])
      write(folder, `dist/${name}.js`);
    write(folder, 'scripts/install.js');
    return folder;
  }
  const write = (folder: string, name: string) => {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), name);
  };

  it('is taken from an installed one, without what is not needed', async () => {
    using scratch = scratchFolder();
    const installed = installedPackage(scratch);
    const folder = join(scratch.path, 'tensorflow');
    mkdirSync(folder);
    await addBindingPackage('no-python', folder, { installed });
    expect(readdirSync(folder)).toEqual([BINDING_PACKAGE_FOLDER]);
    const files = readdirSync(join(folder, BINDING_PACKAGE_FOLDER), { recursive: true });
    expect(files).toEqual(expect.arrayContaining(['binding/tfjs_binding.cc', 'dist/kernels/Abs.js']));
    expect(files).toContain('node_modules/@tensorflow/tfjs/index.js');
    expect(files).not.toContain('dist/index.js');
    expect(files).not.toContain('scripts');
  });

  it('leaves nothing when it is not complete', async () => {
    using scratch = scratchFolder();
    const folder = join(scratch.path, 'tensorflow');
    const installed = join(scratch.path, 'empty');
    for (const path of [folder, installed]) mkdirSync(path);
    await expect(addBindingPackage('no-python', folder, { installed })).rejects.toThrow(/package\.json/);
    expect(readdirSync(folder)).toEqual([]);
  });
});
