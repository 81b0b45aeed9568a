import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readPromptList } from '../../src/engine/attribute/prompt-list.ts';
import { metadataColumns, metadataValue } from '../../src/study/metadata-columns.ts';
import { writeResultTable } from '../../src/study/result-table.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-rows-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Names that objects of JavaScript have already. */
const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'group'];
const VALUES = NAMES.map((_, i) => `v${i}`);

async function fileOf(ending: string): Promise<string> {
  const file = path.join(folder, `list${ending}`);
  const names = ['slug', 'prompt', ...NAMES];
  const values = ['a', 'The', ...VALUES];
  const pairs = names.map((name, i) => `${JSON.stringify(name)}:${JSON.stringify(values[i])}`);
  if (ending === '.jsonl') writeFileSync(file, `{${pairs.join(',')}}\n`);
  if (ending === '.csv') writeFileSync(file, `${names.join(',')}\n${values.join(',')}\n`);
  if (ending === '.tsv') writeFileSync(file, `${names.join('\t')}\n${values.join('\t')}\n`);
  if (ending === '.parquet') {
    const columns = Object.fromEntries(names.map((name) => [name, 'VARCHAR' as const]));
    await writeResultTable(file, columns, [Object.fromEntries(names.map((name, i) => [name, values[i]!]))]);
  }
  return file;
}

describe.each(['.jsonl', '.csv', '.tsv', '.parquet'])('a list of prompts as %s', (ending) => {
  it('keeps columns that are called like members of every object', async () => {
    const [line] = await readPromptList(await fileOf(ending));
    expect(line).toMatchObject({ slug: 'a', prompt: 'The' });
    if (!line || 'error' in line) throw new Error('no line');
    expect(Object.entries(line.metadata).sort()).toEqual(NAMES.map((name, i) => [name, VALUES[i]]).sort());
    const columns = metadataColumns([line.metadata]);
    expect(columns.map(({ name }) => name)).toEqual([...NAMES].sort());
    expect(columns.map((column) => metadataValue(line.metadata, column))).toEqual(
      columns.map(({ name }) => VALUES[NAMES.indexOf(name)]),
    );
    expect(metadataColumns([{}, line.metadata]).map((column) => metadataValue({}, column))).toEqual(
      NAMES.map(() => null),
    );
  });
});

describe('a list of prompts as CSV', () => {
  it('may end its last line in another way than the others, as what `graph query --csv` prints', async () => {
    const file = path.join(folder, 'mixed.csv');
    writeFileSync(file, 'slug,prompt,city\r\na,The,Dallas\r\nb,The,Laredo\n');
    const lines = await readPromptList(file);
    expect(lines.map((line) => ('error' in line ? line.error : line.metadata))).toEqual([
      { city: 'Dallas' },
      { city: 'Laredo' },
    ]);
  });
});
