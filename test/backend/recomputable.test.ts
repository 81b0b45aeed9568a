import { describe, expect, it } from '@jest/globals';
import { MemoryBudget } from '../../src/backend/budget.ts';
import { Recomputable } from '../../src/backend/recomputable.ts';

const BYTES = 10;

/** Counts how often its value is computed, and how many values are alive. */
function counted(budget: MemoryBudget, compute: (nth: number) => Promise<void> = () => Promise.resolve()) {
  const counts = { computed: 0, alive: 0 };
  const value = new Recomputable(budget, BYTES, async () => {
    const nth = ++counts.computed;
    await compute(nth);
    counts.alive++;
    return { nth, [Symbol.dispose]: () => void counts.alive-- };
  });
  return { value, counts };
}

describe('a value that can be computed again', () => {
  it('is kept from its first use on where the budget has room, and counted', async () => {
    const budget = new MemoryBudget(BYTES);
    const { value, counts } = counted(budget);
    expect([budget.usedBytes, value.heldBytes]).toEqual([0, 0]);
    for (let i = 0; i < 3; i++) {
      using loan = await value.acquire();
      expect(loan.value.nth).toBe(1);
    }
    expect([budget.usedBytes, value.heldBytes, counts.alive]).toEqual([BYTES, BYTES, 1]);
    value[Symbol.dispose]();
    value[Symbol.dispose]();
    expect([budget.usedBytes, value.heldBytes, counts.alive]).toEqual([0, 0, 0]);
    await expect(value.acquire()).rejects.toThrow('disposed');
  });

  it('is computed for each use and disposed after it where the budget has none', async () => {
    const budget = new MemoryBudget(BYTES - 1);
    const { value, counts } = counted(budget);
    for (let i = 1; i <= 3; i++) {
      const loan = await value.acquire();
      expect(loan.value.nth).toBe(i);
      expect([budget.usedBytes, value.heldBytes, counts.alive]).toEqual([0, 0, 1]);
      loan[Symbol.dispose]();
      loan[Symbol.dispose]();
      expect(counts.alive).toBe(0);
    }
  });

  it('is kept as soon as others have given back what they held', async () => {
    const budget = new MemoryBudget(BYTES);
    expect(budget.take(1)).toBe(true);
    const { value, counts } = counted(budget);
    (await value.acquire())[Symbol.dispose]();
    budget.giveBack(1);
    (await value.acquire())[Symbol.dispose]();
    (await value.acquire())[Symbol.dispose]();
    expect([counts.computed, counts.alive, budget.usedBytes]).toEqual([2, 1, BYTES]);
  });

  it('is computed once for all who ask while it is being computed', async () => {
    const { value, counts } = counted(new MemoryBudget(BYTES));
    const loans = await Promise.all([value.acquire(), value.acquire(), value.acquire()]);
    expect(loans.map((loan) => loan.value.nth)).toEqual([1, 1, 1]);
    expect(counts.computed).toBe(1);
  });

  it('is tried again after a failure, which leaves nothing counted', async () => {
    const budget = new MemoryBudget(BYTES);
    const { value } = counted(budget, (nth) =>
      nth === 1 ? Promise.reject(new Error('unreadable')) : Promise.resolve(),
    );
    await expect(value.acquire()).rejects.toThrow('unreadable');
    expect(budget.usedBytes).toBe(0);
    expect((await value.acquire()).value.nth).toBe(2);
    expect(budget.usedBytes).toBe(BYTES);
  });

  it('leaves nothing when it is disposed while it is computed', async () => {
    const budget = new MemoryBudget(BYTES);
    let finish = (): void => undefined;
    const { value, counts } = counted(budget, () => new Promise((resolve) => (finish = resolve)));
    const asked = value.acquire();
    value[Symbol.dispose]();
    finish();
    await expect(asked).rejects.toThrow('disposed');
    expect([budget.usedBytes, counts.alive]).toEqual([0, 0]);
  });
});

describe('a memory budget', () => {
  it('does not take back more than was taken', () => {
    const budget = new MemoryBudget(BYTES);
    expect(budget.take(BYTES + 1)).toBe(false);
    expect(budget.take(BYTES)).toBe(true);
    expect(budget.take(1)).toBe(false);
    budget.giveBack(BYTES);
    expect(budget.usedBytes).toBe(0);
    expect(() => budget.giveBack(1)).toThrow('given back');
  });
});
