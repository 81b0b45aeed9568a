#include "sparse.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "product.h"
#include "threads.h"

namespace tracer {
namespace {

// Of a number and its place: larger for larger numbers, for NaN above all, and of equal ones for the first.
inline uint64_t keyOf(float value, int64_t place) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const uint32_t order = value != value ? 0xffffffffu : bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return (static_cast<uint64_t>(order) << 32) | (0xffffffffu - static_cast<uint32_t>(place));
}

inline int32_t indexOf(uint64_t key) { return static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(key)); }

// Puts the m largest of `count` keys first, in any order, and returns the smallest number among them.
inline float keepLargest(uint64_t* keys, int64_t count, int64_t m, const float* x) {
  std::nth_element(keys, keys + (m - 1), keys + count, std::greater<uint64_t>());
  return x[indexOf(keys[m - 1])];
}

namespace plain {
#define TRACER_WIDTH 4
#include "sparse.inc"
}  // namespace plain

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#define TRACER_WIDTH 8
#include "sparse.inc"
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512")
#endif
namespace avx512 {
#define TRACER_WIDTH 16
#include "sparse.inc"
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

struct Loops {
  void (*addRows)(const float* const*, const float*, int64_t, int64_t, float*);
  float (*dot)(const float*, const float*, int64_t);
  void (*largestOfRow)(const float*, int64_t, int64_t, uint64_t*, float*, int32_t*);
};

Loops chosenLoops() {
#if defined(__x86_64__)
  switch (chosenKernel()) {
    case Kernel::Amx:
    case Kernel::Avx512: return {avx512::addRows, avx512::dot, avx512::largestOfRow};
    case Kernel::Avx2: return {avx2::addRows, avx2::dot, avx2::largestOfRow};
    case Kernel::Scalar: break;
  }
#endif
  return {plain::addRows, plain::dot, plain::largestOfRow};
}

constexpr int64_t kTokensPerTask = 16;
constexpr int64_t kRowsPerTask = 32;

void inTasks(int64_t count, int64_t atOnce, const std::function<void(int64_t, int64_t)>& work) {
  parallel((count + atOnce - 1) / atOnce,
           [&](int64_t task) { work(task * atOnce, std::min(count, (task + 1) * atOnce)); });
}

}  // namespace

void weightedSum(const SparseRows& of, const float* w, int64_t columns, float* y) {
  const Loops loops = chosenLoops();
  inTasks(of.n, kTokensPerTask, [&](int64_t first, int64_t last) {
    std::vector<const float*> rows(of.m);
    for (int64_t i = first; i < last; i++) {
      for (int64_t j = 0; j < of.m; j++) rows[j] = w + of.indices[i * of.m + j] * columns;
      std::fill_n(y + i * columns, columns, 0.0f);
      loops.addRows(rows.data(), of.values + i * of.m, of.m, columns, y + i * columns);
    }
  });
}

void rowDots(const SparseRows& of, const float* g, const float* w, int64_t columns, float* y) {
  const Loops loops = chosenLoops();
  inTasks(of.n, kTokensPerTask, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++)
      for (int64_t j = 0; j < of.m; j++)
        y[i * of.m + j] = loops.dot(g + i * columns, w + of.indices[i * of.m + j] * columns, columns);
  });
}

void scatteredSum(const SparseRows& of, const float* x, int64_t columns, int64_t rows, float* y) {
  const Loops loops = chosenLoops();
  // Entries by row, in their order: a row is then summed by one thread, and written once.
  const int64_t count = of.n * of.m;
  std::vector<int64_t> starts(rows + 1, 0);
  for (int64_t i = 0; i < count; i++) starts[of.indices[i] + 1]++;
  for (int64_t r = 0; r < rows; r++) starts[r + 1] += starts[r];
  std::vector<const float*> sources(count);
  std::vector<float> factors(count);
  std::vector<int64_t> next(starts.begin(), starts.end() - 1);
  for (int64_t i = 0; i < count; i++) {
    const int64_t at = next[of.indices[i]]++;
    sources[at] = x + (i / of.m) * columns;
    factors[at] = of.values[i];
  }
  inTasks(rows, kRowsPerTask, [&](int64_t first, int64_t last) {
    std::fill_n(y + first * columns, (last - first) * columns, 0.0f);
    for (int64_t r = first; r < last; r++)
      loops.addRows(sources.data() + starts[r], factors.data() + starts[r], starts[r + 1] - starts[r], columns,
                    y + r * columns);
  });
}

void largest(const float* x, int64_t n, int64_t columns, int64_t m, float* values, int32_t* indices) {
  const Loops loops = chosenLoops();
  inTasks(n, kTokensPerTask, [&](int64_t first, int64_t last) {
    std::vector<uint64_t> keys(2 * m);
    for (int64_t i = first; i < last; i++)
      loops.largestOfRow(x + i * columns, columns, m, keys.data(), values + i * m, indices + i * m);
  });
}

}  // namespace tracer
