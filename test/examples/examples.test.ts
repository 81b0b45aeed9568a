import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../..');

describe('the examples of the library', () => {
  it.each(readdirSync(path.join(ROOT, 'examples')))('%s runs as it stands', (name) => {
    const output = execFileSync(process.execPath, [path.join(ROOT, 'examples', name)], { encoding: 'utf8' });
    expect(output).toMatch(
      /"Hello, world!" goes on with ".+"\n {2}"<bos>": layer \d+, feature \d+, \d+\.\d\d\n/,
    );
  });
});
