// Products with bfloat16 matrices on AMX tiles, as exact as float32: an activation is the sum of three bfloat16 numbers.
#pragma once
#include "matrix.h"

namespace tracer {

// Whether processor, system and compiler have tiles; asks the system for the right to use them.
bool amxAvailable();

// As `product`, for bfloat16 matrices only.
void amxDots(const float* x, int64_t n, const Matrix& w, float* y);  // x · Wᵀ
void amxSums(const float* x, int64_t n, const Matrix& w, float* y);  // x · W

}  // namespace tracer
