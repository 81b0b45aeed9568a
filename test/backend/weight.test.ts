/** Weights over an engine that only counts: each storage is made once at a time and disposed exactly once, whatever happens. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { HeldWeight, WeightSource } from '../../src/backend/backend.ts';
import type { Engine, Storage } from '../../src/backend/engine.ts';
import { weightsOf } from '../../src/backend/weight.ts';

interface CountedStorage extends Storage {
  disposals: number;
}

/** An engine whose readings end when `endReading` or `failReading` is called. */
class CountingEngine implements Engine<CountedStorage> {
  readonly multipliesAsStored = false;
  readonly storages: CountedStorage[] = [];
  private readonly readings: {
    resolve: (storage: CountedStorage) => void;
    reject: (reason: Error) => void;
  }[] = [];

  get nReadings(): number {
    return this.readings.length;
  }

  store(): Promise<CountedStorage> {
    return new Promise((resolve, reject) => this.readings.push({ resolve, reject }));
  }

  endReading(): void {
    const storage: CountedStorage = {
      heldBytes: 24,
      disposals: 0,
      [Symbol.dispose]() {
        this.disposals += 1;
      },
    };
    this.storages.push(storage);
    this.readings.shift()?.resolve(storage);
  }

  failReading(): void {
    this.readings.shift()?.reject(new Error('no more'));
  }

  product(): never {
    throw new Error('nothing is multiplied here');
  }

  gather(): never {
    throw new Error('nothing is picked here');
  }
}

const SOURCE: WeightSource = {
  name: 'W',
  shape: [2, 3],
  dtype: 'float32',
  readInto: () => Promise.resolve(),
  readRows: () => Promise.resolve(new Uint8Array()),
};

/** Lets all promises that can go on do so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const STEPS = [
  'acquire',
  'give back the oldest',
  'give back all again',
  'end reading',
  'fail reading',
] as const;

describe('a weight on any engine', () => {
  it.each(['lazyWeight', 'streamWeight'] as const)(
    'holds one storage at most and frees each once (%s)',
    async (kind) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom(...STEPS), { maxLength: 30 }),
          fc.nat(30),
          async (steps, disposeAt) => {
            const engine = new CountingEngine();
            const weight = weightsOf(engine)[kind](SOURCE);
            const out: HeldWeight[] = [];
            const past: HeldWeight[] = [];
            let [nWaiting, isDisposed] = [0, false];
            for (const [i, step] of steps.entries()) {
              if (i === disposeAt) {
                weight[Symbol.dispose]();
                isDisposed = true;
              }
              switch (step) {
                case 'acquire':
                  nWaiting += 1;
                  void weight.acquire().then(
                    (loan) => (out.push(loan), nWaiting--),
                    () => nWaiting--,
                  );
                  break;
                case 'give back the oldest':
                  if (out.length > 0) past.push(out.shift()!);
                  past.at(-1)?.[Symbol.dispose]();
                  break;
                case 'give back all again':
                  for (const loan of past) loan[Symbol.dispose]();
                  break;
                case 'end reading':
                  if (engine.nReadings > 0) engine.endReading();
                  break;
                case 'fail reading':
                  engine.failReading();
                  break;
              }
              await settled();
              expect(engine.nReadings).toBeLessThanOrEqual(1);
              const living = engine.storages.filter(({ disposals }) => disposals === 0).length;
              const wanted = kind === 'lazyWeight' ? engine.storages.length > 0 : out.length > 0;
              expect(living).toBe(wanted && !isDisposed ? 1 : 0);
              expect(weight.heldBytes).toBe(living * 24);
            }
            weight[Symbol.dispose]();
            while (engine.nReadings > 0) engine.endReading();
            await settled();
            expect(nWaiting).toBe(0);
            expect(engine.storages.map(({ disposals }) => disposals)).toEqual(engine.storages.map(() => 1));
          },
        ),
        { numRuns: 300 },
      );
    },
  );

  it('is not made when the reading of a loaded weight fails', async () => {
    const engine = new CountingEngine();
    const loading = weightsOf(engine).loadWeight(SOURCE);
    engine.failReading();
    await expect(loading).rejects.toThrow('no more');
    expect(engine.storages).toEqual([]);
  });
});
