/** Which modules of a package are imported by others of it, and are not there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** `from '…'`, `import '…'`, `import('…')` and `new URL('…', import.meta.url)` of a path beside the file. */
const RELATIVE = /(?:\bfrom|\bimport|\bimport\(|\bnew URL\()\s*['"](\.{1,2}\/[^'"]+)['"]/g;

/** Of its JavaScript and its type declarations, as `FILE imports FILE`. */
export function missingModules(folder) {
  const missing = [];
  for (const entry of readdirSync(join(folder, 'dist'), { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (!entry.isFile() || !/\.(js|d\.ts)$/.test(file) || file.includes(join('dist', 'page'))) continue;
    for (const [, path] of readFileSync(file, 'utf8').matchAll(RELATIVE)) {
      const target = join(dirname(file), file.endsWith('.d.ts') ? declarationOf(path) : path);
      if (!existsSync(target)) missing.push(`${relative(folder, file)} imports ${relative(folder, target)}`);
    }
  }
  return missing;
}

function declarationOf(path) {
  return path.replace(/(\.d)?\.(js|ts)$/, '.d.ts');
}
