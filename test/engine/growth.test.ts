/** Many runs in one process: neither tensors nor memory grow. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { TEST_DEVICES } from '../support/backends.ts';
import { scratchFolder } from '../support/scratch.ts';

const run = promisify(execFile);
const CHILD = fileURLToPath(new URL('../support/growth-child.mjs', import.meta.url));
const ROUNDS = 300;
/** The garbage collector and the allocator keep some memory for later; the model alone has 8 MB, 300 copies of it 2.5 GB. */
const ALLOWED_GROWTH_BYTES = 24 * 2 ** 20;

interface State {
  readonly rss: number;
  readonly tensors: number;
}

describe.each(TEST_DEVICES)('300 runs on %s', (device) => {
  it('hold no more memory at the end than after the first hundred', async () => {
    using scratch = scratchFolder();
    const args = ['--expose-gc', CHILD, device, String(ROUNDS), scratch.path];
    const { stdout } = await run(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: '' } });
    const { first, last } = JSON.parse(stdout) as { first: State; last: State };
    expect(last.tensors).toBe(first.tensors);
    expect(last.rss - first.rss).toBeLessThan(ALLOWED_GROWTH_BYTES);
  });
});
