/**
 * Backend, WebGPU: WGSL that reads the numbers of a stored matrix out of 32-bit words, four of a row at a time. A matrix is on the
 * device as it is in its file; only products and gathers widen its numbers, in registers.
 */
import { unreachable } from '../../errors.ts';
import { PACKED_BLOCKS, type PackedType } from '../../formats/packed.ts';
import type { WeightType } from '../backend.ts';

/** Numbers of a row that are read at once. A block of a packed type is a multiple of it. */
export const QUAD = 4;

/**
 * Functions over the words of a matrix: `quadBits(row, quad)` gives the bits of the float32 numbers [4 · quad, 4 · quad + 4) of
 * a row, and `quadNumbers` the numbers. Beyond the end of a row they are 0. `widthIsWhole`: rows are whole quads. Subnormal numbers keep
 * their bits in `quadBits`; arithmetic on them may flush them to zero (WGSL specification, section 15.7).
 */
export function readStoredNumbers(dtype: WeightType, widthIsWhole: boolean): string {
  const common = `
    fn word(at: u32) -> u32 { return bitcast<u32>(words[at]); }
    fn quadNumbers(row: u32, quad: u32) -> vec4<f32> { return bitcast<vec4<f32>>(quadBits(row, quad)); }
  `;
  switch (dtype) {
    case 'float32':
      return common + elements(widthIsWhole, FLOAT32);
    case 'bfloat16':
      return common + elements(widthIsWhole, BFLOAT16);
    case 'float16':
      return common + HALF_BITS + elements(widthIsWhole, FLOAT16);
    default:
      return common + HALF_BITS + BYTES + NIBBLES + PARTS + MICROSCALED + blocks(dtype);
  }
}

/** How single numbers lie in words. */
interface ElementCode {
  /** Words of a quad. */
  readonly quadWords: number;
  /** Bits of the numbers of a quad that starts at the word `first`. */
  readonly whole: string;
  /** Bits of the number `i` of the matrix. */
  readonly single: string;
}

const FLOAT32: ElementCode = {
  quadWords: 4,
  whole: 'vec4<u32>(word(first), word(first + 1u), word(first + 2u), word(first + 3u))',
  single: 'word(i)',
};

const BFLOAT16: ElementCode = {
  quadWords: 2,
  whole:
    'vec4<u32>(word(first) << 16u, word(first) & 0xffff0000u, word(first + 1u) << 16u, word(first + 1u) & 0xffff0000u)',
  single: '((word(i / 2u) >> ((i & 1u) * 16u)) & 0xffffu) << 16u',
};

const FLOAT16: ElementCode = {
  quadWords: 2,
  whole:
    'vec4<u32>(halfBits(word(first) & 0xffffu), halfBits(word(first) >> 16u), halfBits(word(first + 1u) & 0xffffu), halfBits(word(first + 1u) >> 16u))',
  single: 'halfBits((word(i / 2u) >> ((i & 1u) * 16u)) & 0xffffu)',
};

function elements(widthIsWhole: boolean, { quadWords, whole, single }: ElementCode): string {
  if (widthIsWhole) {
    return `fn quadBits(row: u32, quad: u32) -> vec4<u32> {
      let first = (row * (u32(uniforms.columns) / ${QUAD}u) + quad) * ${quadWords}u;
      return ${whole};
    }`;
  }
  return `
    fn numberBits(row: u32, column: u32) -> u32 {
      if (column >= u32(uniforms.columns)) { return 0u; }
      let i = row * u32(uniforms.columns) + column;
      return ${single};
    }
    fn quadBits(row: u32, quad: u32) -> vec4<u32> {
      let c = quad * ${QUAD}u;
      return vec4<u32>(numberBits(row, c), numberBits(row, c + 1u), numberBits(row, c + 2u), numberBits(row, c + 3u));
    }`;
}

/** As `float16Bits` of formats/float16.ts; a subnormal number is fraction · 2^-24, which is a normal one in float32. */
const HALF_BITS = `
  fn halfBits(half: u32) -> u32 {
    let sign = (half & 0x8000u) << 16u;
    let exponent = (half >> 10u) & 31u;
    let fraction = half & 0x3ffu;
    if (exponent == 31u) { return sign | 0x7f800000u | (fraction << 13u); }
    if (exponent == 0u) { return sign | bitcast<u32>(f32(fraction) * 0x1p-24); }
    return sign | ((exponent + 112u) << 23u) | (fraction << 13u);
  }
`;

const BYTES = `
  fn byteAt(at: u32) -> u32 { return (word(at / 4u) >> ((at & 3u) * 8u)) & 255u; }
  fn halfAt(at: u32) -> f32 { return bitcast<f32>(halfBits(byteAt(at) | (byteAt(at + 1u) << 8u))); }
  fn bytesAt(at: u32) -> vec4<u32> { return vec4<u32>(byteAt(at), byteAt(at + 1u), byteAt(at + 2u), byteAt(at + 3u)); }
  fn signedByte(byte: u32) -> f32 { return f32(bitcast<i32>(byte << 24u) >> 24u); }
`;

/**
 * Packed types (formats/packed.ts has their layouts). `at` is the first byte of a block, `i` the place of the quad's first number in it.
 * Each product of scale and number is exact in float32, so that one rounding at most remains, whether or not it is fused.
 */
function blocks(type: PackedType): string {
  const { numbers, bytes } = PACKED_BLOCKS[type];
  return `
    fn quadBits(row: u32, quad: u32) -> vec4<u32> {
      let block = (row * u32(uniforms.columns) + quad * ${QUAD}u) / ${numbers}u;
      let at = block * ${bytes}u;
      let i = (quad * ${QUAD}u) % ${numbers}u;
      ${packedQuad(type)}
    }`;
}

const NIBBLES = `
  // Four bits of each of four bytes: of the numbers 0 to 15 the low ones, of 16 to 31 the high ones.
  fn nibbles(at: u32, i: u32) -> vec4<u32> { return (bytesAt(at + (i & 15u)) >> vec4<u32>((i / 16u) * 4u)) & vec4<u32>(15u); }
  fn fifth(at: u32, i: u32) -> vec4<u32> {
    let bytes = bytesAt(at);
    let high = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
    return ((vec4<u32>(high) >> (vec4<u32>(i) + vec4<u32>(0u, 1u, 2u, 3u))) & vec4<u32>(1u)) << vec4<u32>(4u);
  }
`;

const PARTS = `
  // Scale (which = 0) and minimum (which = 4) of a part of 32 numbers, 6 bits each, of the 12 bytes at 'at'.
  fn sixBits(at: u32, part: u32, which: u32) -> f32 {
    if (part < 4u) { return f32(byteAt(at + which + part) & 63u); }
    let low = byteAt(at + 4u + part);
    return f32(select(low >> 4u, low & 15u, which == 0u) | ((byteAt(at + which + part - 4u) >> 6u) << 4u));
  }
  fn partNumbers(at: u32, part: u32, q: vec4<u32>) -> vec4<u32> {
    let scale = halfAt(at) * sixBits(at + 4u, part, 0u);
    let lowest = halfAt(at + 2u) * sixBits(at + 4u, part, 4u);
    return bitcast<vec4<u32>>(scale * vec4<f32>(q) - vec4<f32>(lowest));
  }
`;

const MICROSCALED = `
  // m · 2^(scale - 128), where m is twice a value of E2M1: by its bits, since it may be subnormal or too large.
  fn scaled(scale: u32, nibble: u32) -> u32 {
    let m = array<u32, 8>(0u, 1u, 2u, 3u, 4u, 6u, 8u, 12u)[nibble & 7u];
    if (m == 0u) { return 0u; }
    let sign = (nibble >> 3u) << 31u;
    let top = firstLeadingBit(m);
    let exponent = i32(scale + top) - 1;
    if (exponent >= 255) { return sign | 0x7f800000u; }
    if (exponent < 1) { return sign | (m << (scale + 21u)); }
    return sign | (u32(exponent) << 23u) | ((m << (23u - top)) & 0x7fffffu);
  }
`;

/** The body of `quadBits` for a packed type. */
function packedQuad(type: PackedType): string {
  switch (type) {
    case 'Q4_0':
      return 'return bitcast<vec4<u32>>(halfAt(at) * (vec4<f32>(nibbles(at + 2u, i)) - 8.0));';
    case 'Q4_1':
      return 'return bitcast<vec4<u32>>(halfAt(at) * vec4<f32>(nibbles(at + 4u, i)) + halfAt(at + 2u));';
    case 'Q5_0':
      return 'return bitcast<vec4<u32>>(halfAt(at) * (vec4<f32>(nibbles(at + 6u, i) | fifth(at + 2u, i)) - 16.0));';
    case 'Q5_1':
      return 'return bitcast<vec4<u32>>(halfAt(at) * vec4<f32>(nibbles(at + 8u, i) | fifth(at + 4u, i)) + halfAt(at + 2u));';
    case 'Q8_0':
      return `let q = bytesAt(at + 2u + i);
        return bitcast<vec4<u32>>(halfAt(at) * vec4<f32>(signedByte(q.x), signedByte(q.y), signedByte(q.z), signedByte(q.w)));`;
    case 'Q4_K':
      return `let part = i / 32u;
        let low = (bytesAt(at + 16u + (part / 2u) * 32u + (i & 31u)) >> vec4<u32>((part & 1u) * 4u)) & vec4<u32>(15u);
        return partNumbers(at, part, low);`;
    case 'Q5_K':
      return `let part = i / 32u;
        let low = (bytesAt(at + 48u + (part / 2u) * 32u + (i & 31u)) >> vec4<u32>((part & 1u) * 4u)) & vec4<u32>(15u);
        let high = (bytesAt(at + 16u + (i & 31u)) >> vec4<u32>(part)) & vec4<u32>(1u);
        return partNumbers(at, part, low | (high << vec4<u32>(4u)));`;
    case 'Q6_K':
      return `let part = i / 32u;
        let group = part / 4u;
        let quarter = part & 3u;
        let low = (bytesAt(at + group * 64u + (quarter & 1u) * 32u + (i & 31u)) >> vec4<u32>((quarter / 2u) * 4u)) & vec4<u32>(15u);
        let high = (bytesAt(at + 128u + group * 32u + (i & 31u)) >> vec4<u32>(quarter * 2u)) & vec4<u32>(3u);
        let scale = halfAt(at + 208u) * signedByte(byteAt(at + 192u + i / 16u));
        return bitcast<vec4<u32>>(scale * (vec4<f32>(low | (high << vec4<u32>(4u))) - 32.0));`;
    case 'MXFP4':
      return `let scale = byteAt(at);
        let q = nibbles(at + 1u, i);
        return vec4<u32>(scaled(scale, q.x), scaled(scale, q.y), scaled(scale, q.z), scaled(scale, q.w));`;
    default:
      return unreachable(type);
  }
}
