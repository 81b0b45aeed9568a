import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BadFileError, NotFoundError } from '../../src/errors.ts';
import { Corpus, type CorpusFormat, type CorpusPosition, type Document } from '../../src/features/corpus.ts';
import { scratchFolder } from '../support/scratch.ts';

const START: CorpusPosition = { offset: 0, line: 0 };

async function documents(
  path: string,
  from: CorpusPosition = START,
  format: CorpusFormat = {},
): Promise<Document[]> {
  using corpus = await Corpus.open(path, format);
  const found: Document[] = [];
  for await (const document of corpus.documents(from)) found.push(document);
  return found;
}

const texts = (found: readonly Document[]): string[] => found.map(({ text }) => text);

describe('a corpus', () => {
  it('is its lines that are not empty, whatever they end with', async () => {
    using scratch = scratchFolder();
    const path = join(scratch.path, 'corpus.txt');
    writeFileSync(path, '\uFEFFfirst\r\n\n  \n second \nünïcödé 🦊');
    expect(texts(await documents(path))).toEqual(['first', ' second ', 'ünïcödé 🦊']);
  });

  it('can be read on from any place, with lines longer than what is read at once', async () => {
    using scratch = scratchFolder();
    const path = join(scratch.path, 'corpus.txt');
    const line = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.replace(/\p{Cc}/gu, ' ')),
      fc.integer({ min: 1, max: 3 }).map((n) => 'x'.repeat(n * 700_000)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 8 }), fc.boolean(), async (lines, ends) => {
        writeFileSync(path, `${lines.join('\n')}${ends ? '\n' : ' '}`);
        const all = await documents(path);
        const expected = lines.map((text, i) => (i === lines.length - 1 && !ends ? `${text} ` : text));
        expect(texts(all)).toEqual(expected.filter((text) => text.trim() !== ''));
        for (const [i, { place, next }] of all.entries()) {
          expect(texts(await documents(path, place))).toEqual(texts(all.slice(i)));
          expect(texts(await documents(path, next))).toEqual(texts(all.slice(i + 1)));
        }
      }),
      { numRuns: 25 },
    );
  });

  it('of JSON Lines gives its texts, and names the line that is none', async () => {
    using scratch = scratchFolder();
    const path = join(scratch.path, 'corpus.jsonl');
    writeFileSync(path, '{"text": "one\\ntwo", "id": 7}\n\n{"text": "three"}\n{"body": "?"}\n');
    await expect(documents(path)).rejects.toThrow('corpus.jsonl, line 4');
    writeFileSync(path, '{"text": "one\\ntwo", "id": 7}\n\n{"text": "three"}\n');
    expect(texts(await documents(path))).toEqual(['one\ntwo', 'three']);
    writeFileSync(path, '{"text": "one"}\n{"text": ');
    await expect(documents(path)).rejects.toThrow('corpus.jsonl, line 2 is not JSON');
  });

  it('that is missing or not UTF-8 is refused', async () => {
    using scratch = scratchFolder();
    await expect(documents(join(scratch.path, 'none.txt'))).rejects.toThrow(NotFoundError);
    const path = join(scratch.path, 'latin.txt');
    writeFileSync(path, Buffer.from('fine\ncaf\xe9\n', 'latin1'));
    await expect(documents(path)).rejects.toThrow(BadFileError);
    await expect(documents(path)).rejects.toThrow('line 2');
  });

  it('is known by its beginning, its end and its length', async () => {
    using scratch = scratchFolder();
    const path = join(scratch.path, 'corpus.txt');
    const fingerprint = async (text: string): Promise<string> => {
      writeFileSync(path, text);
      using corpus = await Corpus.open(path);
      return await corpus.fingerprint();
    };
    const found = [];
    for (const text of ['abc', 'abd', 'abcd', 'bbc']) found.push(await fingerprint(text));
    expect(new Set(found).size).toBe(4);
    expect(await fingerprint('abc')).toBe(found[0]);
  });

  it.each(['snappy', 'zstd', 'gzip'])(
    'reads a column of a Parquet file (%s), from any row on',
    async (name) => {
      const path = fileURLToPath(new URL(`../fixtures/corpora/${name}.parquet`, import.meta.url));
      const all = await documents(path);
      expect(texts(all)).toEqual(['one two', 'three', 'vier fünf', 'six\nseven', 'eight']);
      for (const [i, { place, next }] of all.entries()) {
        expect(texts(await documents(path, place))).toEqual(texts(all.slice(i)));
        expect(texts(await documents(path, next))).toEqual(texts(all.slice(i + 1)));
      }
      const column = (field: string) => documents(path, START, { field });
      await expect(column('body')).rejects.toThrow("no column 'body'; it has id, text, n");
      await expect(column('n')).rejects.toThrow('row 0: n is not a text');
    },
  );

  it('that is named as Parquet and is not is refused', async () => {
    using scratch = scratchFolder();
    const path = join(scratch.path, 'text.parquet');
    writeFileSync(path, 'one two three, and no Parquet');
    await expect(documents(path)).rejects.toThrow(BadFileError);
    await expect(documents(path)).rejects.toThrow('cannot be read as Parquet');
  });

  it('takes token ids, other fields, and files as one document', async () => {
    using scratch = scratchFolder();
    const path = join(scratch.path, 'ids.jsonl');
    writeFileSync(path, '{"tokens": [3, 1, 4]}\n{"body": "x"}\n');
    await expect(documents(path)).rejects.toThrow('line 2');
    const found = await documents(path, START, { field: 'body' });
    expect(found.map(({ text, tokens }) => tokens ?? text)).toEqual([[3, 1, 4], 'x']);
    const whole = join(scratch.path, 'whole.md');
    writeFileSync(whole, '# One\n\nTwo\n');
    const [only, ...more] = await documents(whole, START, { isWhole: true });
    expect([only!.text, more]).toEqual(['# One\n\nTwo\n', []]);
    expect(await documents(whole, only!.next, { isWhole: true })).toEqual([]);
  });
});
