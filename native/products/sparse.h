// Products in which each token meets a few rows of a matrix: what features that few tokens have write, and its gradients.
#pragma once
#include <cstdint>

namespace tracer {

// m numbers for each of n tokens, and the row of a matrix that each stands for, which is in range.
struct SparseRows {
  const float* values;  // [n, m]
  const int32_t* indices;
  int64_t n, m;
};

// Every number of a result is a sum in a fixed order, whatever the number of threads.

// y [n, columns]: row i is the sum of values[i, j] · W[indices[i, j]].
void weightedSum(const SparseRows& of, const float* w, int64_t columns, float* y);

// y [n, m]: entry i, j is g[i] · W[indices[i, j]], of g [n, columns]. The values of `of` are not read.
void rowDots(const SparseRows& of, const float* g, const float* w, int64_t columns, float* y);

// y [rows, columns]: row r is the sum of values[i, j] · x[i] where indices[i, j] is r, of x [n, columns].
void scatteredSum(const SparseRows& of, const float* x, int64_t columns, int64_t rows, float* y);

// The m largest of each row of x [n, columns], descending, and where they lie; of equal ones the first comes first.
void largest(const float* x, int64_t n, int64_t columns, int64_t m, float* values, int32_t* indices);

}  // namespace tracer
