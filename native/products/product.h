// Products of float32 activations with a stored matrix, in float32, without a widened copy of the matrix.
#pragma once
#include "matrix.h"

namespace tracer {

// Which instructions products use. Chosen once from what the processor has; TRACER_KERNEL names a lower one.
enum class Kernel { Scalar, Avx2, Avx512, Amx };

Kernel chosenKernel();
const char* kernelName(Kernel kernel);

// y [n, rows] = x [n, columns] · Wᵀ with `transpose`; y [n, columns] = x [n, rows] · W without.
// Every number of y is a sum in a fixed order, whatever the number of threads.
void product(const float* x, int64_t n, const Matrix& w, bool transpose, float* y);

// Float32 rows [n, columns] of W by index, or its columns [n, rows]. Indices are in range.
void gatherRows(const Matrix& w, const int32_t* indices, int64_t n, float* out);
void gatherColumns(const Matrix& w, const int32_t* indices, int64_t n, float* out);

}  // namespace tracer
