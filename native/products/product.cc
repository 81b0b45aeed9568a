#include "product.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "amx.h"
#include "threads.h"

namespace tracer {
namespace {

inline float widenOne(const uint8_t* from, Type type) {
  if (type == Type::Float32) {
    float value;
    std::memcpy(&value, from, 4);
    return value;
  }
  uint16_t half;
  std::memcpy(&half, from, 2);
  uint32_t bits = static_cast<uint32_t>(half) << 16;
  if (type == Type::Float16) {
    const uint32_t magnitude = half & 0x7fffu;
    bits = ((magnitude << 13) + (112u << 23)) | (magnitude >= 0x7c00u ? 0x7f800000u : 0u);
    if (magnitude < 0x0400u) {
      const float subnormal = static_cast<float>(magnitude) * 0x1p-24f;
      std::memcpy(&bits, &subnormal, 4);
    }
    bits |= static_cast<uint32_t>(half & 0x8000u) << 16;
  }
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline float floatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// A number of MXFP4 whose scale is 2^-127 or 2^-126 (e = 0, 1), by its bits: it may be subnormal.
inline void storeSmallMxfp4(int e, int q, float* to) {
  static constexpr uint32_t kTwice[8] = {0, 1, 2, 3, 4, 6, 8, 12};
  const uint32_t twice = kTwice[q & 7];
  const uint32_t sign = twice == 0 ? 0 : static_cast<uint32_t>(q & 8) << 28;
  const int top = twice == 0 ? 0 : 31 - __builtin_clz(twice);
  const int exponent = e - 1 + top;  // biased; at most 0: subnormal
  const uint32_t bits = exponent > 0 ? (static_cast<uint32_t>(exponent) << 23) | ((twice << (23 - top)) & 0x7fffffu)
                                     : twice << (21 + e);
  const uint32_t signedBits = bits | sign;
  std::memcpy(to, &signedBits, 4);
}

// Rows of a task: a few tasks a thread, so that none waits long for another, each a multiple of `unit`.
inline int64_t rowsPerTask(int64_t rows, int64_t unit) {
  constexpr int64_t kTasksPerThread = 8;
  const int64_t share = rows / (kTasksPerThread * threadCount());
  return std::max<int64_t>(1, share / unit) * unit;
}

namespace plain {
#define TRACER_WIDTH 4
#define TRACER_MANY_X INT64_MAX
#define TRACER_DOT_W 2
#define TRACER_DOT_X 4
#define TRACER_SUM_X 6
#define TRACER_SUM_V 2
#include "simd.inc"
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
#define TRACER_MANY_X 128
#define TRACER_DOT_W 3
#define TRACER_DOT_X 4
#define TRACER_SUM_X 6
#define TRACER_SUM_V 2
#include "simd.inc"
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
#define TRACER_MANY_X 256
#define TRACER_DOT_W 4
#define TRACER_DOT_X 6
#define TRACER_SUM_X 12
#define TRACER_SUM_V 2
#include "simd.inc"
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

Kernel best() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return amxAvailable() ? Kernel::Amx : Kernel::Avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Kernel::Avx2;
#endif
  return Kernel::Scalar;
}

Kernel choose() {
  const Kernel most = best();
  const char* asked = std::getenv("TRACER_KERNEL");
  if (!asked) return most;
  for (Kernel kernel : {Kernel::Scalar, Kernel::Avx2, Kernel::Avx512, Kernel::Amx})
    if (std::string(asked) == kernelName(kernel)) return std::min(kernel, most);
  return most;
}

// From this many rows of x on, tiles are full enough that three products of bfloat16 beat one of float32.
constexpr int64_t kAmxRows = 8;

}  // namespace

Kernel chosenKernel() {
  static const Kernel kernel = choose();
  return kernel;
}

const char* kernelName(Kernel kernel) {
  switch (kernel) {
    case Kernel::Scalar: return "plain";
    case Kernel::Avx2: return "avx2";
    case Kernel::Avx512: return "avx512";
    case Kernel::Amx: return "amx";
  }
  return "";
}

void product(const float* x, int64_t n, const Matrix& w, bool transpose, float* y) {
  if (n == 0) return;
  const Kernel kernel = chosenKernel();
  if (kernel == Kernel::Amx && w.type == Type::Bfloat16 && n >= kAmxRows) {
    if (transpose) amxDots(x, n, w, y);
    else amxSums(x, n, w, y);
    return;
  }
  switch (kernel) {
#if defined(__x86_64__)
    case Kernel::Amx:
    case Kernel::Avx512: return transpose ? avx512::dots(x, n, w, y) : avx512::sums(x, n, w, y);
    case Kernel::Avx2: return transpose ? avx2::dots(x, n, w, y) : avx2::sums(x, n, w, y);
#endif
    default: return transpose ? plain::dots(x, n, w, y) : plain::sums(x, n, w, y);
  }
}

void gatherRows(const Matrix& w, const int32_t* indices, int64_t n, float* out) {
  const auto widen = plain::widenerOf(w.type);
  for (int64_t i = 0; i < n; i++) widen(w.row(indices[i]), 0, w.columns, out + i * w.columns);
}

void gatherColumns(const Matrix& w, const int32_t* indices, int64_t n, float* out) {
  const auto widen = plain::widenerOf(w.type);
  for (int64_t r = 0; r < w.rows; r++)
    for (int64_t i = 0; i < n; i++) widen(w.row(r), indices[i], 1, out + i * w.rows + r);
}

}  // namespace tracer
