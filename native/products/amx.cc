// Numbers of float32 have 24 significant bits, those of bfloat16 eight: x is cut, not rounded, into three terms whose sum
// is x exactly (below 1e-38 terms count as zero). Each term times a weight is exact in float32, and tiles sum in float32,
// so a product has the rounding of an ordinary float32 sum. bench/README.md states the error that was measured.
#include "amx.h"

#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 11) && defined(__linux__)

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cpuid.h>
#include <cstring>
#include <memory>
#include <vector>

#include "threads.h"

#define TRACER_AMX __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl")))

namespace tracer {
namespace {

constexpr int64_t kEdge = 16;          // rows of a tile, and float32 columns
constexpr int64_t kStep = 32;          // bfloat16 columns of a tile
constexpr int64_t kTileBytes = 1024;
constexpr int64_t kTerms = 3;
constexpr int64_t kGroupsTogether = 8;  // 128 rows of x: their terms stay in the second-level cache
constexpr int64_t kRowsOfX = 2048;      // packed at a time, so that memory stays bounded
constexpr int64_t kStepsOfDots = 36;    // steps of the inner dimension before tiles are added to y
constexpr int64_t kStepsOfSums = 24;
constexpr int64_t kDotRowsPerTask = 128;
constexpr int64_t kSumColumnsPerTask = 128;

inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t startRow = 0;
  uint8_t reserved[14] = {};
  uint16_t bytesPerRow[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Tiles are state of a thread: configured for the time of one task.
struct TilesInUse {
  TRACER_AMX TilesInUse() {
    static const TileConfig config;
    _tile_loadconfig(&config);
  }
  TRACER_AMX ~TilesInUse() { _tile_release(); }
};

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Bytes = std::unique_ptr<uint8_t, Free>;

Bytes aligned(int64_t size) { return Bytes(static_cast<uint8_t*>(std::aligned_alloc(64, ceilDiv(size, 64) * 64))); }

TRACER_AMX inline void transpose(__m512i r[16]) {
  __m512i t[16];
  for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; i++) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; i++) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

struct Terms {
  __m512i part[kTerms];  // each 32 bfloat16 numbers
};

// 16 numbers as three terms, each in the upper half of a 32-bit word.
TRACER_AMX inline void split16(__m512 x, __m512i out[kTerms]) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  const __m512i exponent = _mm512_set1_epi32(0x7f800000);
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
  const __mmask16 finite = _mm512_cmplt_epi32_mask(magnitude, exponent);
  const __mmask16 nan = _mm512_cmpgt_epi32_mask(magnitude, exponent);
  __m512i high = _mm512_and_si512(bits, upper);
  high = _mm512_mask_or_epi32(high, nan, high, _mm512_set1_epi32(0x00400000));  // a NaN stays one when it is cut
  const __m512 rest = _mm512_maskz_sub_ps(finite, x, _mm512_castsi512_ps(high));
  const __m512i middle = _mm512_and_si512(_mm512_castps_si512(rest), upper);
  const __m512 last = _mm512_sub_ps(rest, _mm512_castsi512_ps(middle));
  out[0] = high;
  out[1] = middle;
  out[2] = _mm512_castps_si512(last);
}

TRACER_AMX inline Terms split32(const float* x, int64_t count) {
  const auto mask = [&](int64_t from) {
    const int64_t n = std::clamp<int64_t>(count - from, 0, 16);
    return static_cast<__mmask16>((1u << n) - 1);
  };
  __m512i a[kTerms], b[kTerms];
  split16(_mm512_maskz_loadu_ps(mask(0), x), a);
  split16(_mm512_maskz_loadu_ps(mask(16), x + 16), b);
  Terms terms;
  for (int t = 0; t < kTerms; t++) {
    const __m256i low = _mm512_cvtepi32_epi16(_mm512_srli_epi32(a[t], 16));
    const __m256i high = _mm512_cvtepi32_epi16(_mm512_srli_epi32(b[t], 16));
    terms.part[t] = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
  return terms;
}

// The terms of x [n, inner] as tiles [group of 16 rows][step of 32 columns][term], zero where x ends. In a tile a row of x
// is a row, or with `paired` a column of pairs, as the second factor of a product of tiles wants it.
TRACER_AMX void packGroup(const float* x, int64_t n, int64_t inner, int64_t group, bool paired, uint8_t* packed) {
  const int64_t steps = ceilDiv(inner, kStep);
  for (int64_t step = 0; step < steps; step++) {
    alignas(64) __m512i rows[kTerms][16];
    for (int64_t j = 0; j < kEdge; j++) {
      const int64_t row = group * kEdge + j;
      const int64_t k = step * kStep;
      const Terms terms = row < n ? split32(x + row * inner + k, inner - k) : Terms{};
      for (int t = 0; t < kTerms; t++) rows[t][j] = row < n ? terms.part[t] : _mm512_setzero_si512();
    }
    for (int t = 0; t < kTerms; t++) {
      if (paired) transpose(rows[t]);
      uint8_t* tile = packed + ((group * steps + step) * kTerms + t) * kTileBytes;
      for (int64_t j = 0; j < kEdge; j++) _mm512_store_si512(tile + 64 * j, rows[t][j]);
    }
  }
}

Bytes packed(const float* x, int64_t n, int64_t inner, bool paired) {
  const int64_t groups = ceilDiv(n, kEdge);
  Bytes tiles = aligned(groups * ceilDiv(inner, kStep) * kTerms * kTileBytes);
  parallel(groups, [&](int64_t group) { packGroup(x, n, inner, group, paired, tiles.get()); });
  return tiles;
}

// y[m][r] += tile[r][m] for 16 rows of W and 16 of x.
TRACER_AMX inline void addTransposed(const float* tile, int64_t nRows, int64_t nx, float* y, int64_t yStride, bool add) {
  __m512i rows[16];
  for (int i = 0; i < 16; i++) rows[i] = _mm512_load_si512(tile + 16 * i);
  transpose(rows);
  const __mmask16 mask = static_cast<__mmask16>((1u << nRows) - 1);
  for (int64_t m = 0; m < nx; m++) {
    __m512 sum = _mm512_castsi512_ps(rows[m]);
    float* target = y + m * yStride;
    if (add) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, target));
    _mm512_mask_storeu_ps(target, mask, sum);
  }
}

TRACER_AMX void dotTask(const uint8_t* x, int64_t n, const Matrix& w, int64_t first, int64_t last, float* y) {
  const TilesInUse tiles;
  const int64_t inner = w.columns;
  const int64_t steps = ceilDiv(inner, kStep);
  const int64_t groups = ceilDiv(n, kEdge);
  const int64_t rowBytes = 2 * inner;
  alignas(64) float sums[4][256];
  std::vector<uint8_t> copy;
  for (int64_t g0 = 0; g0 < groups; g0 += kGroupsTogether) {
    const int64_t g1 = std::min(g0 + kGroupsTogether, groups);
    for (int64_t s0 = 0; s0 < steps; s0 += kStepsOfDots) {
      const int64_t s1 = std::min(s0 + kStepsOfDots, steps);
      for (int64_t r = first; r < last; r += 2 * kEdge) {
        const int64_t nRows = std::min<int64_t>(2 * kEdge, last - r);
        const uint8_t* from = w.data + r * rowBytes + s0 * 2 * kStep;
        int64_t stride = rowBytes;
        if (nRows < 2 * kEdge || s1 * kStep > inner) {  // a rim of W is copied among zeros
          stride = (s1 - s0) * 2 * kStep;
          copy.assign(2 * kEdge * stride, 0);
          const int64_t bytes = std::min(stride, rowBytes - s0 * 2 * kStep);
          for (int64_t i = 0; i < nRows; i++) std::memcpy(&copy[i * stride], from + i * rowBytes, bytes);
          from = copy.data();
        }
        for (int64_t g = g0; g < g1; g += 2) {
          const bool isPair = g + 1 < g1;
          const uint8_t* b0 = x + (g * steps + s0) * kTerms * kTileBytes;
          const uint8_t* b1 = isPair ? x + ((g + 1) * steps + s0) * kTerms * kTileBytes : b0;
          _tile_zero(0);
          _tile_zero(1);
          _tile_zero(2);
          _tile_zero(3);
          for (int64_t s = 0; s < s1 - s0; s++) {
            const uint8_t* a0 = from + s * 2 * kStep;
            _tile_loadd(4, a0, stride);
            _tile_loadd(5, a0 + kEdge * stride, stride);
            for (int64_t t = kTerms - 1; t >= 0; t--) {
              const int64_t at = (s * kTerms + t) * kTileBytes;
              _tile_loadd(6, b0 + at, 64);
              _tile_dpbf16ps(0, 4, 6);
              _tile_dpbf16ps(1, 5, 6);
              if (isPair) {
                _tile_loadd(7, b1 + at, 64);
                _tile_dpbf16ps(2, 4, 7);
                _tile_dpbf16ps(3, 5, 7);
              }
            }
          }
          _tile_stored(0, sums[0], 64);
          _tile_stored(1, sums[1], 64);
          _tile_stored(2, sums[2], 64);
          _tile_stored(3, sums[3], 64);
          for (int half = 0; half < (isPair ? 2 : 1); half++) {
            const int64_t m = (g + half) * kEdge;
            const int64_t nx = std::min(kEdge, n - m);
            float* target = y + m * w.rows + r;
            addTransposed(sums[2 * half], std::min(kEdge, nRows), nx, target, w.rows, s0 > 0);
            if (nRows > kEdge)
              addTransposed(sums[2 * half + 1], nRows - kEdge, nx, target + kEdge, w.rows, s0 > 0);
          }
        }
      }
    }
  }
}

// Rows [r, r + 32) of W, columns [c, c + 16), as a tile of pairs of rows; zero where W ends.
TRACER_AMX inline void packPairs(const Matrix& w, int64_t r, int64_t c, int64_t lastColumn, uint8_t* tile) {
  const int64_t nColumns = std::clamp<int64_t>(lastColumn - c, 0, 16);
  const __mmask16 mask = static_cast<__mmask16>((1u << nColumns) - 1);
  const uint8_t* from = w.data + (r * w.columns + c) * 2;
  const int64_t rowBytes = 2 * w.columns;
  for (int64_t p = 0; p < kEdge; p++, from += 2 * rowBytes) {
    const bool hasEven = r + 2 * p < w.rows;
    const bool hasOdd = r + 2 * p + 1 < w.rows;
    const __m256i even = _mm256_maskz_loadu_epi16(hasEven ? mask : 0, from);
    const __m256i odd = _mm256_maskz_loadu_epi16(hasOdd ? mask : 0, from + rowBytes);
    const __m512i pairs =
        _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
    _mm512_store_si512(tile + 64 * p, pairs);
  }
}

TRACER_AMX void sumTask(const uint8_t* x, int64_t n, const Matrix& w, int64_t first, int64_t last, float* y) {
  const TilesInUse tiles;
  const int64_t steps = ceilDiv(w.rows, kStep);
  const int64_t groups = ceilDiv(n, kEdge);
  const int64_t columns = ceilDiv(last - first, kEdge);
  const Bytes pairs = aligned(kStepsOfSums * columns * kTileBytes);
  alignas(64) float sums[4][256];
  for (int64_t s0 = 0; s0 < steps; s0 += kStepsOfSums) {
    const int64_t s1 = std::min(s0 + kStepsOfSums, steps);
    for (int64_t s = s0; s < s1; s++)
      for (int64_t c = 0; c < columns; c++)
        packPairs(w, s * kStep, first + c * kEdge, last, pairs.get() + (c * kStepsOfSums + s - s0) * kTileBytes);
    for (int64_t g = 0; g < groups; g += 2) {
      const bool isPair = g + 1 < groups;
      const uint8_t* a0 = x + (g * steps + s0) * kTerms * kTileBytes;
      const uint8_t* a1 = isPair ? x + ((g + 1) * steps + s0) * kTerms * kTileBytes : a0;
      for (int64_t c = 0; c < columns; c += 2) {
        const bool hasSecond = c + 1 < columns;
        const uint8_t* b0 = pairs.get() + c * kStepsOfSums * kTileBytes;
        const uint8_t* b1 = hasSecond ? b0 + kStepsOfSums * kTileBytes : b0;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int64_t s = 0; s < s1 - s0; s++) {
          _tile_loadd(6, b0 + s * kTileBytes, 64);
          if (hasSecond) _tile_loadd(7, b1 + s * kTileBytes, 64);
          for (int64_t t = kTerms - 1; t >= 0; t--) {
            const int64_t at = (s * kTerms + t) * kTileBytes;
            _tile_loadd(4, a0 + at, 64);
            _tile_dpbf16ps(0, 4, 6);
            if (hasSecond) {
              _tile_dpbf16ps(2, 4, 7);
            }
            if (isPair) {
              _tile_loadd(5, a1 + at, 64);
              _tile_dpbf16ps(1, 5, 6);
              if (hasSecond) {
                _tile_dpbf16ps(3, 5, 7);
              }
            }
          }
        }
        _tile_stored(0, sums[0], 64);
        _tile_stored(1, sums[1], 64);
        _tile_stored(2, sums[2], 64);
        _tile_stored(3, sums[3], 64);
        for (int part = 0; part < 4; part++) {
          const int64_t m = (g + part % 2) * kEdge;
          const int64_t column = first + (c + part / 2) * kEdge;
          if ((part % 2 && !isPair) || column >= last) continue;
          const int64_t nx = std::min(kEdge, n - m);
          const __mmask16 mask = static_cast<__mmask16>((1u << std::min(kEdge, last - column)) - 1);
          for (int64_t j = 0; j < nx; j++) {
            float* target = y + (m + j) * w.columns + column;
            __m512 sum = _mm512_load_ps(sums[part] + 16 * j);
            if (s0 > 0) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, target));
            _mm512_mask_storeu_ps(target, mask, sum);
          }
        }
      }
    }
  }
}

}  // namespace

bool amxAvailable() {
  static const bool available = [] {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
    if ((d & (kBf16 | kTile)) != (kBf16 | kTile)) return false;
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return available;
}

void amxDots(const float* x, int64_t n, const Matrix& w, float* y) {
  for (int64_t m = 0; m < n; m += kRowsOfX) {
    const int64_t rows = std::min(kRowsOfX, n - m);
    const Bytes terms = packed(x + m * w.columns, rows, w.columns, true);
    parallel(ceilDiv(w.rows, kDotRowsPerTask), [&](int64_t task) {
      const int64_t first = task * kDotRowsPerTask;
      dotTask(terms.get(), rows, w, first, std::min(first + kDotRowsPerTask, w.rows), y + m * w.rows);
    });
  }
}

void amxSums(const float* x, int64_t n, const Matrix& w, float* y) {
  for (int64_t m = 0; m < n; m += kRowsOfX) {
    const int64_t rows = std::min(kRowsOfX, n - m);
    const Bytes terms = packed(x + m * w.rows, rows, w.rows, false);
    parallel(ceilDiv(w.columns, kSumColumnsPerTask), [&](int64_t task) {
      const int64_t first = task * kSumColumnsPerTask;
      sumTask(terms.get(), rows, w, first, std::min(first + kSumColumnsPerTask, w.columns), y + m * w.columns);
    });
  }
}

}  // namespace tracer

#else

namespace tracer {
bool amxAvailable() { return false; }
void amxDots(const float*, int64_t, const Matrix&, float*) {}
void amxSums(const float*, int64_t, const Matrix&, float*) {}
}  // namespace tracer

#endif
