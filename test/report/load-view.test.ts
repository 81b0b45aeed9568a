import { describe, expect, it } from '@jest/globals';
import type { LoadResult } from '../../src/engine/load/types.ts';
import { loadView } from '../../src/report/load-view.ts';
import { lineOf, plain, subject } from './shown.ts';

describe('the view of load', () => {
  const source = { name: 'embedded', kind: 'preset' as const };
  const result: LoadResult = {
    ...subject,
    dry_run: true,
    sources: { model: source, transcoders: source },
    files: [
      { path: 'model.safetensors', bytes: 5 * 2 ** 30, status: 'missing' },
      { path: 'config.json', bytes: 700, status: 'cached' },
    ],
    transcoder_keys: [0, 1],
    layers: [
      { layer: 0, activation: 'jumprelu', threshold: { min: 0.1, median: 1.23456, max: 2 }, d_transcoder: 16384, has_skip: false, dtype: 'float32' },
      { layer: 1, activation: 'topk', k: 4, threshold: null, d_transcoder: 128, has_skip: true, dtype: 'bfloat16' },
    ],
    fits: false,
    memory: { needed_bytes: 9 * 2 ** 30, available_bytes: 4 * 2 ** 30 },
    disk: { needed_bytes: 5 * 2 ** 30, available_bytes: 100 * 2 ** 30 },
    timings_ms: {},
  }; // prettier-ignore
  const text = loadView(result, plain);

  it('lists files with size and status, and their sum', () => {
    expect(lineOf(text, 'model.safetensors')).toEqual(['model.safetensors', '5.00 GiB', 'to be fetched']);
    expect(lineOf(text, 'config.json')).toEqual(['config.json', '700 B', 'cached']);
    expect(lineOf(text, '2 files')).toEqual(['2 files', '5.00 GiB']);
  });

  it('lists the transcoder keys and one line a layer', () => {
    expect(text).toContain('Transcoder keys: [0, 1]');
    expect(lineOf(text, '0  ')).toEqual(['0', 'jumprelu', '0.1 / 1.235 / 2', '16,384', 'no', 'float32']);
    expect(lineOf(text, '1  ')).toEqual(['1', 'topk (k = 4)', '-', '128', 'yes', 'bfloat16']);
  });

  it('says whether it fits memory and disk', () => {
    expect(lineOf(text, 'fits')).toEqual(['fits', 'no']);
    expect(lineOf(text, 'memory')).toEqual(['memory', '9.00 GiB needed, 4.00 GiB free']);
    expect(lineOf(text, 'disk')).toEqual(['disk', '5.00 GiB needed, 100 GiB free']);
  });

  it('names what follows a branch, and nothing that is pinned or lies here', () => {
    expect(text).not.toContain('follows');
    const commit = 'a'.repeat(40);
    const hub = { name: 'x', kind: 'hub' as const, commit };
    const linked = { file: 'hf://google/scope/a.npz', repository: 'google/scope', commit, revision: 'main' };
    const sources = {
      model: { ...hub, repository: 'owner/model', revision: 'main', follows_branch: true },
      transcoders: {
        ...hub,
        repository: 'owner/set',
        revision: 'aaaaaaa',
        follows_branch: false,
        linked: [
          { ...linked, follows_branch: true },
          { ...linked, file: 'hf://google/scope/b.npz', follows_branch: true },
        ],
      },
    };
    const [name, followed] = lineOf(loadView({ ...result, sources }, plain), 'follows');
    expect(name).toBe('follows');
    expect(followed).toMatch(/^owner\/model@main, google\/scope@main: /);
  });
});
