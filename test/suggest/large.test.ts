/** `graph suggest` on a large file of a viewer, by processor time, which other programs do not lengthen. */
import { afterAll, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { suggestForFile } from '../../src/engine/graph/suggest.ts';
import { largeGraph } from '../page/large-graph.ts';
import { processorMs } from '../support/processor-time.ts';
import { scratchFolder } from '../support/scratch.ts';

const SIZE = { nodes: 10_000, links: 300_000, tokens: 24 } as const;
/** Above what it takes under jest on a busy machine (1.9 to 2.4 s); with a matrix of 10,000 by 10,000 cells it is many times as long. */
const LIMIT_MS = 4000;
const TRIES = 4;

const scratch = scratchFolder();
afterAll(() => scratch[Symbol.dispose]());

it('a circuit of 10,000 nodes and 300,000 links takes less than four seconds of processor time', async () => {
  const file = path.join(scratch.path, 'large.json');
  writeFileSync(file, largeGraph('large', SIZE.nodes, SIZE.links, SIZE.tokens));
  const tries: number[] = [];
  while (tries.length < TRIES && !tries.some((ms) => ms < LIMIT_MS)) {
    const startMs = processorMs();
    const { boxes } = await suggestForFile(file);
    tries.push(processorMs() - startMs);
    expect(boxes.length).toBeGreaterThan(2);
  }
  expect(Math.min(...tries)).toBeLessThan(LIMIT_MS);
}, 120_000);
