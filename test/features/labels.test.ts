import { describe, expect, it } from '@jest/globals';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { openFeatureSource } from '../../src/engine/features/source.ts';
import { BadFileError, UsageError } from '../../src/errors.ts';
import { LabelFile, labelText, readLabels } from '../../src/features/labels.ts';
import { asciiName } from '../../src/graph/slug.ts';
import { environment, scratchFolder } from '../support/scratch.ts';

describe('labels of a set', () => {
  it('are kept in one file, sorted by layer and feature, until they are taken back', async () => {
    using scratch = scratchFolder();
    const file = LabelFile.of('owner/a set', scratch.path);
    expect(await file.read()).toEqual(new Map());
    expect(existsSync(file.path)).toBe(false);
    await file.write([
      { layer: 10, feature: 3, text: 'ten' },
      { layer: 2, feature: 30, text: 'two' },
      { layer: 2, feature: 4, text: '  <b>bold</b> & "quoted"  ' },
    ]);
    const content = JSON.parse(readFileSync(file.path, 'utf8')) as { set: string; labels: object };
    expect(content.set).toBe('owner/a set');
    expect(Object.entries(content.labels)).toEqual([
      ['2_4', '<b>bold</b> & "quoted"'],
      ['2_30', 'two'],
      ['10_3', 'ten'],
    ]);
    await file.write([{ layer: 2, feature: 30, text: '' }]);
    expect([...(await file.read()).keys()]).toEqual(['2_4', '10_3']);
    expect(readdirSync(scratch.path)).toEqual([basename(file.path)]);
  });

  it('of writers at the same time are all kept', async () => {
    using scratch = scratchFolder();
    const write = (feature: number) =>
      LabelFile.of('a set', scratch.path).write([{ layer: 0, feature, text: `label ${feature}` }]);
    await Promise.all(Array.from({ length: 12 }, (_, feature) => write(feature)));
    const all = await LabelFile.of('a set', scratch.path).read();
    expect([...all]).toEqual(Array.from({ length: 12 }, (_, i) => [`0_${i}`, `label ${i}`]));
  });

  it.each([
    '{',
    '[]',
    '{"format":"other"}',
    '{"format":"tracer.labels","format_version":1,"set":"a","labels":{"x":"y"}}',
  ])('that are damaged are refused and left as they are: %s', async (text) => {
    using scratch = scratchFolder();
    const file = LabelFile.of('a', scratch.path);
    writeFileSync(file.path, text);
    await expect(file.write([{ layer: 0, feature: 0, text: 'x' }])).rejects.toThrow(BadFileError);
    await expect(file.read()).rejects.toThrow(file.path);
    expect(readFileSync(file.path, 'utf8')).toBe(text);
    expect(existsSync(`${file.path}.lock`)).toBe(false);
  });

  it('are one line of at most 500 characters', () => {
    expect(labelText('  a label ')).toBe('a label');
    expect(labelText('é'.repeat(500))).toHaveLength(500);
    for (const text of ['x'.repeat(501), 'two\nlines', 'bell \u0007', 'line\u2028separator']) {
      expect(() => labelText(text)).toThrow(UsageError);
    }
  });

  it('can be read from an export and from a plain mapping', async () => {
    using scratch = scratchFolder();
    const file = LabelFile.of('a', scratch.path);
    const labels = [{ layer: 1, feature: 2, text: 'x' }];
    await file.write(labels);
    expect(await readLabels(file.path)).toEqual(labels);
    const plain = join(scratch.path, 'plain.json');
    writeFileSync(plain, '{"1_2": "x"}');
    expect(await readLabels(plain)).toEqual(labels);
    writeFileSync(plain, '{"1-2": "x"}');
    await expect(readLabels(plain)).rejects.toThrow(BadFileError);
  });

  it('of names that are long or strange have files of their own, all in one folder', () => {
    using scratch = scratchFolder();
    const names = ['x'.repeat(400), `${'x'.repeat(400)}y`, '../up', '/etc/passwd', 'owner/name//sub@main'];
    const files = names.map((name) => basename(LabelFile.of(name, scratch.path).path));
    expect(new Set(files).size).toBe(names.length);
    for (const file of files) {
      expect(file.length).toBeLessThan(200);
      expect(file).toMatch(/^[\w.-]+\.json$/);
    }
  });
});

describe('the labels of a folder without a scan', () => {
  it('are the same whichever way one walks to it, and whatever spelling a viewer file has', async () => {
    using scratch = scratchFolder();
    using _labels = environment({ TRACER_LABELS_DIR: join(scratch.path, 'labels') });
    const folder = join(scratch.path, 'set');
    mkdirSync(folder);
    symlinkSync(folder, join(scratch.path, 'link'));
    const ways = [folder, join(scratch.path, 'link'), `${folder}/../set`];
    const files = await Promise.all(
      ways.map(async (way) => {
        const set = { name: way, kind: 'folder', folder: way } as const;
        return (await openFeatureSource({ scan: way, set, offline: true })).labelFile.path;
      }),
    );
    expect(new Set(files).size).toBe(1);
    const viewer = await openFeatureSource({ scan: asciiName(folder), offline: true });
    expect(viewer.labelFile.path).toBe(files[0]);
  });

  it('and its pages are never found by what a file says', async () => {
    using scratch = scratchFolder();
    mkdirSync(join(scratch.path, 'features'));
    writeFileSync(join(scratch.path, 'features/0.json'), '{}');
    expect((await openFeatureSource({ scan: scratch.path, offline: true })).source).toBe('none');
    const set = { name: scratch.path, kind: 'folder', folder: scratch.path } as const;
    const own = await openFeatureSource({ scan: scratch.path, set, offline: true });
    expect(await own.page(0, 0)).toMatchObject({ top_logits: [] });
  });
});
