/**
 * Benchmark: random numbers for weights, fast. A block of normal numbers is made once and written again and again; its
 * length has no factor in common with the widths of the matrices, so that no two rows of a matrix are equal.
 */

/** 2²² − 3, a prime: 16 MiB of float32. */
const BLOCK_NUMBERS = 4194301;

/** Marsaglia's xorshift32 and polar method: normal numbers of variance 1 from a seed. */
function normalNumbers(count, seed) {
  let state = (seed * 0x9e3779b1) >>> 0 || 1;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) uniform(); // neighbouring seeds part ways
  const values = new Float32Array(count + 1); // the method gives pairs
  for (let i = 0; i < count;) {
    const [u, v] = [2 * uniform() - 1, 2 * uniform() - 1];
    const s = u * u + v * v;
    if (s >= 1 || s === 0) continue;
    const factor = Math.sqrt((-2 * Math.log(s)) / s);
    values[i++] = u * factor;
    values[i++] = v * factor;
  }
  return values.subarray(0, count);
}

/** Upper halves of float32 numbers, rounded to the nearest. */
function toBfloat16(values) {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16);
}

/** Blocks by kind of tensor: the first use of a kind makes its block, all later ones repeat it from another place. */
export class RandomBlocks {
  #blocks = new Map();
  #seed;

  constructor(seed) {
    this.#seed = seed;
  }

  /** Pieces of `count` normal numbers of the given deviation, as stored; one block a `kind`, another start a `tensor`. */
  *pieces(kind, tensor, dtype, deviation, count) {
    const block = this.#block(kind, dtype, deviation);
    let at = Math.floor((tensor * 0.618033988749895 * BLOCK_NUMBERS) % BLOCK_NUMBERS);
    for (let left = count; left > 0;) {
      const piece = block.subarray(at, Math.min(block.length, at + left));
      yield piece;
      left -= piece.length;
      at = 0;
    }
  }

  #block(kind, dtype, deviation) {
    const key = `${kind} ${dtype} ${deviation}`;
    let block = this.#blocks.get(key);
    if (!block) {
      const values = normalNumbers(BLOCK_NUMBERS, this.#seed + this.#blocks.size).map((x) => x * deviation);
      block = dtype === 'BF16' ? toBfloat16(values) : values;
      this.#blocks.set(key, block);
    }
    return block;
  }
}
