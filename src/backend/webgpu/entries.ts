/** Backend, WebGPU: entries of matrices, found on the device. One reading brings all of them, unless there are more than expected. */
import type { Tensor2D } from '../backend.ts';
import type { Entries, EntryFinder, EntryRule } from '../entries.ts';
import { runShader } from './dispatch.ts';
import { countsOf, entriesOf, ENTRY_WORDS, limitsOf, ROW_WORDS, type Searched } from './entry-programs.ts';
import type { Kernels, TensorInfo } from './kernels.ts';

/** Share of a matrix that room is made for, until more was found: features of published sets are sparser. */
const FIRST_SHARE = 1 / 64;
/** Entries that there is always room for (32 KiB). */
const LEAST_CAPACITY = 4096;
/** Room is made for so many times the share that was found, so that another matrix like it fits. */
const SPARE = 1.5;

export class DeviceFinder implements EntryFinder {
  private readonly kernels: Kernels;
  private readonly rule: EntryRule;
  /** Of the rule, on the device. */
  private readonly thresholds: TensorInfo | null;
  private share = FIRST_SHARE;

  constructor(kernels: Kernels, rule: EntryRule) {
    this.kernels = kernels;
    this.rule = rule;
    this.thresholds =
      rule.kind === 'above'
        ? kernels.makeTensorInfo([rule.thresholds.length], 'float32', rule.thresholds)
        : null;
  }

  async find(matrix: Tensor2D, firstRow: number): Promise<Entries> {
    const [n, columns] = matrix.shape;
    if (n === 0 || columns === 0) return NO_ENTRIES;
    const searched: Searched = { n, columns, firstRow };
    const made: TensorInfo[] = [];
    const result = (length: number): TensorInfo => {
      const info = this.kernels.makeTensorInfo([length], 'int32');
      made.push(info);
      return info;
    };
    try {
      const limits = this.thresholds ?? this.limits(matrix, searched, result);
      const counts = result(n * ROW_WORDS);
      runShader(this.kernels, countsOf(this.rule, searched), [matrix, limits], counts);
      const read = async (capacity: number): Promise<Int32Array> => {
        const entries = result(n * ROW_WORDS + capacity * ENTRY_WORDS);
        runShader(this.kernels, entriesOf(this.rule, searched, capacity), [matrix, limits, counts], entries);
        return (await this.kernels.read(entries.dataId)) as Int32Array;
      };
      const capacity = this.capacity(searched);
      const words = await read(capacity);
      const found = numberOfEntries(words, n);
      this.share = Math.max(this.share, (SPARE * found) / (n * columns));
      return entriesIn(found <= capacity ? words : await read(found), n);
    } finally {
      for (const { dataId } of made) this.kernels.disposeData(dataId);
    }
  }

  private limits(matrix: Tensor2D, searched: Searched, result: (length: number) => TensorInfo): TensorInfo {
    if (this.rule.kind !== 'largest')
      throw new Error('only a choice among the columns has limits of its own');
    const { program, uniforms } = limitsOf(this.rule, searched);
    const limits = result(program.outputShape[0]!);
    runShader(this.kernels, { program, uniforms }, [matrix], limits);
    return limits;
  }

  /** A power of two, so that buffers of few sizes serve matrices of many. */
  private capacity({ n, columns }: Searched): number {
    const { rule } = this;
    const most = rule.kind === 'largest' ? Math.min(columns, rule.groups * rule.kept) : columns;
    const expected = Math.max(LEAST_CAPACITY, this.share * n * columns);
    return Math.min(n * most, 2 ** Math.ceil(Math.log2(expected)));
  }

  [Symbol.dispose](): void {
    if (this.thresholds) this.kernels.disposeData(this.thresholds.dataId);
  }
}

const NO_ENTRIES: Entries = {
  rows: new Int32Array(0),
  columns: new Int32Array(0),
  values: new Float32Array(0),
  areAllFinite: true,
};

function numberOfEntries(words: Int32Array, n: number): number {
  let sum = 0;
  for (let row = 0; row < n; row++) sum += words[row * ROW_WORDS]!;
  return sum;
}

/** @param words as `entriesOf` writes them */
function entriesIn(words: Int32Array, n: number): Entries {
  const numbers = new Float32Array(words.buffer, words.byteOffset, words.length);
  const found = numberOfEntries(words, n);
  const [rows, columns, values] = [new Int32Array(found), new Int32Array(found), new Float32Array(found)];
  let areAllFinite = true;
  let i = 0;
  for (let row = 0; row < n; row++) {
    rows.fill(row, i, i + words[row * ROW_WORDS]!);
    i += words[row * ROW_WORDS]!;
    if (words[row * ROW_WORDS + 1] !== 0) areAllFinite = false;
  }
  for (i = 0; i < found; i++) {
    const at = n * ROW_WORDS + i * ENTRY_WORDS;
    columns[i] = words[at]!;
    values[i] = numbers[at + 1]!;
  }
  return { rows, columns, values, areAllFinite };
}
