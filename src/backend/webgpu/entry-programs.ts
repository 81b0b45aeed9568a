/**
 * Backend, WebGPU: shaders that find entries of a matrix and write them one after the other. Numbers are compared by their bits, so that
 * NaN, infinity and subnormal numbers count as on the processor, whatever a driver does with them.
 */
import type { EntryRule } from '../entries.ts';
import { folded, GROUP, integers, programOf, type Dispatch } from './dispatch.ts';

/** Threads of a workgroup, which share a row. */
const LANES = 128;

/** Numbers that the shaders write in front of the entries, for each row: how many entries it has, and whether any number is not finite. */
export const ROW_WORDS = 2;
/** An entry is its column and the bits of its value. */
export const ENTRY_WORDS = 2;

/** Limits of a group of columns: what its entries are at least, and the first column from which on those equal to it are left out. */
const GROUP_WORDS = 2;

/** A matrix [n, columns] of which the rows from `firstRow` on are searched. */
export interface Searched {
  readonly n: number;
  readonly columns: number;
  readonly firstRow: number;
}

const UNIFORMS = 'n: i32, columns: i32, firstRow: i32, groups: i32, kept: i32, limits: i32, capacity: i32,';

/**
 * Keys are ordered as the numbers are: of negative ones all bits are turned, of others the sign, and both zeros are one. `total` adds up
 * what the threads of a workgroup have; all of them have to call it.
 */
const COMMON = `
  ${GROUP}
  const ZERO = 0x80000000u;
  const NOT_A_NUMBER = 0xffffffffu;
  const LARGEST_NUMBER = 0xff7fffffu;
  fn keyOf(bits: u32) -> u32 {
    let size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) { return NOT_A_NUMBER; }
    if (size == 0u) { return ZERO; }
    return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
  }
  // Infinity is chosen as the largest number is.
  fn rankOf(key: u32) -> u32 { return select(min(key, LARGEST_NUMBER), key, key == NOT_A_NUMBER); }
  fn bitsAt(at: u32) -> u32 { return bitcast<u32>(x[at]); }
  var<workgroup> sum: atomic<u32>;
  fn total(own: u32) -> u32 {
    if (localIndex == 0u) { atomicStore(&sum, 0u); }
    workgroupBarrier();
    atomicAdd(&sum, own);
    workgroupBarrier();
    let all = atomicLoad(&sum);
    workgroupBarrier();
    return all;
  }
`;

/** `isWanted(row, column)`, by the limits of the rule: thresholds, or what `limitsOf` writes. */
function isWanted(rule: EntryRule): string {
  switch (rule.kind) {
    case 'above':
      return `fn isWanted(row: u32, column: u32) -> bool {
        let key = keyOf(bitsAt(row * u32(uniforms.columns) + column));
        let limit = bitcast<u32>(limits[select(column, 0u, uniforms.limits == 1)]);
        return key > keyOf(limit) && key != ZERO;
      }`;
    case 'largest':
      return `fn isWanted(row: u32, column: u32) -> bool {
        let size = u32(uniforms.columns) / u32(uniforms.groups);
        let at = (row * u32(uniforms.groups) + column / size) * ${GROUP_WORDS}u;
        let key = keyOf(bitsAt(row * u32(uniforms.columns) + column));
        let rank = rankOf(key);
        let limit = bitcast<u32>(limits[at]);
        let isChosen = rank > limit || (rank == limit && column % size < bitcast<u32>(limits[at + 1u]));
        return isChosen && key != ZERO${rule.isPositive ? ' && key > ZERO' : ''};
      }`;
  }
}

/**
 * Limits of each group of each row, int32 [n · groups · 2]: the rank of the last of its largest, and how far entries of that rank are taken.
 * `kthLargest` finds a key byte by byte from the highest, by counting how many keys have each value of it.
 */
export function limitsOf(rule: EntryRule & { readonly kind: 'largest' }, searched: Searched): Dispatch {
  const places = searched.n * rule.groups;
  const code = `${COMMON}
    var<workgroup> bins: array<atomic<u32>, 256>;
    // By rank; then among those of one rank, by column from the last: larger ones come first. 0 is no key.
    fn groupKey(first: u32, i: u32, isByColumn: bool, rank: u32) -> u32 {
      let own = rankOf(keyOf(bitsAt(first + i)));
      if (!isByColumn) { return own; }
      return select(0u, ~i, own == rank);
    }
    // The key, 0 where there are fewer than k; and which one it is among those that are equal.
    fn kthLargest(first: u32, stop: u32, k: u32, isByColumn: bool, rank: u32) -> vec2<u32> {
      var found = 0u;
      var left = k;
      for (var shift = 24; shift >= 0; shift -= 8) {
        for (var bin = localIndex; bin < 256u; bin += ${LANES}u) { atomicStore(&bins[bin], 0u); }
        workgroupBarrier();
        for (var i = localIndex; i < stop; i += ${LANES}u) {
          let key = groupKey(first, i, isByColumn, rank);
          let isHigh = shift == 24 || (key >> u32(shift + 8)) == (found >> u32(shift + 8));
          if (key != 0u && isHigh) { atomicAdd(&bins[(key >> u32(shift)) & 255u], 1u); }
        }
        workgroupBarrier();
        var bin = 255u;
        for (; bin > 0u; bin -= 1u) {
          let count = atomicLoad(&bins[bin]);
          if (count >= left) { break; }
          left -= count;
        }
        found |= bin << u32(shift);
        workgroupBarrier();
      }
      return vec2<u32>(found, left);
    }
    fn main() {
      let place = group();
      let isHere = place < u32(uniforms.n) * u32(uniforms.groups);
      let size = u32(uniforms.columns) / u32(uniforms.groups);
      let stop = select(0u, size, isHere);
      let limit = kthLargest(place * size, stop, u32(uniforms.kept), false, 0u);
      let end = kthLargest(place * size, stop, limit.y + 1u, true, limit.x);
      if (isHere && localIndex == 0u) {
        result[place * ${GROUP_WORDS}u] = bitcast<i32>(limit.x);
        result[place * ${GROUP_WORDS}u + 1u] = bitcast<i32>(~end.x);
      }
    }`;
  return dispatchOf('tracerLimits', rule, searched, {
    variables: ['x'],
    length: places * GROUP_WORDS,
    groups: places,
    capacity: 0,
    code,
  });
}

/** Of each row how many entries it has and how many threads met numbers that are not finite, int32 [n · 2]. */
export function countsOf(rule: EntryRule, searched: Searched): Dispatch {
  const code = `${COMMON}
    ${isWanted(rule)}
    fn main() {
      let row = group();
      let stop = select(0u, u32(uniforms.columns), row < u32(uniforms.n));
      var own = 0u;
      var odd = 0u;
      for (var column = localIndex; column < stop; column += ${LANES}u) {
        if ((bitsAt(row * u32(uniforms.columns) + column) & 0x7f800000u) == 0x7f800000u) { odd = 1u; }
        if (row >= u32(uniforms.firstRow) && isWanted(row, column)) { own += 1u; }
      }
      let all = total(own);
      let odds = total(odd);
      if (row < u32(uniforms.n) && localIndex == 0u) {
        result[row * ${ROW_WORDS}u] = i32(all);
        result[row * ${ROW_WORDS}u + 1u] = i32(odds);
      }
    }`;
  return dispatchOf('tracerCounts', rule, searched, {
    variables: ['x', 'limits'],
    length: searched.n * ROW_WORDS,
    groups: searched.n,
    capacity: 0,
    code,
  });
}

/** The counts again, then the entries of all rows in order, as far as there is room for: int32 [n · 2 + capacity · 2]. */
export function entriesOf(rule: EntryRule, searched: Searched, capacity: number): Dispatch {
  const code = `${COMMON}
    ${isWanted(rule)}
    var<workgroup> ends: array<u32, ${LANES}>;
    fn main() {
      let row = group();
      let isHere = row < u32(uniforms.n);
      var before = 0u;
      for (var other = localIndex; other < select(0u, row, isHere); other += ${LANES}u) {
        before += u32(counts[other * ${ROW_WORDS}u]);
      }
      let start = total(before);
      // Each thread has consecutive columns.
      let isSearched = isHere && row >= u32(uniforms.firstRow);
      let width = (u32(uniforms.columns) + ${LANES - 1}u) / ${LANES}u;
      let first = localIndex * width;
      let stop = select(0u, min(first + width, u32(uniforms.columns)), isSearched);
      var own = 0u;
      for (var column = first; column < stop; column++) { if (isWanted(row, column)) { own += 1u; } }
      ends[localIndex] = own;
      for (var step = 1u; step < ${LANES}u; step *= 2u) {
        workgroupBarrier();
        var left = 0u;
        if (localIndex >= step) { left = ends[localIndex - step]; }
        workgroupBarrier();
        ends[localIndex] += left;
      }
      var at = start + ends[localIndex] - own;
      for (var column = first; column < stop; column++) {
        if (!isWanted(row, column)) { continue; }
        if (at < u32(uniforms.capacity)) {
          let place = u32(uniforms.n) * ${ROW_WORDS}u + at * ${ENTRY_WORDS}u;
          result[place] = i32(column);
          result[place + 1u] = bitcast<i32>(bitsAt(row * u32(uniforms.columns) + column));
        }
        at += 1u;
      }
      if (isHere && localIndex < ${ROW_WORDS}u) {
        result[row * ${ROW_WORDS}u + localIndex] = counts[row * ${ROW_WORDS}u + localIndex];
      }
    }`;
  return dispatchOf('tracerEntries', rule, searched, {
    variables: ['x', 'limits', 'counts'],
    length: searched.n * ROW_WORDS + capacity * ENTRY_WORDS,
    groups: searched.n,
    capacity,
    code,
  });
}

interface Shader {
  /** Names of its operands. */
  readonly variables: string[];
  /** Of its result. */
  readonly length: number;
  /** Workgroups. */
  readonly groups: number;
  readonly capacity: number;
  readonly code: string;
}

function dispatchOf(
  name: string,
  rule: EntryRule,
  { n, columns, firstRow }: Searched,
  { variables, length, groups, capacity, code }: Shader,
): Dispatch {
  const [key, ofRule] =
    rule.kind === 'above'
      ? [rule.kind, [1, 0, rule.thresholds.length]]
      : [`${rule.kind}_${rule.isPositive}`, [rule.groups, rule.kept, 0]];
  return {
    program: {
      ...programOf(`${name}_${key}`, UNIFORMS, variables, [length], code),
      dispatch: [...folded(groups), 1],
      workgroupSize: [LANES, 1, 1],
    },
    uniforms: integers(n, columns, firstRow, ...ofRule, capacity),
  };
}
