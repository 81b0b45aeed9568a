import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { UsageError } from '../../src/errors.ts';
import { parseDatasetUri, resolveFiles } from '../../src/hub/resolve.ts';
import { HubFixture, sampleBytes } from './setup.ts';

const REPO = 'datasets/owner/texts';
/** More files than a page of the listing has. */
const FILES = Object.fromEntries(
  Array.from({ length: 30 }, (_, i) => [`data/part-${i}.parquet`, sampleBytes(100 + i, i + 1)]),
);

describe('a dataset', () => {
  it('is fetched as a model is, into its own folder of the cache', async () => {
    await using hub = await HubFixture.start();
    const commit = hub.server.commit(REPO, { ...FILES, 'README.md': '# texts' });
    const reference = parseDatasetUri('hf://datasets/owner/texts/data');
    expect(reference).toEqual({ kind: 'hub', repo: REPO, subfolder: 'data' });
    const found = await resolveFiles(reference, { wanted: ['*.parquet'], client: hub.client() });
    expect(found.files).toHaveLength(30);
    for (const { path } of found.files) {
      expect(found.path(path)).toContain(`datasets--owner--texts/snapshots/${commit}/data/`);
      expect(readFileSync(found.path(path)).equals(Buffer.from(FILES[`data/${path}`]!))).toBe(true);
    }
    expect(hub.server.seen('/api/models/')).toEqual([]);
    const offline = await resolveFiles(reference, {
      wanted: ['*.parquet'],
      client: hub.client({ offline: true }),
    });
    expect(offline.files.map(({ status }) => status)).toEqual(found.files.map(() => 'cached'));
  });

  it('is named with a revision, and is no model', () => {
    expect(parseDatasetUri('hf://datasets/owner/texts@refs/convert/parquet/default/train')).toEqual({
      kind: 'hub',
      repo: REPO,
      revision: 'refs/convert/parquet',
      subfolder: 'default/train',
    });
    expect(() => parseDatasetUri('hf://owner/texts')).toThrow(UsageError);
    expect(() => parseDatasetUri('hf://datasets/owner')).toThrow(UsageError);
  });
});
