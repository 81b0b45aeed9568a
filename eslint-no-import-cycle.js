/**
 * Lint rule: no file imports itself by way of other files. Imports of types count as well: whoever reads one file of a cycle has
 * to read all of them. Only relative paths with the extension of a TypeScript file are followed, which is how this repository
 * writes them. (`import-x/no-cycle` leaves types out.)
 */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** What a file imports, by its path, as long as it has not changed on disk. @type {Map<string, { mtimeMs: number, files: string[] }>} */
const known = new Map();

/** @param {string} file @returns {readonly string[]} none for a file that is not there: the compiler tells of it */
function importsOf(file) {
  const mtimeMs = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  if (mtimeMs === undefined) return [];
  const before = known.get(file);
  if (before?.mtimeMs === mtimeMs) return before.files;
  const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'), true, true);
  const files = importedFiles.flatMap(({ fileName }) => resolved(file, fileName) ?? []);
  known.set(file, { mtimeMs, files });
  return files;
}

/** @param {string} file @param {unknown} source */
function resolved(file, source) {
  return typeof source === 'string' && /^\.\.?\/.*\.tsx?$/.test(source)
    ? path.resolve(path.dirname(file), source)
    : undefined;
}

/**
 * The way along imports from one file to another; undefined when there is none.
 * @param {string} from @param {string} to @param {Set<string>} deadEnds files that do not lead there; more are added
 * @returns {string[] | undefined}
 */
function wayTo(from, to, deadEnds) {
  if (from === to) return [from];
  deadEnds.add(from);
  for (const next of importsOf(from)) {
    const way = deadEnds.has(next) ? undefined : wayTo(next, to, deadEnds);
    if (way !== undefined) return [from, ...way];
  }
  return undefined;
}

/** @type {import('eslint').Rule.RuleModule} */
export default {
  meta: {
    type: 'problem',
    schema: [],
    messages: { cycle: 'Files import each other: {{way}}. Move what both need to a file of its own.' },
  },
  create(context) {
    const file = context.filename;
    /** @type {Set<string>} */
    const deadEnds = new Set();
    /** @param {any} node */
    const check = (node) => {
      const imported = resolved(file, node.source?.value);
      const way = imported === undefined ? undefined : wayTo(imported, file, deadEnds);
      if (way === undefined) return;
      deadEnds.clear(); // those on the way are none
      const names = [file, ...way].map((name) => path.basename(name));
      context.report({ node, messageId: 'cycle', data: { way: names.join(' → ') } });
    };
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
      TSImportType: check,
    };
  },
};
