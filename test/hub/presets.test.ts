import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { BadFileError, NotFoundError, UsageError } from '../../src/errors.ts';
import { listPresets, locate, readPreset } from '../../src/hub/presets.ts';
import { resolveFiles } from '../../src/hub/resolve.ts';

const configs = mkdtempSync(join(tmpdir(), 'tracer-presets-'));
mkdirSync(join(configs, 'models'));
afterAll(() => rmSync(configs, { recursive: true }));

describe('the presets that ship', () => {
  it('are models and transcoder sets, each with one line about it', () => {
    const models = listPresets('models').map(({ name }) => name);
    expect(models).toEqual(
      expect.arrayContaining(['embedded', 'gemma-2-2b', 'llama-3.2-1b', 'qwen3-4b', 'gpt2']),
    );
    const sets = listPresets('transcoders').map(({ name }) => name);
    expect(sets).toEqual(expect.arrayContaining(['clt-426k', 'embedded', 'gemma', 'llama', 'gpt-oss-clt']));
    for (const kind of ['models', 'transcoders'] as const) {
      for (const { description } of listPresets(kind)) expect(description).toMatch(/^\S[^\n]*\.$/);
    }
  });

  it('have no name twice', () => {
    for (const kind of ['models', 'transcoders'] as const) {
      const names = listPresets(kind).flatMap(({ name, aliases }) => [name, ...aliases]);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it.each([
    ['llama', 'meta-llama/Llama-3.2-1B', 'mntss/transcoder-Llama-3.2-1B'],
    ['qwen3-14b', 'Qwen/Qwen3-14B', 'mwhanna/qwen3-14b-transcoders-lowl0'],
    ['gpt-oss-20b', 'openai/gpt-oss-20b', 'mntss/clt-131k'],
  ])("let '%s' stand for %s and %s", (name, model, set) => {
    expect(locate('models', name).reference).toMatchObject({ kind: 'hub', repo: model });
    expect(locate('transcoders', name).reference).toMatchObject({ kind: 'hub', repo: set });
  });

  it.each([
    ['gemma-3-1b-it-16k-affine', 'mwhanna/gemma-scope-2-1b-it', 'transcoder_all/width_16k_l0_small_affine'],
    ['gemma-3-1b-it', 'mwhanna/gemma-scope-2-1b-it', 'transcoder_all/width_16k_l0_small_affine'],
    ['gemma-3-27b-pt-262k', 'mwhanna/gemma-scope-2-27b-pt', 'transcoder_all/width_262k_l0_small'],
    ['gemma-3-270m-pt-clt', 'mwhanna/gemma-scope-2-270m-pt', 'clt/width_262k_l0_medium_affine'],
    ['llama-3.1-8b-instruct', 'facebook/crv-8b-instruct-transcoders', undefined],
  ])("let '%s' stand for the set in %s %s", (name, repo, subfolder) => {
    const { reference } = locate('transcoders', name);
    expect(reference).toMatchObject({ kind: 'hub', repo, ...(subfolder && { subfolder }) });
  });

  it('say of every model how large it is, and of every set what kind it is', () => {
    for (const { layers, d_model, parameters } of listPresets('models'))
      for (const number of [layers, d_model, parameters]) expect(number).toBeGreaterThan(0);
    const kinds = listPresets('transcoders').map(({ kind }) => kind);
    expect(new Set(kinds)).toEqual(new Set(['per-layer', 'cross-layer']));
  });

  it('name a model preset for every transcoder set', () => {
    for (const { model } of listPresets('transcoders'))
      expect(readPreset('models', model ?? '').name).toBe(model);
  });

  it.each(['gemma', 'gemma-2-2b'])("let '%s' stand for the model and for its transcoders", (name) => {
    expect(locate('models', name).reference).toMatchObject({ kind: 'hub', repo: 'google/gemma-2-2b' });
    expect(locate('transcoders', name).reference).toMatchObject({ repo: 'mwhanna/gemma-scope-transcoders' });
  });

  it('are pinned to the commits that are known, and so are the files that a set lists elsewhere', () => {
    const pinned = (kind: 'models' | 'transcoders', name: string) => locate(kind, name).reference;
    expect(pinned('models', 'gemma')).toMatchObject({ repo: 'google/gemma-2-2b', revision: 'c5ebcd40d208' });
    expect(pinned('transcoders', 'gemma')).toMatchObject({ revision: 'bd5773156dea' });
    const npz = readPreset('transcoders', 'gemma-npz');
    expect(npz.reference).toMatchObject({ repo: 'mntss/gemma-scope-transcoders', revision: '9250a2d4860c' });
    expect(npz.linked).toEqual({ 'google/gemma-scope-2b-pt-transcoders': '50eec2f25c60' });
  });

  it('hold the embedded model and its transcoders', async () => {
    for (const [kind, file] of [
      ['models', 'config.json'],
      ['transcoders', 'config.yaml'],
    ] as const) {
      const { reference } = locate(kind, 'embedded');
      const files = await resolveFiles(reference, { wanted: () => true });
      expect(files.path(file)).toContain('embedded');
    }
  });

  it('answer a mistyped name with the nearest one', () => {
    const named = expect.objectContaining({ hint: "Did you mean 'clt-426k'?" });
    expect(() => readPreset('transcoders', 'clt426k')).toThrow(NotFoundError);
    expect(() => readPreset('transcoders', 'clt426k')).toThrow(named);
    expect(() => locate('transcoders', 'clt426k')).toThrow(named);
  });
});

describe('--revision', () => {
  it('wins over the revision of a preset and of a name', () => {
    expect(locate('models', 'gemma', 'refs/pr/3').reference).toMatchObject({ revision: 'refs/pr/3' });
    expect(locate('models', 'a/b@old', 'new').reference).toMatchObject({ repo: 'a/b', revision: 'new' });
  });

  it('is refused for a local folder', () => {
    expect(() => locate('models', './folder', 'v1')).toThrow(UsageError);
  });
});

it.each([
  ['no JSON', '{'],
  ['no place', '{"description": "x"}'],
  ['two places', '{"description": "x", "repo": "a/b", "path": "c"}'],
  ['a revision that is none', '{"description": "x", "repo": "a/b", "linked": {"c/d": ".."}}'],
  ['an unknown key', '{"description": "x", "repo": "a/b", "revison": "c"}'],
])('a preset file with %s is refused by its name', (_, text) => {
  writeFileSync(join(configs, 'models', 'mine.json'), text);
  expect(() => listPresets('models', configs)).toThrow(BadFileError);
  expect(() => listPresets('models', configs)).toThrow(/mine\.json/);
});
