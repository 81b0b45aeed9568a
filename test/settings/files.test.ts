import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findProjectFile, readSettingsFile, saveChoice } from '../../src/settings/files.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tracer-save-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function content(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8')) as unknown;
}

describe('saving a choice', () => {
  it('makes the file in the working folder when there is none above it, and nothing else', async () => {
    const path = await saveChoice(folder, { model: 'embedded', device: 'auto' });
    expect(path).toBe(join(folder, 'tracer.config.json'));
    expect(await content(path)).toEqual({ model: 'embedded', device: 'auto' });
    expect(await readdir(folder)).toEqual(['tracer.config.json']);
  });

  it('changes the file above and keeps its other settings', async () => {
    const file = join(folder, 'tracer.config.json');
    await writeFile(file, '{"model":"old","maxMemory":"8GiB"}');
    await mkdir(join(folder, 'deep'));
    expect(await saveChoice(join(folder, 'deep'), { model: 'gemma-2-2b' })).toBe(file);
    expect(await content(file)).toEqual({ model: 'gemma-2-2b', maxMemory: '8GiB' });
    expect(findProjectFile(join(folder, 'deep'))).toBe(file);
  });

  it('keeps a local folder so that reading the file finds it again', async () => {
    await mkdir(join(folder, 'deep', 'models', 'tiny'), { recursive: true });
    await writeFile(join(folder, 'tracer.config.json'), '{}');
    const typed = { model: './models/tiny', transcoders: 'models/tiny', cacheDir: '../../outside' };
    const file = await saveChoice(join(folder, 'deep'), typed);
    expect(await content(file)).toMatchObject({
      model: './deep/models/tiny',
      transcoders: './deep/models/tiny',
    });
    const read = await readSettingsFile(file);
    expect(read.get('model')).toBe(join(folder, 'deep', 'models', 'tiny'));
    expect(read.get('cacheDir')).toBe(join(folder, '..', 'outside'));
  });

  it('leaves names of presets and of the Hub as they are', async () => {
    const file = await saveChoice(folder, { model: 'gemma-2-2b', transcoders: 'owner/name//sub@main' });
    expect(await content(file)).toEqual({ model: 'gemma-2-2b', transcoders: 'owner/name//sub@main' });
  });

  it('does not write over a file with a mistake in it', async () => {
    const file = join(folder, 'tracer.config.json');
    await writeFile(file, '{"modell":"x"}');
    await expect(saveChoice(folder, { model: 'y' })).rejects.toMatchObject({ code: 'unknown_setting' });
    expect(await readFile(file, 'utf8')).toBe('{"modell":"x"}');
  });
});
