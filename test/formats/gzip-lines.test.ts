/** JSON Lines in gzip, also hostile ones. */
import { describe, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { readGzipLines, type JsonLine } from '../../src/formats/gzip-lines.ts';
import { scratchFolder } from '../support/scratch.ts';

const LIMITS = { longestLineBytes: 1000 };

async function linesOf(bytes: Uint8Array, signal?: AbortSignal): Promise<JsonLine[]> {
  using scratch = scratchFolder();
  const path = join(scratch.path, 'lines.jsonl.gz');
  writeFileSync(path, bytes);
  const lines: JsonLine[] = [];
  for await (const some of readGzipLines(path, LIMITS, signal)) lines.push(...some);
  return lines;
}

describe('lines of gzipped JSON', () => {
  it('come in order with their numbers, whether or not the last one ends', async () => {
    const text = '{"a":1}\n\n[2]\r\n"ü"';
    expect(await linesOf(gzipSync(text))).toEqual([
      { number: 1, value: { a: 1 } },
      { number: 3, value: [2] },
      { number: 4, value: 'ü' },
    ]);
    expect(await linesOf(gzipSync(''))).toEqual([]);
  });

  it('are read across the chunks of the stream, and through several gzip members', async () => {
    const rows = Array.from({ length: 5000 }, (_, i) => ({ i, text: 'é'.repeat(i % 300) }));
    const text = rows.map((row) => JSON.stringify(row)).join('\n');
    const half = Buffer.from(text).length >> 1;
    const parts = [Buffer.from(text).subarray(0, half), Buffer.from(text).subarray(half)];
    const lines = await linesOf(Buffer.concat(parts.map((part) => gzipSync(part))));
    expect(lines.map((line) => 'value' in line && line.value)).toEqual(rows);
  });

  it('that are no JSON or too long are faults, and the others are read', async () => {
    const text = `{"a":1\nNaN\n${'x'.repeat(200_000)}\n"${'y'.repeat(990)}"\n7\n`;
    expect(await linesOf(gzipSync(text))).toEqual([
      { number: 1, fault: 'it is not JSON' },
      { number: 2, fault: 'it is not JSON' },
      { number: 3, fault: 'it is longer than 1000 bytes' },
      { number: 4, value: 'y'.repeat(990) },
      { number: 5, value: 7 },
    ]);
  });

  it.each([
    ['cut short', (whole: Buffer) => whole.subarray(0, -9)],
    ['no gzip', () => Buffer.from('{"a":1}\n')],
    ['of a wrong checksum', (whole: Buffer) => Buffer.concat([whole.subarray(0, -8), Buffer.alloc(8)])],
  ])('of a file that is %s are refused with its name', async (_, damage) => {
    const whole = gzipSync('{"a":1}\n'.repeat(1000));
    await expect(linesOf(damage(whole))).rejects.toMatchObject({
      code: 'bad_gzip_lines',
      exitCode: 4,
      message: expect.stringContaining('lines.jsonl.gz: it is no whole gzip file') as unknown as string,
    });
  });

  it('are not held: a line without an end takes no more memory than the limit', async () => {
    const before = process.memoryUsage().rss;
    const [line] = await linesOf(gzipSync(Buffer.alloc(300 * 2 ** 20, 'x')));
    expect(line).toEqual({ number: 1, fault: 'it is longer than 1000 bytes' });
    expect(process.memoryUsage().rss - before).toBeLessThan(500 * 2 ** 20);
  });

  it('end when they are cancelled, and when the file is not there', async () => {
    await expect(linesOf(gzipSync('1\n'), AbortSignal.abort(new Error('Ctrl-C')))).rejects.toThrow('Ctrl-C');
    const nowhere = readGzipLines('/nowhere/lines.gz', LIMITS);
    await expect(nowhere.next()).rejects.toMatchObject({ code: 'file_not_found' });
  });
});
