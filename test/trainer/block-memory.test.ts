/** Memory that blocks of activations share. */
import { describe, expect, it } from '@jest/globals';
import { BlockMemory } from '../../src/trainer/activations.ts';

describe('memory of blocks', () => {
  it('is the same for each block up to the longest that was told, and grows with a longer one', () => {
    const memory = new BlockMemory(16);
    const first = memory.take([2, 5], 12).get(5)!;
    const shorter = memory.take([2, 5], 8).get(5)!;
    const longest = memory.take([5], 16).get(5)!;
    expect(longest.x.buffer).toBe(first.x.buffer);
    const longer = memory.take([5], 20).get(5)!;
    expect([first.x.length, shorter.x.length, longer.x.length]).toEqual([12, 8, 20]);
    expect(shorter.x.buffer).toBe(first.x.buffer);
    expect(shorter.y.buffer).toBe(first.y.buffer);
    expect(longer.x.buffer).not.toBe(first.x.buffer);
    expect(memory.take([5], 12).get(5)!.x.buffer).toBe(longer.x.buffer);
  });

  it('is apart for inputs, outputs and layers', () => {
    const values = new BlockMemory(4).take([0, 1], 4);
    [...values.values()].flatMap(({ x, y }) => [x, y]).forEach((array, i) => array.fill(i + 1));
    expect([...values.values()].flatMap(({ x, y }) => [x[3], y[3]])).toEqual([1, 2, 3, 4]);
  });
});
