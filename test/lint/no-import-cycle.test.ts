/** The lint rule that keeps files from importing each other. */
import { describe, expect, it } from '@jest/globals';
import { Linter } from 'eslint';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import tseslint from 'typescript-eslint';
import noImportCycle from '../../eslint-no-import-cycle.js';
import { scratchFolder } from '../support/scratch.ts';

/** Messages of the rule for each of the files. */
function messages(files: Readonly<Record<string, string>>): Record<string, string[]> {
  using scratch = scratchFolder();
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(scratch.path, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const linter = new Linter({ cwd: scratch.path });
  const config: Linter.Config = {
    files: ['**/*.{ts,tsx}'],
    languageOptions: { parser: tseslint.parser },
    plugins: { tracer: { rules: { 'no-import-cycle': noImportCycle } } },
    rules: { 'tracer/no-import-cycle': 'error' },
  };
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => [
      name,
      linter.verify(text, config, { filename: path.join(scratch.path, name) }).map(({ message }) => message),
    ]),
  );
}

describe('files that import each other', () => {
  it.each([
    ['for values', "import { b } from './b.ts';"],
    ['for types alone', "import type { B } from './b.ts';"],
    ['to pass something on', "export * from './b.ts';"],
    ['to pass a name on', "export { b } from './b.ts';"],
    ['when it is needed', "const b = await import('./b.ts');"],
    ['for one type in its place', "export let b: import('./b.ts').B;"],
    ['by a longer way', "import { c } from './c.ts';"],
  ])('%s are found in every file of the cycle', (_, text) => {
    const found = messages({
      'a.ts': text,
      'b.ts': "import type { A } from './a.ts';\nimport { d } from './d.ts';",
      'c.ts': "import './inner/e.tsx';",
      'd.ts': 'export const d = 1;',
      'inner/e.tsx': "import { b } from '../b.ts';",
    });
    expect(found['a.ts']).toHaveLength(1);
    expect(found['a.ts']![0]).toMatch(
      /^Files import each other: a\.ts → (?:c\.ts → e\.tsx → )?b\.ts → a\.ts\./,
    );
    expect(found['b.ts']).toHaveLength(1);
    expect(found['d.ts']).toEqual([]);
  });

  it('are found beside others, and a file that imports itself', () => {
    const found = messages({
      'a.ts': "import './b.ts';\nimport './c.ts';\nimport './d.ts';\nimport './a.ts';",
      'b.ts': "import './a.ts';",
      'c.ts': "import './b.ts';",
      'd.ts': "import './e.ts';",
      'e.ts': "import './d.ts';",
    });
    expect(found['a.ts']!.map((message) => message.replace(/\. Move.*/, ''))).toEqual([
      'Files import each other: a.ts → b.ts → a.ts',
      'Files import each other: a.ts → c.ts → b.ts → a.ts',
      'Files import each other: a.ts → a.ts',
    ]);
    expect(found['d.ts']).toHaveLength(1);
  });
});

describe('files that one imports by two ways, packages, and files that are missing', () => {
  it('are no cycle', () => {
    const found = messages({
      'a.ts':
        "import './b.ts';\nimport './c.ts';\nimport 'node:fs';\nimport './missing.ts';\nimport './a.css';",
      'b.ts': "import './d.ts';",
      'c.ts': "import './d.ts';\n// import './a.ts';\nconst text = \"from './a.ts'\";",
      'd.ts': 'export {};',
    });
    expect(Object.values(found).flat()).toEqual([]);
  });
});
