// A parameter as it is stored: a row-major matrix over memory that somebody else owns.
#pragma once
#include <cstdint>

namespace tracer {

enum class Type : int32_t { Float32 = 0, Bfloat16 = 1, Float16 = 2 };

inline int64_t elementBytes(Type type) { return type == Type::Float32 ? 4 : 2; }

struct Matrix {
  const uint8_t* data;  // any alignment
  int64_t rows;
  int64_t columns;
  Type type;
};

}  // namespace tracer
