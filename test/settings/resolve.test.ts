import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { BadFileError, UsageError } from '../../src/errors.ts';
import { resolveSettings, type SettingInput } from '../../src/settings/resolve.ts';

let folder: string;
let project: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tracer-settings-'));
  project = join(folder, 'project');
  await mkdir(join(project, 'deep', 'inside'), { recursive: true });
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const projectFile = () => join(project, 'tracer.config.json');
const userFile = () => join(folder, 'user.json');

async function write(path: string, content: unknown): Promise<void> {
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
}

function resolveHere(input: Partial<SettingInput> = {}) {
  const defaults = {
    flags: {},
    environment: {},
    workingFolder: join(project, 'deep', 'inside'),
    userFile: userFile(),
  };
  return resolveSettings({ ...defaults, ...input });
}

describe('a setting', () => {
  it('is taken from the flag, then the variable, then the project, then the user, each naming its origin', async () => {
    await write(userFile(), { device: 'cuda' });
    expect((await resolveHere()).device).toEqual({ value: 'cuda', from: userFile() });
    await write(projectFile(), { device: 'cpu' });
    expect((await resolveHere()).device).toEqual({ value: 'cpu', from: projectFile() });
    const environment = { TRACER_DEVICE: 'auto' };
    expect((await resolveHere({ environment })).device).toEqual({ value: 'auto', from: 'TRACER_DEVICE' });
    const flags = { device: 'wasm' };
    expect((await resolveHere({ environment, flags })).device).toEqual({ value: 'wasm', from: '--device' });
  });

  it('is decided for each key by itself', async () => {
    await write(projectFile(), { model: 'gemma-2-2b', dtype: 'bfloat16' });
    const settings = await resolveHere({
      environment: { TRACER_DTYPE: 'float32', TRACER_TRANSCODERS: 'gemma' },
      flags: { maxMemory: '8GiB' },
    });
    expect(settings).toEqual({
      model: { value: 'gemma-2-2b', from: projectFile() },
      dtype: { value: 'float32', from: 'TRACER_DTYPE' },
      transcoders: { value: 'gemma', from: 'TRACER_TRANSCODERS' },
      maxMemory: { value: 8 * 2 ** 30, from: '--max-memory' },
    });
  });

  it('of a device may name a card', async () => {
    const settings = await resolveHere({ flags: { device: 'cuda:1', maxDeviceMemory: '2GiB' } });
    expect(settings.device?.value).toBe('cuda:1');
    expect(settings.maxDeviceMemory?.value).toBe(2 * 2 ** 30);
    for (const device of ['cuda:', 'cuda:N', 'cuda:-1', 'cuda:01', 'cuda:1 ', 'cpu:0'])
      await expect(resolveHere({ environment: { TRACER_DEVICE: device } })).rejects.toThrow(
        'TRACER_DEVICE: expected auto, cpu, cuda, cuda:N, webgpu or wasm',
      );
  });

  it('is absent when nobody gave it, and an empty variable is nobody', async () => {
    expect(await resolveHere({ environment: { TRACER_MODEL: '', TRACER_DEVICE: '' } })).toEqual({});
  });

  it('means a folder beside the file that names it, wherever the command is typed', async () => {
    await write(projectFile(), {
      model: './models/tiny',
      transcoders: '../sets/plt',
      cacheDir: 'plain-name',
    });
    const settings = await resolveHere();
    expect(settings.model?.value).toBe(join(project, 'models', 'tiny'));
    expect(settings.transcoders?.value).toBe(join(folder, 'sets', 'plt'));
    expect(settings.cacheDir?.value).toBe('plain-name');
  });
});

describe('a mistake', () => {
  it('in a variable names the variable, what was expected, what was found, and the nearest right one', async () => {
    const failing = resolveHere({ environment: { TRACER_DTYPE: 'bfloat61' } });
    await expect(failing).rejects.toThrow(UsageError);
    await expect(failing).rejects.toMatchObject({
      message: 'TRACER_DTYPE: expected float32 or bfloat16, found "bfloat61"',
      hint: "Did you mean 'bfloat16'?",
    });
  });

  it('in a key of a file names the file, the key, and the nearest right one', async () => {
    await write(projectFile(), { modle: 'embedded' });
    const failing = resolveHere();
    await expect(failing).rejects.toThrow(BadFileError);
    await expect(failing).rejects.toMatchObject({
      code: 'unknown_setting',
      message: `${projectFile()}: there is no setting 'modle'`,
      hint: "Did you mean 'model'?",
    });
  });

  it('in a value of a file names the file and the key', async () => {
    await write(userFile(), { offline: 'yes' });
    await expect(resolveHere()).rejects.toMatchObject({
      exitCode: 4,
      message: `${userFile()}: offline: expected true or false, found "yes"`,
    });
  });

  it.each([['{'], ['[1]'], ['"text"'], ['']])(
    'in the file as a whole (%s) is a bad file',
    async (content) => {
      await write(projectFile(), content);
      const failing = resolveHere();
      await expect(failing).rejects.toThrow(BadFileError);
      await expect(failing).rejects.toThrow(projectFile());
    },
  );

  it('in a layer below the one that decides is not hidden for file keys', async () => {
    await write(projectFile(), { devise: 'cpu' });
    await expect(resolveHere({ flags: { device: 'cpu' } })).rejects.toMatchObject({
      hint: "Did you mean 'device'?",
    });
  });
});
