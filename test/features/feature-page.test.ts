import { describe, expect, it } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { BadFileError, NotFoundError } from '../../src/errors.ts';
import { openFolderPages, requireFolderPages } from '../../src/features/folder-pages.ts';
import { pairingNumber } from '../../src/features/page-source.ts';
import { writeIndex, writeLayerPages } from '../../src/features/write-pages.ts';
import { scratchFolder } from '../support/scratch.ts';
import { somePage } from './pages.ts';

const PAGES = [0, 1, 2].map(somePage);

async function writeLayers(folder: string, layers: readonly number[]): Promise<void> {
  for (const layer of layers) {
    const pages = layer === 1 ? [...PAGES].reverse() : PAGES;
    await writeIndex(folder, { [layer]: await writeLayerPages(folder, layer, pages) });
  }
}

describe('pages in the published layout', () => {
  it('are found again, each by itself, in the folder or in features inside it', async () => {
    using scratch = scratchFolder();
    await writeLayers(join(scratch.path, 'features'), [0, 1]);
    for (const folder of [scratch.path, join(scratch.path, 'features')]) {
      const pages = await openFolderPages(folder, 'a set');
      expect(await pages!.page(0, 1)).toEqual(PAGES[1]);
      expect(await pages!.page(1, 2)).toEqual(PAGES[0]);
      expect(await pages!.page(0, 3)).toBeNull();
      expect(await pages!.page(2, 0)).toBeNull();
    }
  });

  it('of other layers stay when a layer is written', async () => {
    using scratch = scratchFolder();
    await writeLayers(scratch.path, [1]);
    await writeLayers(scratch.path, [0]);
    const pages = await openFolderPages(scratch.path, '');
    expect(await pages!.page(1, 0)).toEqual(PAGES[2]);
    expect(await pages!.page(0, 0)).toEqual(PAGES[0]);
  });

  it('are none in a folder without them, and an error where somebody named that folder', async () => {
    using scratch = scratchFolder();
    expect(await openFolderPages(scratch.path, 'a set')).toBeNull();
    await expect(requireFolderPages(scratch.path, 'a set')).rejects.toThrow(NotFoundError);
    await expect(requireFolderPages(join(scratch.path, 'none'), 'x')).rejects.toThrow('does not exist');
  });
});

describe('pages with one JSON a feature', () => {
  it.each(['', 'owner/set', 'owner-set', 'features/owner/set'])('are found in %p', async (place) => {
    using scratch = scratchFolder();
    const folder = join(scratch.path, place);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${pairingNumber(3, 5)}.json`), JSON.stringify(PAGES[1]));
    const pages = await openFolderPages(scratch.path, 'owner/set');
    expect(await pages!.page(3, 5)).toEqual(PAGES[1]);
    expect(await pages!.page(5, 3)).toBeNull();
  });

  it('never lie outside the folder', async () => {
    using scratch = scratchFolder();
    writeFileSync(join(scratch.path, '0.json'), JSON.stringify(PAGES[0]));
    mkdirSync(join(scratch.path, 'inside'));
    expect(await openFolderPages(join(scratch.path, 'inside'), '../')).toBeNull();
  });

  it('are refused when they are no pages', async () => {
    using scratch = scratchFolder();
    writeFileSync(join(scratch.path, '0.json'), '{"top_logits": 5}');
    const pages = await openFolderPages(scratch.path, '');
    await expect(pages!.page(0, 0)).rejects.toThrow(BadFileError);
  });
});

describe('damaged files', () => {
  it('of a page are named', async () => {
    using scratch = scratchFolder();
    await writeLayers(scratch.path, [0]);
    const path = join(scratch.path, 'layer_0.bin');
    const bytes = readFileSync(path);
    bytes.fill(0xff, 4, 40);
    writeFileSync(path, bytes);
    const pages = await openFolderPages(scratch.path, '');
    await expect(pages!.page(0, 0)).rejects.toThrow('layer_0.bin');
    await expect(pages!.page(0, 0)).rejects.toThrow(BadFileError);
    expect(await pages!.page(0, 1)).toEqual(PAGES[1]);
    bytes.fill(0xff, 0, 4); // a length beyond the page
    writeFileSync(path, bytes);
    await expect(pages!.page(0, 0)).rejects.toThrow('cut short');
    writeFileSync(path, bytes.subarray(0, 20));
    await expect(pages!.page(0, 1)).rejects.toThrow(BadFileError);
  });

  it.each([
    ['no gzip', Buffer.from('{}')],
    ['cut short', gzipSync('{"0": {"filename": "layer_0.bin", "offsets": [0, 5]}}').subarray(0, 30)],
    ['no index', gzipSync('[1, 2]')],
    ['offsets that fall', gzipSync('{"0": {"filename": "layer_0.bin", "offsets": [9, 5]}}')],
    ['offsets that are no numbers', gzipSync('{"0": {"filename": "layer_0.bin", "offsets": [0, "5"]}}')],
    ['a file elsewhere', gzipSync('{"0": {"filename": "../secret", "offsets": [0, 5]}}')],
    ['a page of terabytes', gzipSync('{"0": {"filename": "layer_0.bin", "offsets": [0, 5e12]}}')],
  ])('of an index are named: %s', async (_what, bytes) => {
    using scratch = scratchFolder();
    writeFileSync(join(scratch.path, 'index.json.gz'), bytes);
    writeFileSync(join(scratch.path, 'layer_0.bin'), 'something');
    const pages = await openFolderPages(scratch.path, '');
    await expect(pages!.page(0, 0)).rejects.toThrow(BadFileError);
    await expect(pages!.page(0, 0)).rejects.toThrow('index.json.gz');
    if (_what !== 'a page of terabytes') {
      await expect(writeIndex(scratch.path, {})).rejects.toThrow('index.json.gz');
    }
  });
});
