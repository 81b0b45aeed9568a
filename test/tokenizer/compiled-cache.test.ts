import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { buildTables } from '../../src/tokenizer/build-tables.ts';
import { readCompiled, writeCompiled } from '../../src/tokenizer/compiled-file.ts';
import type { CompiledTokenizer } from '../../src/tokenizer/compiled-file.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { parseRules } from '../../src/tokenizer/rules.ts';
import { environment, scratchFolder } from '../support/scratch.ts';
import type { Fixture } from '../support/golden.ts';
import { goldenFiles } from './support.ts';
import type { TokenizerJson } from './support.ts';

const MIB = 2 ** 20;
const TEXT = 'Dallas and Madrid';

function sourceText(fixture: Fixture): string {
  return readFileSync(goldenFiles(fixture).tokenizerJson, 'utf8');
}

function compiled(fixture: Fixture): CompiledTokenizer {
  const json = JSON.parse(sourceText(fixture)) as TokenizerJson;
  const rules = parseRules(json, fixture);
  return { rules, tables: buildTables(json.model, rules.added_tokens, fixture) };
}

/** White space at its end makes a small tokenizer large enough to be kept. */
function writeLarge(folder: string, fixture: Fixture): string {
  const file = path.join(folder, 'tokenizer.json');
  writeFileSync(file, sourceText(fixture).padEnd(MIB + 1));
  return file;
}

async function encode(tokenizerJson: string, cacheDir?: string): Promise<number[]> {
  return (await loadTokenizer({ tokenizerJson, cacheDir })).encode(TEXT);
}

/** The only file that the cache keeps. */
function keptFile(cacheDir: string): string {
  const files = readdirSync(path.join(cacheDir, 'tokenizers'));
  expect(files).toHaveLength(1);
  return path.join(cacheDir, 'tokenizers', files[0]!);
}

const expected = {
  'tiny-a': await encode(goldenFiles('tiny-a').tokenizerJson),
  'tiny-b': await encode(goldenFiles('tiny-b').tokenizerJson),
};

describe('the cache of compiled tokenizers', () => {
  it('is read in place of the source', async () => {
    using scratch = scratchFolder();
    const source = writeLarge(scratch.path, 'tiny-a');
    expect(await encode(source, scratch.path)).toEqual(expected['tiny-a']);
    // Another tokenizer under the same key shows which of the two is read.
    const file = keptFile(scratch.path);
    const key = /"source":"([^"]*)"/.exec(readFileSync(file, 'latin1'))![1]!;
    writeFileSync(file, writeCompiled(compiled('tiny-b'), key));
    expect(expected['tiny-b']).not.toEqual(expected['tiny-a']);
    expect(await encode(source, scratch.path)).toEqual(expected['tiny-b']);
  });

  it('is made anew, in the same place, when the source has changed', async () => {
    using scratch = scratchFolder();
    const source = writeLarge(scratch.path, 'tiny-a');
    await encode(source, scratch.path);
    writeLarge(scratch.path, 'tiny-b');
    expect(await encode(source, scratch.path)).toEqual(expected['tiny-b']);
    expect(existsSync(keptFile(scratch.path))).toBe(true);
  });

  it.each([
    ['shortened', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['emptied', () => Buffer.alloc(0)],
    ['changed by a bit', (bytes: Buffer) => bytes.fill(bytes[5000]! ^ 1, 5000, 5001)],
  ])('is repaired in silence when it was %s', async (_, damage) => {
    using scratch = scratchFolder();
    const source = writeLarge(scratch.path, 'tiny-a');
    await encode(source, scratch.path);
    const file = keptFile(scratch.path);
    const intact = readFileSync(file);
    writeFileSync(file, damage(Buffer.from(intact)));
    expect(await encode(source, scratch.path)).toEqual(expected['tiny-a']);
    expect(readFileSync(file).equals(intact)).toBe(true);
  });

  it('may be unwritable', async () => {
    using scratch = scratchFolder();
    const source = writeLarge(scratch.path, 'tiny-a');
    expect(await encode(source, path.join(source, 'below-a-file'))).toEqual(expected['tiny-a']);
  });

  it('stands in the cache folder of the user unless told otherwise', async () => {
    using scratch = scratchFolder();
    const home = scratch.path;
    using _ = environment({ XDG_CACHE_HOME: home, HOME: home, LOCALAPPDATA: home });
    await encode(writeLarge(scratch.path, 'tiny-a'));
    const names = readdirSync(home, { recursive: true }).map(String);
    expect(names.filter((name) => /tracer.*tokenizers.*\.bin$/.test(name))).toHaveLength(1);
  });

  it('is not used for small tokenizers', async () => {
    using scratch = scratchFolder();
    await encode(goldenFiles('tiny-a').tokenizerJson, scratch.path);
    expect(readdirSync(scratch.path)).toEqual([]);
  });
});

describe('a compiled file', () => {
  const original = compiled('tiny-a');
  const bytes = writeCompiled(original, 'a source');

  it('gives back the rules and tables it was made of', () => {
    expect(readCompiled(bytes, 'a source')).toEqual(original);
  });

  it('is not read for another source', () => {
    expect(readCompiled(bytes, 'another source')).toBeUndefined();
  });

  it('is not read when another version wrote it', () => {
    const VERSION_AT = 36;
    const older = Uint8Array.from(bytes);
    new Uint32Array(older.buffer, VERSION_AT, 1)[0]! -= 1;
    older.set(createHash('sha256').update(older.subarray(32)).digest());
    expect(readCompiled(older, 'a source')).toBeUndefined();
  });

  it('is not read with a single wrong byte, or cut at any place', () => {
    const position = fc.nat(bytes.length - 1);
    fc.assert(
      fc.property(position, fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const damaged = Uint8Array.from(bytes);
        damaged[at]! ^= bits;
        expect(readCompiled(damaged, 'a source')).toBeUndefined();
        expect(readCompiled(bytes.slice(0, at), 'a source')).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });
});
