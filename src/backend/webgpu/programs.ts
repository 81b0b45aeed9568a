/** Backend, WebGPU: shaders that multiply with stored matrices and pick rows or columns of them. Sums are in float32. */
import type { WeightType } from '../backend.ts';
import type { Orientation } from '../engine.ts';
import { folded, GROUP, integers, programOf, type Dispatch } from './dispatch.ts';
import type { Program } from './kernels.ts';
import { QUAD, readStoredNumbers } from './stored-numbers.ts';

/** A stored matrix, or some of its rows, as one buffer holds them. */
export interface MatrixPart {
  readonly dtype: WeightType;
  /** Its first row is this one of the matrix. */
  readonly start: number;
  readonly rows: number;
  readonly columns: number;
}

/** Up to this many rows of x are multiplied without tiles: each number of the matrix is then read once and used for all of them. */
const MOST_VECTORS = 8;

/** Numbers of vectors for which shaders are compiled. */
const VECTOR_COUNTS = [1, MOST_VECTORS] as const;

/** n: rows of x. inner: its columns. width: columns of the result. The rest is of the part. */
const PRODUCT_UNIFORMS = 'n: i32, inner: i32, width: i32, rows: i32, columns: i32, start: i32,';

/**
 * x · W or x · Wᵀ. The parts of a matrix are multiplied one after the other into the same result: in the stored orientation all after
 * the first add to it, in the transposed one each writes columns of its own.
 * @param operands n: rows of x; inner: its columns; width: columns of the result
 */
export function productOf(
  part: MatrixPart,
  orientation: Orientation,
  operands: { readonly n: number; readonly inner: number; readonly width: number },
): Dispatch {
  const { n, inner, width } = operands;
  const shape = { outputShape: [n * width], code: readStoredNumbers(part.dtype, part.columns % QUAD === 0) };
  const nVectors = VECTOR_COUNTS.find((count) => n <= count);
  const key = `${part.dtype}_${part.columns % QUAD === 0}_${nVectors ?? 'tiled'}`;
  const program =
    nVectors === undefined
      ? tiledProgram(part, n, orientation, shape, key)
      : orientation === 'stored'
        ? sumOfRows(part, nVectors, shape, key)
        : dotWithRows(part, nVectors, shape, key);
  return { program, uniforms: integers(n, inner, width, part.rows, part.columns, part.start) };
}

/** What all programs of a product have. */
interface ProductShape {
  readonly outputShape: number[];
  /** Reads numbers of the matrix. */
  readonly code: string;
}

/** Threads that share the columns of one row. */
const LANES = 64;

/** A few rows of x · Wᵀ: a workgroup for each row of the matrix, whose threads take its quads in turn. */
function dotWithRows(part: MatrixPart, nVectors: number, shape: ProductShape, key: string): Program {
  const code = `${shape.code}
    ${GROUP}
    ${X_QUAD}
    var<workgroup> partial: array<array<f32, ${LANES}>, ${nVectors}>;
    fn main() {
      let row = group();
      let lane = localId.x;
      var sums: array<f32, ${nVectors}>;
      if (row < u32(uniforms.rows)) {
        for (var quad = lane; quad * ${QUAD}u < u32(uniforms.columns); quad += ${LANES}u) {
          let w = quadNumbers(row, quad);
          for (var i = 0u; i < ${nVectors}u; i++) { sums[i] += dot(xQuad(i, quad), w); }
        }
      }
      for (var i = 0u; i < ${nVectors}u; i++) { partial[i][lane] = sums[i]; }
      for (var half = ${LANES / 2}u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) { for (var i = 0u; i < ${nVectors}u; i++) { partial[i][lane] += partial[i][lane + half]; } }
      }
      workgroupBarrier();
      if (row < u32(uniforms.rows) && lane < ${nVectors}u && lane < u32(uniforms.n)) {
        result[lane * u32(uniforms.width) + u32(uniforms.start) + row] = partial[lane][0];
      }
    }`;
  return {
    ...programOf(`tracerDots_${key}`, PRODUCT_UNIFORMS, ['x', 'words'], shape.outputShape, code),
    dispatch: [...folded(part.rows), 1],
    workgroupSize: [LANES, 1, 1],
  };
}

/** Numbers [4 · quad, 4 · quad + 4) of a row of x, 0 beyond its ends. */
const X_QUAD = `
  fn xNumber(i: u32, k: u32) -> f32 {
    if (i >= u32(uniforms.n) || k >= u32(uniforms.inner)) { return 0.0; }
    return x[i * u32(uniforms.inner) + k];
  }
  fn xQuad(i: u32, quad: u32) -> vec4<f32> {
    let k = quad * ${QUAD}u;
    return vec4<f32>(xNumber(i, k), xNumber(i, k + 1u), xNumber(i, k + 2u), xNumber(i, k + 3u));
  }`;

/** Quads of columns, and slices of the rows, that the threads of a workgroup share. */
const [COLUMN_QUADS, ROW_SLICES] = [16, 16];

/** A few rows of x · W: each thread sums every 16th row for four columns, then the slices are added. */
function sumOfRows(part: MatrixPart, nVectors: number, shape: ProductShape, key: string): Program {
  const code = `${shape.code}
    ${GROUP}
    ${ADD_TO_RESULT}
    var<workgroup> partial: array<array<vec4<f32>, ${COLUMN_QUADS}>, ${ROW_SLICES}>;
    fn main() {
      let quad = group() * ${COLUMN_QUADS}u + localId.x;
      let slice = localId.y;
      var sums: array<vec4<f32>, ${nVectors}>;
      if (quad * ${QUAD}u < u32(uniforms.columns)) {
        for (var row = slice; row < u32(uniforms.rows); row += ${ROW_SLICES}u) {
          let w = quadNumbers(row, quad);
          for (var i = 0u; i < ${nVectors}u; i++) {
            if (i < u32(uniforms.n)) { sums[i] += x[i * u32(uniforms.inner) + u32(uniforms.start) + row] * w; }
          }
        }
      }
      for (var i = 0u; i < ${nVectors}u; i++) {
        partial[slice][localId.x] = sums[i];
        for (var half = ${ROW_SLICES / 2}u; half > 0u; half /= 2u) {
          workgroupBarrier();
          if (slice < half) { partial[slice][localId.x] += partial[slice + half][localId.x]; }
        }
        if (slice == 0u) { addQuad(i, quad, partial[0][localId.x]); }
        workgroupBarrier();
      }
    }`;
  return {
    ...programOf(`tracerSums_${key}`, PRODUCT_UNIFORMS, ['x', 'words'], shape.outputShape, code),
    dispatch: [...folded(Math.ceil(part.columns / (QUAD * COLUMN_QUADS))), 1],
    workgroupSize: [COLUMN_QUADS, ROW_SLICES, 1],
  };
}

/** Adds what a part of the rows gives for four columns; the first part sets them. */
const ADD_TO_RESULT = `
  fn addNumber(i: u32, column: u32, value: f32) {
    if (i >= u32(uniforms.n) || column >= u32(uniforms.columns)) { return; }
    let at = i * u32(uniforms.width) + column;
    if (uniforms.start == 0) { result[at] = value; } else { result[at] += value; }
  }
  fn addQuad(i: u32, quad: u32, values: vec4<f32>) {
    let column = quad * ${QUAD}u;
    addNumber(i, column, values.x);
    addNumber(i, column + 1u, values.y);
    addNumber(i, column + 2u, values.z);
    addNumber(i, column + 3u, values.w);
  }`;

/** A workgroup gives a tile of 32 rows and 64 columns of the result, in steps of 16 terms; a thread four rows and four columns. */
const [TILE_ROWS, TILE_COLUMNS, TILE_TERMS] = [32, 64, 16];
const [TILE_THREADS_X, TILE_THREADS_Y] = [TILE_COLUMNS / QUAD, TILE_ROWS / QUAD];

function tiledProgram(
  part: MatrixPart,
  n: number,
  orientation: Orientation,
  shape: ProductShape,
  key: string,
): Program {
  const isStored = orientation === 'stored';
  const threads = TILE_THREADS_X * TILE_THREADS_Y;
  const quadsInTile = (TILE_COLUMNS * TILE_TERMS) / QUAD;
  /** The axis of the part that is summed over; the other one is that of the result. */
  const terms = isStored ? 'rows' : 'columns';
  const nColumns = isStored ? part.columns : part.rows;
  const load = isStored
    ? `let term = item / ${TILE_THREADS_X}u;
       let quad = item % ${TILE_THREADS_X}u;
       let row = begin + term;
       let column = (left / ${QUAD}u + quad);
       var w = vec4<f32>(0.0);
       if (row < u32(uniforms.rows) && column * ${QUAD}u < u32(uniforms.columns)) { w = quadNumbers(row, column); }
       for (var j = 0u; j < ${QUAD}u; j++) { wTile[term][quad * ${QUAD}u + j] = w[j]; }`
    : `let column = item / ${TILE_TERMS / QUAD}u;
       let quad = item % ${TILE_TERMS / QUAD}u;
       let row = left + column;
       let at = begin / ${QUAD}u + quad;
       var w = vec4<f32>(0.0);
       if (row < u32(uniforms.rows) && at * ${QUAD}u < u32(uniforms.columns)) { w = quadNumbers(row, at); }
       for (var j = 0u; j < ${QUAD}u; j++) { wTile[quad * ${QUAD}u + j][column] = w[j]; }`;
  const write = isStored
    ? 'addQuad(i, left / 4u + localId.x, sums[r]);'
    : `for (var j = 0u; j < ${QUAD}u; j++) {
         let row = left + localId.x * ${QUAD}u + j;
         if (i < u32(uniforms.n) && row < u32(uniforms.rows)) {
           result[i * u32(uniforms.width) + u32(uniforms.start) + row] = sums[r][j];
         }
       }`;
  const code = `${shape.code}
    ${GROUP}
    ${isStored ? ADD_TO_RESULT : ''}
    var<workgroup> xTile: array<array<f32, ${TILE_TERMS}>, ${TILE_ROWS}>;
    var<workgroup> wTile: array<array<f32, ${TILE_COLUMNS}>, ${TILE_TERMS}>;
    fn main() {
      let left = group() * ${TILE_COLUMNS}u;
      let top = workgroupId.z * ${TILE_ROWS}u;
      let terms = u32(uniforms.${terms});
      let first = u32(${isStored ? 'uniforms.start' : '0'});
      var sums: array<vec4<f32>, ${QUAD}>;
      for (var begin = 0u; begin < terms; begin += ${TILE_TERMS}u) {
        for (var item = localIndex; item < ${TILE_ROWS * TILE_TERMS}u; item += ${threads}u) {
          let i = top + item / ${TILE_TERMS}u;
          let term = begin + item % ${TILE_TERMS}u;
          var value = 0.0;
          if (i < u32(uniforms.n) && term < terms) { value = x[i * u32(uniforms.inner) + first + term]; }
          xTile[item / ${TILE_TERMS}u][item % ${TILE_TERMS}u] = value;
        }
        for (var item = localIndex; item < ${quadsInTile}u; item += ${threads}u) { ${load} }
        workgroupBarrier();
        for (var term = 0u; term < ${TILE_TERMS}u; term++) {
          let c = localId.x * ${QUAD}u;
          let w = vec4<f32>(wTile[term][c], wTile[term][c + 1u], wTile[term][c + 2u], wTile[term][c + 3u]);
          for (var r = 0u; r < ${QUAD}u; r++) { sums[r] += xTile[localId.y * ${QUAD}u + r][term] * w; }
        }
        workgroupBarrier();
      }
      for (var r = 0u; r < ${QUAD}u; r++) {
        let i = top + localId.y * ${QUAD}u + r;
        ${write}
      }
    }`;
  return {
    ...programOf(
      `tracerTiles_${orientation}_${key}`,
      PRODUCT_UNIFORMS,
      ['x', 'words'],
      shape.outputShape,
      code,
    ),
    dispatch: [...folded(Math.ceil(nColumns / TILE_COLUMNS)), Math.ceil(n / TILE_ROWS)],
    workgroupSize: [TILE_THREADS_X, TILE_THREADS_Y, 1],
  };
}

const GATHER_UNIFORMS = 'n: i32, width: i32, rows: i32, columns: i32, start: i32,';

/**
 * Picked rows [n, columns], or picked columns [n, width] where `width` counts the rows of the whole matrix. The result is the bits of
 * float32 numbers, as int32: arithmetic could flush subnormal ones. Of a part only what it has is written.
 */
export function gatherOf(
  part: MatrixPart,
  axis: 'rows' | 'columns',
  { n, width }: { readonly n: number; readonly width: number },
): Dispatch {
  const widthIsWhole = part.columns % QUAD === 0;
  const quads = Math.ceil(part.columns / QUAD);
  /** What a thread does for the picked row or column `i`. */
  const [threads, each] =
    axis === 'rows'
      ? [
          n * quads,
          `let i = thread / quads;
           let quad = thread % quads;
           let row = indices[i] - uniforms.start;
           if (row < 0 || row >= uniforms.rows) { return; }
           let bits = quadBits(u32(row), quad);
           for (var j = 0u; j < ${QUAD}u; j++) {
             let column = quad * ${QUAD}u + j;
             if (column < u32(uniforms.columns)) { result[i * u32(uniforms.width) + column] = bitcast<i32>(bits[j]); }
           }`,
        ]
      : [
          n * part.rows,
          `let i = thread / u32(uniforms.rows);
           let row = thread % u32(uniforms.rows);
           let column = u32(indices[i]);
           let bits = quadBits(row, column / ${QUAD}u);
           result[i * u32(uniforms.width) + u32(uniforms.start) + row] = bitcast<i32>(bits[column % ${QUAD}u]);`,
        ];
  const code = `${readStoredNumbers(part.dtype, widthIsWhole)}
    ${GROUP}
    fn main() {
      let thread = group() * ${LANES}u + localId.x;
      let quads = (u32(uniforms.columns) + ${QUAD - 1}u) / ${QUAD}u;
      if (thread >= u32(uniforms.n) * ${axis === 'rows' ? 'quads' : 'u32(uniforms.rows)'}) { return; }
      ${each}
    }`;
  const program: Program = {
    ...programOf(
      `tracerGather_${axis}_${part.dtype}_${widthIsWhole}`,
      GATHER_UNIFORMS,
      ['indices', 'words'],
      [n * width],
      code,
    ),
    dispatch: [...folded(Math.ceil(threads / LANES)), 1],
    workgroupSize: [LANES, 1, 1],
  };
  return { program, uniforms: integers(n, width, part.rows, part.columns, part.start) };
}
